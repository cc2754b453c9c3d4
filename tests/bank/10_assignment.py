"Right and wrong answers to the exercises of lesson 10, the nearest centroid."
import math

import numpy as np
import torch


def by_differences(points, centroids): return (points[:, None] - centroids).square().sum(2).argmin(1)
def scores(points, centroids): return points @ centroids.T - centroids.square().sum(1) / 2
def by_numpy(points, centroids): return (points.numpy() @ centroids.numpy().T - 0.5 * (centroids.numpy() ** 2).sum(1)).argmax(1)
def by_list(points, centroids): return scores(points.double(), centroids.double()).max(1).indices.tolist()
def by_loop(points, centroids): return [scores(p[None], centroids).argmax().item() for p in points]
def expanded(points, centroids): return points.square().sum(1)[:, None] - 2 * points @ centroids.T + centroids.square().sum(1)


def centred(points, centroids):
    mean = points.mean(0)
    return expanded(points - mean, centroids - mean)


def at_a_centroid(points, centroids): return expanded(points - centroids[0], centroids - centroids[0])
def squares_by_loop(points, centroids): return torch.stack([(points - c).pow(2).sum(1) for c in centroids], 1)
def squares_by_numpy(points, centroids): return ((points.numpy()[:, None] - centroids.numpy()) ** 2).sum(-1)


RIGHT = {
    "labels_by_scores": [lambda points, centroids: scores(points, centroids).argmax(1), by_numpy, by_list, by_differences],
    "squares_anywhere": [squares_by_loop, squares_by_numpy, lambda points, centroids: expanded(points.double(), centroids.double()),
                         lambda points, centroids: torch.cdist(points, centroids, compute_mode="donot_use_mm_for_euclid_dist") ** 2],
    "score_step": [(4.0, "steps"), (4, "Steps"), [torch.tensor(4.0), "steps"], (np.spacing(np.float32(5e7)), "steps")]}
WRONG = {
    "labels_by_scores": [(lambda points, centroids: (points @ centroids.T).argmax(1), "length forgotten"),
                         (lambda points, centroids: (points @ centroids.T - centroids.square().sum(1)).argmax(1), "half forgotten"),
                         (lambda points, centroids: (points @ centroids.T - centroids.norm(dim=1) / 2).argmax(1), "length not squared"),
                         (lambda points, centroids: scores(points, centroids).argmin(1), "smallest score"),
                         (lambda points, centroids: (points @ centroids.T - points.square().sum(1, keepdim=True) / 2).argmax(1), "length forgotten"),
                         (lambda points, centroids: scores(points, centroids).amax(1), "score, not its place"),
                         (lambda points, centroids: scores(points, centroids).argmax(0), "searched over the points"),
                         (by_loop, "a loop"), (lambda points, centroids: torch.cdist(points, centroids).argmin(1), "a forbidden word")],
    "squares_anywhere": [(expanded, "cancellation"), (lambda points, centroids: expanded(points, centroids).clamp_min(0), "the clamp hides it"),
                         (lambda points, centroids: expanded(points, centroids).relu(), "the clamp hides it"), (centred, "the mean is not enough"), (at_a_centroid, "the mean is not enough"),
                         (lambda points, centroids: squares_by_loop(points, centroids).sqrt(), "root taken"), (lambda points, centroids: squares_by_loop(points, centroids).T, "turned around"),
                         (lambda points, centroids: (points[:, None] - centroids) ** 2, "features not summed")],
    "score_step": [((4.0, "range"), "too large for float32"), ((4.0, "offset"), "the origin is to blame"), ((torch.finfo(torch.float32).eps, "steps"), "relative, not absolute"),
                   ((torch.finfo(torch.float32).eps * 5e7, "steps"), "bound, not step"), ((math.nextafter(5e7, math.inf) - 5e7, "steps"), "measured in float64")]}
