"Answers to the exercises of lesson 7: right ones in several styles, and wrong ones with the misconception that they must be told."
import numpy as np
import torch


def keep_masks(points, labels, old): return torch.stack([points[labels == j].mean(0) if (labels == j).any() else old[j] for j in range(len(old))])
def keep_where(points, labels, old):
    one_hot = (labels == torch.arange(len(old))[:, None]).to(points.dtype)
    counts = one_hot.sum(1, keepdim=True)
    return torch.where(counts > 0, one_hot @ points / counts, old)
def keep_clone(points, labels, old):
    new = old.clone()
    for j in labels.unique(): new[j] = points[labels == j].mean(0)
    return new.double()


def bare(points, labels, old): return torch.stack([points[labels == j].sum(0) / (labels == j).sum() for j in range(len(old))])
def bare_mean(points, labels, old): return torch.stack([points[labels == j].mean(0) for j in range(len(old))])
def clamped(points, labels, old): return torch.stack([points[labels == j].sum(0) / (labels == j).sum().clamp_min(1) for j in range(len(old))])
def zeros_kept(points, labels, old):
    new = torch.zeros_like(old)
    for j in labels.unique(): new[j] = points[labels == j].mean(0)
    return new
def mean_of_all(points, labels, old): return torch.stack([points[labels == j].mean(0) if (labels == j).any() else points.mean(0) for j in range(len(old))])
def more_than_one(points, labels, old): return torch.stack([points[labels == j].mean(0) if (labels == j).sum() > 1 else old[j] for j in range(len(old))])


def labels_after(points, start, updates):
    c = start
    for _ in range(updates): c = keep_masks(points, torch.cdist(points, c).argmin(1), c)
    return c, torch.cdist(points, c).argmin(1)
def labels_each_time(points, start, updates):
    c, labels = start, torch.cdist(points, start).argmin(1)
    for _ in range(updates):
        c = keep_where(points, labels, c)
        labels = torch.cdist(points, c).argmin(1)
    return [c, labels]
def labels_numpy(points, start, updates):
    c, labels = labels_after(points, start, updates)
    return c.numpy(), np.argmin(np.linalg.norm(points.numpy()[:, None] - c.numpy(), axis=2), axis=1)


def stale(points, start, updates):
    c = start
    for _ in range(updates):
        labels = torch.cdist(points, c).argmin(1)
        c = keep_masks(points, labels, c)
    return c, labels
def stale_squares(points, start, updates):
    c = start
    for _ in range(updates):
        labels = (points[:, None] - c).square().sum(-1).argmin(1)
        c = keep_clone(points, labels, c)
    return c.tolist(), labels.tolist()
def one_fewer(points, start, updates): return labels_after(points, start, updates - 1)
def one_more(points, start, updates): return labels_after(points, start, updates + 1)
def centroids_alone(points, start, updates): return labels_after(points, start, updates)[0]


def by_differences(points, centroids): return (points[:, None] - centroids).square().sum(-1).sqrt()
def by_cdist(points, centroids): return torch.cdist(points, centroids, compute_mode="donot_use_mm_for_euclid_dist")
def moved_back(points, centroids):
    middle = points.mean(0)
    return torch.cdist(points - middle, centroids - middle)
def in_float64(points, centroids): return by_differences(points.double(), centroids.double()).numpy()


def expanded(points, centroids): return ((points * points).sum(1)[:, None] + (centroids * centroids).sum(1) - 2 * (points[:, None] * centroids).sum(2)).clamp_min(0).sqrt()
def expanded_unclamped(points, centroids): return ((points**2).sum(1)[:, None] + (centroids**2).sum(1) - 2 * (points[:, None] * centroids).sum(2)).sqrt()
def squares(points, centroids): return (points[:, None] - centroids).square().sum(-1)
def lying(points, centroids): return (points[None] - centroids[:, None]).square().sum(-1).sqrt()
def each_by_its_own(points, centroids): return by_differences(points - points.mean(0), centroids - centroids.mean(0))


RIGHT = {
    "update_keeping": [keep_masks, keep_where, keep_clone],
    "lloyd_with_labels": [labels_after, labels_each_time, labels_numpy],
    "distances_at_any_offset": [by_differences, by_cdist, moved_back, in_float64],
    "nan_rows": [(1, 5, 5, 5, "smallest"), [1, 5, 5, 5, "Smallest"], (torch.tensor(1), 5.0, np.int64(5), 5, "smallest")],
    "gigabytes_of_distances": [(0.2, 6.4), [0.2, 6.4], torch.tensor([0.2, 6.4]), (100_000 * 500 * 4 / 1e9, 100_000 * 500 * 32 * 4 / 1e9)],
}
WRONG = {
    "update_keeping": [(bare, "nothing over nothing"), (bare_mean, "nothing over nothing"), (clamped, "empty at the origin"), (zeros_kept, "empty at the origin"),
                       (mean_of_all, "empty at the mean of all"), (more_than_one, "one point counts as none")],
    "lloyd_with_labels": [(stale, "labels before the last update"), (stale_squares, "labels before the last update"), (one_fewer, "centroids before the last update"), (one_more, "one update more"),
                          (centroids_alone, "centroids alone")],
    "distances_at_any_offset": [(expanded, "cancellation"), (expanded_unclamped, "cancellation"), (squares, "root forgotten"), (lying, "centroids first"), (each_by_its_own, "only one of the two is moved")],
    "nan_rows": [((1, 1, 1, 1, "smallest"), "an empty cluster harms nobody"), ((1, 2, 3, 4, "smallest"), "one more at a time"), ((1, 6, 6, 6, "smallest"), "all are lost"), ((1, 5, 5, 5, "ties"), "ties"),
                 ([1, 5, 5, torch.tensor(5), "Ties"], "ties")],
    "gigabytes_of_distances": [((0.4, 12.8), "eight bytes a number"), ((0.05, 1.6), "numbers, not bytes"), ((1.6, 51.2), "bits"), ((0.2, 0.2), "the same for both"), (torch.tensor([0.4, 12.8]), "eight bytes a number")],
}
