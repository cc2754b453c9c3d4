"Answers to the exercises of lesson 04."
import math

import numpy as np
import torch


def settled_norm(new, old, tol): return torch.linalg.vector_norm(new - old, dim=1).max() <= tol
def settled_numpy(new, old, tol): return np.linalg.norm(new.numpy() - old.numpy(), axis=1).max() <= tol
def settled_loop(new, old, tol): return all(math.dist(p, q) <= tol for p, q in zip(new.tolist(), old.tolist()))
def settled_allclose(new, old, tol): return torch.allclose(new, old, atol=tol)
def settled_equal(new, old, tol): return torch.equal(new, old)
def settled_coordinates(new, old, tol): return ((new - old).abs() <= tol).all()
def settled_mean(new, old, tol): return (new - old).norm(dim=1).mean() <= tol
def settled_sign(new, old, tol): return (new - old).max() <= tol
def settled_square(new, old, tol): return (new - old).square().sum(1).max() <= tol


def stay_list(clusters, points, old): return [points[c].mean(0) if c else m for c, m in zip(clusters, old)]
def stay_where(clusters, points, old):
    means = torch.stack([points[c].mean(0) for c in clusters])
    return torch.where(means.isnan(), old, means)
def stay_numpy(clusters, points, old): return np.stack([points.numpy()[c].mean(0) if len(c) else m for c, m in zip(clusters, old.numpy())])
def stay_nan(clusters, points, old): return torch.stack([points[c].mean(0) for c in clusters])
def stay_origin(clusters, points, old): return torch.stack([points[c].sum(0) / max(len(c), 1) for c in clusters])
def stay_dropped(clusters, points, old): return torch.stack([points[c].mean(0) for c in clusters if c])
def stay_all(clusters, points, old): return torch.stack([points[c].mean(0) if c else points.mean(0) for c in clusters])
def stay_half(clusters, points, old): return torch.stack([(points[c].mean(0) + m) / 2 if c else m for c, m in zip(clusters, old)])


def ends(starts, points, updates=50):
    out = []
    for m in starts:
        m = m.clone()
        for _ in range(updates):
            label = torch.cdist(points, m).argmin(1)
            for j in label.unique(): m[j] = points[label == j].mean(0)
        out.append(torch.cdist(points, m).amin(1).square().sum())
    return torch.stack(out)
def best_min(starts, points): return ends(starts, points).min()
def best_item(starts, points): return min(e.item() for e in ends(starts, points))
def best_kept(starts, points):
    best = float("inf")
    for m in starts: best = min(best, float(ends(m[None], points)))
    return best
def best_first(starts, points): return ends(starts[:1], points)[0]
def best_last(starts, points): return ends(starts[-1:], points)[0]
def best_mean(starts, points): return ends(starts, points).mean()
def best_max(starts, points): return ends(starts, points).max()
def best_start(starts, points): return torch.cdist(points[None].expand(len(starts), -1, -1), starts).amin(2).square().sum(1).min()


def sum_cdist(points, centroids): return torch.cdist(points, centroids).min(1).values.square().sum()
def sum_broadcast(points, centroids): return ((points[:, None] - centroids) ** 2).sum(-1).min(-1)[0].sum().item()
def sum_numpy(points, centroids): return (((points.numpy()[:, None] - centroids.numpy()) ** 2).sum(2).min(1)).sum()
def sum_expanded(points, centroids):
    p, c = points.double(), centroids.double()
    return (p.square().sum(1)[:, None] + c.square().sum(1) - 2 * p @ c.T).amin(1).sum()
def sum_distances(points, centroids): return torch.cdist(points, centroids).amin(1).sum()
def sum_pairs(points, centroids): return torch.cdist(points, centroids).square().sum()
def sum_dim(points, centroids): return torch.cdist(points, centroids).amin(0).square().sum()
def sum_mean(points, centroids): return torch.cdist(points, centroids).amin(1).square().mean()
def sum_late(points, centroids): return torch.cdist(points, centroids).amin(1).sum() ** 2
def sum_loop(points, centroids): return sum((p - centroids).square().sum(1).min() for p in points)


RIGHT = {
    "settled": [settled_norm, settled_numpy, settled_loop],
    "means_or_stay": [stay_list, stay_where, stay_numpy],
    "best_of_starts": [best_min, best_item, best_kept],
    "wcss_without_loop": [sum_cdist, sum_broadcast, sum_numpy, sum_expanded],
    "same_rows": [[True, False, False, False], torch.tensor([True, False, False, False]), np.array([1, 0, 0, 0])],
    "apart_and_found": [[40, "crossing"], (torch.tensor(40), "Crossing"), (40.0, "crossing ")],
}
WRONG = {
    "settled": [(settled_allclose, "rtol has a say"), (settled_equal, "exactly equal"), (settled_coordinates, "coordinates, not distance"), (settled_mean, "the mean move"),
                (settled_sign, "a sign"), (settled_square, "the square")],
    "means_or_stay": [(stay_nan, "the mean of nothing"), (stay_origin, "an empty cluster at the origin"), (stay_dropped, "empty clusters are dropped"),
                      (stay_all, "the mean of all points"), (stay_half, "half-way")],
    "best_of_starts": [(best_first, "one start is enough"), (best_last, "the last start wins"), (best_mean, "the mean over starts"), (best_max, "the highest is kept"), (best_start, "the starts are compared")],
    "wcss_without_loop": [(sum_distances, "distances, not squared"), (sum_pairs, "all pairs"), (sum_dim, "the other dimension"), (sum_mean, "a mean"), (sum_late, "the square of the sum"), (sum_loop, "a loop")],
    "same_rows": [((True, True, False, False), "a seed is a seed on every device"), ([False] * 4, "a new generator draws others"), ((True, False, True, False), "the seed decides, not the function"),
                  ((True, False, False, True), "a draw before does not matter"), (torch.ones(4), "everything is the same")],
    "apart_and_found": [((300, "crossing"), "apart is easier"), ((64, "crossing"), "the old data"), ((40, "updates"), "more updates"), ([40, "seeds"], "the seeds are bad"), ((260, "crossing"), "the others are counted")],
}
