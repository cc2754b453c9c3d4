"Answers to the exercises of lesson 6: right ones in several styles, and wrong ones with the misconception that they must be told."
import numpy as np
import torch


def first_by_axes(points, centroids): return (points[:, None] - centroids[None]).square().sum(-1).sqrt()
def first_by_einsum(points, centroids):
    dif = points.double().unsqueeze(1) - centroids.double()
    return torch.einsum("nkd,nkd->nk", dif, dif) ** 0.5
def first_by_numpy(points, centroids): return np.linalg.norm(points.numpy()[:, None] - centroids.numpy()[None], axis=2)
def first_by_transpose(points, centroids): return torch.linalg.vector_norm(points[None] - centroids[:, None], dim=-1).T


def centroids_first(points, centroids): return torch.linalg.vector_norm(points[None] - centroids[:, None], dim=-1)
def row_by_row(points, centroids): return torch.linalg.vector_norm(points - centroids, dim=-1)
def squares(points, centroids): return (points[:, None] - centroids).square().sum(-1)
def corner(points, centroids): return (points[:, None] - centroids).square().sqrt().sum(-1)
def axis_one(points, centroids): return (points[:, None] - centroids).square().sum(1).sqrt()
def with_cdist(points, centroids): return torch.cdist(points, centroids)
def with_loop(points, centroids): return torch.stack([torch.linalg.vector_norm(p - centroids, dim=-1) for p in points])


def batches_by_split(points, centroids, batch_size):
    return torch.cat([(b[None] - centroids[:, None]).square().sum(-1).argmin(0) for b in points.split(batch_size)])
def batches_by_slices(points, centroids, batch_size):
    found = torch.empty(len(points), dtype=torch.long)
    for s in range(0, len(points), batch_size): found[s : s + batch_size] = torch.cdist(points[s : s + batch_size], centroids).argmin(1)
    return found
def batches_as_list(points, centroids, batch_size): return [int((p - centroids).norm(dim=1).argmin()) for p in points]


def batches_wrong_dim(points, centroids, batch_size):
    return torch.cat([(b[None] - centroids[:, None]).square().sum(-1).sqrt().argmin(1) for b in points.split(batch_size)])
def batches_wrong_dim_cdist(points, centroids, batch_size): return torch.cat([torch.cdist(b, centroids).argmin(0) for b in points.split(batch_size)])
def batches_full_only(points, centroids, batch_size):
    found = [torch.cdist(points[i * batch_size : (i + 1) * batch_size], centroids).argmin(1) for i in range(len(points) // batch_size)]
    return torch.cat(found) if found else torch.empty(0)
def batches_column(points, centroids, batch_size): return torch.cat([torch.cdist(b, centroids).argmin(1, keepdim=True) for b in points.split(batch_size)])
def batches_farthest(points, centroids, batch_size): return torch.cat([torch.cdist(b, centroids).argmax(1) for b in points.split(batch_size)])


def nearest_a(points, centroids): return (points[:, None] - centroids).square().sum(-1).argmin(1)
def nearest_b(points, centroids): return ((points[None] - centroids[:, None]) ** 2).sum(-1).argmin(0)
def nearest_c(points, centroids):
    dif = points[:, None] - centroids
    return torch.einsum("nkd,nkd->nk", dif, dif).min(1).indices.float()
def nearest_d(points, centroids): return np.square(points.numpy()[:, None] - centroids.numpy()).sum(-1).argmin(1)


def nearest_wrong_dim(points, centroids): return (points[:, None] - centroids).square().sum(-1).argmin(0)
def nearest_wrong_dim_2(points, centroids): return (points[None] - centroids[:, None]).square().sum(-1).argmin(1)
def nearest_signed(points, centroids): return (points[:, None] - centroids).sum(-1).argmin(1)
def nearest_far(points, centroids): return (points[:, None] - centroids).square().sum(-1).argmax(1)
def nearest_values(points, centroids): return (points[:, None] - centroids).square().sum(-1).min(1).values
def nearest_root(points, centroids): return (points[:, None] - centroids).square().sum(-1).sqrt().argmin(1)
def nearest_loop(points, centroids): return torch.tensor([(p - centroids).square().sum(1).argmin().item() for p in points])


def means_none(sums, counts): return sums / counts[:, None]
def means_loop(sums, counts): return [s / c for s, c in zip(sums, counts)]
def means_transposed(sums, counts): return (sums.T / counts).T.double()


def means_bare(sums, counts): return sums / counts
def means_row(sums, counts): return sums / counts[None]
def means_all(sums, counts): return sums / counts.sum()
def means_k(sums, counts): return sums / len(sums)
def means_mean(sums, counts): return sums / sums.shape[0]


RIGHT = {
    "distances_points_first": [first_by_axes, first_by_einsum, first_by_numpy, first_by_transpose],
    "labels_in_batches": [batches_by_split, batches_by_slices, batches_as_list],
    "argmin_shapes": [(1500, 6, 6, 1500), [1500, 6, 6, 1500], torch.tensor([1500, 6, 6, 1500]), np.array([1500.0, 6, 6, 1500])],
    "nearest_without_root": [nearest_a, nearest_b, nearest_c, nearest_d],
    "roots_that_tie": [(0.5, "rounding"), [torch.tensor(0.5), "Rounding"], (np.float64(0.499), "rounding ")],
    "means_from_sums": [means_none, means_loop, means_transposed],
}
WRONG = {
    "distances_points_first": [(centroids_first, "centroids first"), (row_by_row, "row against row"), (squares, "root forgotten"), (corner, "root before the sum"),
                               (axis_one, "the wrong axis summed"), (with_cdist, "a forbidden word"), (with_loop, "a loop")],
    "labels_in_batches": [(batches_wrong_dim, "argmin over the points"), (batches_wrong_dim_cdist, "argmin over the points"), (batches_full_only, "the last batch is lost"),
                          (batches_column, "a column of labels"), (batches_farthest, "the farthest")],
    "argmin_shapes": [((6, 1500, 1500, 6), "the named dim stays"), ([1500, 6, 1500, 6], "the transpose changes nothing"), (torch.tensor([1500] * 4), "always an answer for each point"),
                      ((1, 1, 1, 1), "one number"), (np.array([6, 1500, 1500, 6]), "the named dim stays")],
    "nearest_without_root": [(nearest_wrong_dim, "argmin over the points"), (nearest_wrong_dim_2, "argmin over the points"), (nearest_signed, "nothing squared"), (nearest_far, "the farthest"),
                             (nearest_values, "smallest squares, not their numbers"), (nearest_root, "a forbidden word"), (nearest_loop, "a loop")],
    "roots_that_tie": [((0.0, "rounding"), "the root keeps them apart"), ((0, "Rounding"), "the root keeps them apart"), ((0.5, "order"), "the order turns round"),
                       ((torch.tensor(0.5), "overflow"), "overflow"), ((5000, "rounding"), "the pairs that stay apart")],
    "means_from_sums": [(means_bare, "counts along the coordinates"), (means_row, "counts along the coordinates"), (means_all, "divided by all"), (means_k, "divided by k"), (means_mean, "divided by k")],
}
