"Answers to the exercises of lesson 9: right ones in several styles, and wrong ones with the misconception that they must be told."
from itertools import permutations

import numpy as np
import torch


def lowest_loop(points, runs): return int(torch.stack([torch.cdist(points, c).min(1).values.square().sum() for c in runs]).argmin())
def lowest_at_once(points, runs): return (points[None, :, None] - runs[:, None]).square().sum(-1).amin(2).sum(1).argmin()
def lowest_numpy(points, runs): return np.argmin([(np.square(points.numpy()[:, None] - c.numpy()).sum(-1)).min(1).sum() for c in runs])


def not_squared(points, runs): return torch.stack([torch.cdist(points, c).min(1).values.sum() for c in runs]).argmin()
def highest(points, runs): return torch.stack([torch.cdist(points, c).min(1).values.square().sum() for c in runs]).argmax()
def even_sizes(points, runs): return torch.stack([torch.cdist(points, c).argmin(1).bincount(minlength=len(c)).max() for c in runs]).argmin()
def every_pair(points, runs): return torch.stack([torch.cdist(points, c).square().sum() for c in runs]).argmin()
def last_run(points, runs): return len(runs) - 1


def table(labels, truth, k): return torch.bincount(truth * k + labels, minlength=k * k).view(k, k)
def agree_table(labels, truth, k): return max(sum(table(labels, truth, k)[i, j] for i, j in enumerate(p)) for p in permutations(range(k)))
def agree_rename(labels, truth, k): return max((torch.tensor(p)[labels] == truth).sum().item() for p in permutations(range(k)))
def agree_numpy(labels, truth, k): return np.max([np.sum(np.array(p)[labels.numpy()] == truth.numpy()) for p in permutations(range(k))])


def same_names(labels, truth, k): return (labels == truth).sum()
def purity(labels, truth, k): return table(labels, truth, k).amax(0).sum()
def coverage(labels, truth, k): return table(labels, truth, k).amax(1).sum()
def share(labels, truth, k): return agree_rename(labels, truth, k) / len(labels)
def same_names_list(labels, truth, k): return sum(a == b for a, b in zip(labels, truth))


def draw_cdist(points, centroids):
    w = torch.cdist(points, centroids).amin(1) ** 2
    return w / w.sum()
def draw_axes(points, centroids):
    w = (points[:, None] - centroids).square().sum(-1).min(1).values.double()
    return w.div(w.sum())
def draw_numpy(points, centroids):
    w = np.square(points.numpy()[:, None] - centroids.numpy()).sum(-1).min(1)
    return w / w.sum()


def draw_distances(points, centroids):
    w = torch.cdist(points, centroids).amin(1)
    return w / w.sum()
def draw_last(points, centroids):
    w = (points - centroids[-1]).square().sum(1)
    return w / w.sum()
def draw_far(points, centroids):
    w = torch.cdist(points, centroids).amax(1).square()
    return w / w.sum()
def draw_weights(points, centroids): return torch.cdist(points, centroids).amin(1).square()
def draw_loop(points, centroids):
    w = torch.stack([(p - centroids).square().sum(1).min() for p in points])
    return w / w.sum()


RIGHT = {
    "best_run": [lowest_loop, lowest_at_once, lowest_numpy],
    "merged_runs": [(39, "inertia"), [torch.tensor(39), "Inertia"], (39.0, "inertia ")],
    "agreement": [agree_table, agree_rename, agree_numpy],
    "next_draw": [draw_cdist, draw_axes, draw_numpy],
}
WRONG = {
    "best_run": [(not_squared, "distances not squared"), (highest, "the worst run"), (even_sizes, "the most even sizes"), (every_pair, "all pairs"), (last_run, "the last run")],
    "merged_runs": [((0, "inertia"), "k-means finds the answer"), ((11, "inertia"), "the good runs"), ((39, "colours"), "seen by the colours"), ((39, "error"), "seen by an error"), ([torch.tensor(11), "Inertia"], "the good runs")],
    "agreement": [(same_names, "names compared"), (same_names_list, "names compared"), (purity, "one name twice"), (coverage, "one cluster twice"), (share, "a share, not a count")],
    "next_draw": [(draw_distances, "distances not squared"), (draw_last, "the last centroid alone"), (draw_far, "the farthest centroid"), (draw_weights, "not divided by the sum"), (draw_loop, "a loop")],
}
