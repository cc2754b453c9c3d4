"Right and wrong answers to the exercises of lesson 10, k-means."
import math

import numpy as np
import torch
from torch.nn import functional as F


def table(labels, truth): return torch.zeros(8, 8).index_put_((labels, truth), torch.tensor(1.0), accumulate=True)
def moved(old, new): return (new - old).square().sum()
def spread(points): return points.var(0, correction=0)


def purity_by_numpy(labels, truth):
    labels, truth = labels.numpy(), truth.numpy()
    return sum(np.bincount(truth[labels == c]).max() for c in np.unique(labels)) / len(labels)


def nearest(points, centroids): return (points[:, None] - centroids).square().sum(2).argmin(1)


def update(points, centroids, labels, empty=None):
    means = []
    for j, c in enumerate(centroids):
        own = points[labels == j]
        means.append(own.mean(0) if len(own) or empty is None else c if empty == "keep" else torch.zeros_like(c))
    return torch.stack(means)


def fitted(points, centroids, steps):
    for _ in range(steps): centroids = update(points, centroids, nearest(points, centroids), "keep")
    return centroids, nearest(points, centroids)


def fitted_double(points, centroids, steps): return fitted(points.double(), centroids.double(), steps)
def fitted_list(points, centroids, steps): return [t.tolist() for t in fitted(points, centroids, steps)]


def fitted_by_sums(points, centroids, steps):
    for _ in range(steps):
        hot = F.one_hot(nearest(points, centroids), len(centroids)).float()
        count = hot.sum(0)[:, None]
        centroids = torch.where(count > 0, hot.T @ points / count.clamp(min=1), centroids)
    return centroids, nearest(points, centroids)


def stale(points, centroids, steps):
    for _ in range(steps):
        labels = nearest(points, centroids)
        centroids = update(points, centroids, labels, "keep")
    return centroids, labels


def once_more(points, centroids, steps):
    for _ in range(steps + 1): labels, centroids = nearest(points, centroids), update(points, centroids, nearest(points, centroids), "keep")
    return centroids, labels


def with_nan(points, centroids, steps):
    for _ in range(steps): centroids = update(points, centroids, nearest(points, centroids))
    return centroids, torch.cdist(points, centroids).argmin(1)


def at_the_origin(points, centroids, steps):
    for _ in range(steps): centroids = update(points, centroids, nearest(points, centroids), "origin")
    return centroids, nearest(points, centroids)


def sums(points, labels, k): return torch.zeros(k, points.shape[1]).index_add_(0, labels, points)
def masses(labels, weights, k): return torch.zeros(k).index_add_(0, labels, weights)[:, None]
def counts(labels, k): return labels.bincount(minlength=k)[:, None]


def means_by_loop(points, labels, weights, k):
    return torch.stack([(points * weights[:, None])[labels == j].sum(0) / weights[labels == j].sum() for j in range(k)])


def means_by_scatter(points, labels, weights, k):
    return torch.zeros(k, points.shape[1]).scatter_reduce_(0, labels[:, None].expand_as(points), points * weights[:, None], "mean")


def means_by_bincount(points, labels, weights, k):
    hot = (labels == torch.arange(k)[:, None]) * weights.double()
    return hot @ points.double() / hot.sum(1, keepdim=True)


RIGHT = {
    "forgy_finds": [(23, "start"), (torch.tensor(25), "Start"), [27, "start"], (np.int64(24), "start")],
    "purity": [purity_by_numpy, lambda labels, truth: table(labels, truth).amax(1).sum() / len(labels), lambda labels, truth: float((F.one_hot(labels).T @ F.one_hot(truth)).max(1)[0].sum()) / labels.numel()],
    "has_converged": [lambda old, new, points, tol: bool(moved(old, new) <= tol * spread(points).mean()), lambda old, new, points, tol: torch.dist(old.double(), new.double()) ** 2 <= tol * spread(points.double()).mean(),
                      lambda old, new, points, tol: ((new - old).numpy() ** 2).sum() <= tol * points.numpy().var(0).mean()],
    "fit_lloyd": [fitted, fitted_double, fitted_list, fitted_by_sums],
    "means_by_weight": [lambda points, labels, weights, k: sums(points * weights[:, None], labels, k) / masses(labels, weights, k), means_by_bincount,
                       lambda points, labels, weights, k: torch.einsum("nk,n,nd->kd", F.one_hot(labels, k).float(), weights, points) / labels.bincount(weights, minlength=k)[:, None]]}
WRONG = {
    "forgy_finds": [((100, "start"), "k-means finds the answer"), ((97, "start"), "k-means finds the answer"), ((25, "iterations"), "more iterations would help"), ((25, "data"), "the data are to blame"), ((0.25, "start"), "a share, not a count")],
    "purity": [(lambda labels, truth: (labels == truth).float().mean(), "numbers mean something"), (lambda labels, truth: (labels == truth).sum() / len(truth), "numbers mean something"),
               (lambda labels, truth: table(labels, truth).amax(0).sum() / len(labels), "the other way round"), (lambda labels, truth: table(labels, truth).amax(1).sum(), "a number, not a share"),
               (lambda labels, truth: (table(labels, truth).amax(1) / table(labels, truth).sum(1)).nanmean(), "clusters count alike"), (lambda labels, truth: truth.bincount().max() / len(truth), "the most frequent of all")],
    "has_converged": [(lambda old, new, points, tol: torch.equal(old, new), "converged means equal"), (lambda old, new, points, tol: torch.allclose(old, new), "converged means allclose"),
                      (lambda old, new, points, tol: moved(old, new) <= tol, "tol has a unit"), (lambda old, new, points, tol: moved(old, new).sqrt() <= tol * spread(points).mean(), "not squared"),
                      (lambda old, new, points, tol: (new - old).square().sum(1).max() <= tol * spread(points).mean(), "the largest alone"), (lambda old, new, points, tol: moved(old, new) <= tol * spread(points).sum(), "the sum of variances"),
                      (lambda old, new, points, tol: moved(old, new) <= tol * spread(points).mean().sqrt(), "spread for variance")],
    "fit_lloyd": [(stale, "labels before the last update"), (once_more, "one update more"), (with_nan, "the mean of no points"), (at_the_origin, "an empty cluster goes to the origin"),
                  (lambda points, centroids, steps: fitted(points, centroids, steps)[1], "centroids not returned")],
    "means_by_weight": [(lambda points, labels, weights, k: sums(points, labels, k) / counts(labels, k), "weights forgotten"), (lambda points, labels, weights, k: sums(points * weights[:, None], labels, k) / counts(labels, k), "divided by the count"),
                       (lambda points, labels, weights, k: sums(points, labels, k) / masses(labels, weights, k), "weighted below, not above"), (lambda points, labels, weights, k: sums(points * weights[:, None], labels, k), "sums, not means"),
                       (lambda points, labels, weights, k: sums(points * weights[:, None], labels, k) / weights.sum(), "divided by all the weight"), (means_by_scatter, "the phantom point"), (means_by_loop, "a loop")]}
