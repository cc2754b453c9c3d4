"Answers to the exercises of lesson 11, nearest neighbours."
import math

import numpy as np
import torch


def others_by_sort(points, k):
    away = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")
    away.fill_diagonal_(math.inf)
    return away.sort(dim=1, stable=True).indices[:, :k]


def others_by_loop(points, k):
    rows = []
    for i, p in enumerate(points.tolist()):
        near = [(math.dist(p, q), j) for j, q in enumerate(points.tolist()) if j != i]
        rows.append([j for _, j in sorted(near)[:k]])
    return rows


def others_by_numpy(points, k):
    X = points.numpy().astype(np.float64)
    away = ((X[:, None] - X[None]) ** 2).sum(2)
    np.fill_diagonal(away, np.inf)
    return np.argsort(away, axis=1, kind="stable")[:, :k]


def with_itself(points, k): return ((points[:, None].double() - points.double()) ** 2).sum(2).sort(dim=1, stable=True).indices[:, :k]


def itself_by_place(points, k): return ((points[:, None].double() - points.double()) ** 2).sum(2).sort(dim=1, stable=True).indices[:, 1:k + 1]


def no_copies(points, k):
    away = ((points[:, None].double() - points.double()) ** 2).sum(2)
    if ((away > 0).sum(1) < k).any(): raise ValueError("too few")
    return away.masked_fill(away == 0, math.inf).sort(dim=1, stable=True).indices[:, :k]


def farthest(points, k):
    away = ((points[:, None].double() - points.double()) ** 2).sum(2).fill_diagonal_(-1)
    return away.sort(dim=1, stable=True, descending=True).indices[:, :k]


def their_distances(points, k): return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(math.inf).sort(1).values[:, :k]


def rising_rows(points, k): return others_by_sort(points, k).sort(1).values


def last_of_equal(points, k):
    away = ((points[:, None].double() - points.double()) ** 2).sum(2).fill_diagonal_(math.inf).flip(1)
    return len(points) - 1 - away.sort(dim=1, stable=True).indices[:, :k]


def any_of_equal(points, k):
    away, order = ((points[:, None].double() - points.double()) ** 2).sum(2).fill_diagonal_(math.inf), torch.randperm(len(points))
    return order[away[:, order].argsort(1)[:, :k]]


def mutual_by_compare(indices):
    me = torch.arange(len(indices))[:, None, None]
    return (indices[indices] == me).any(2).double().mean()


def mutual_by_keys(indices):
    n, k = indices.shape
    i = torch.arange(n).repeat_interleave(k)
    j = indices.flatten()
    return torch.isin(i * n + j, j * n + i).float().mean().item()


def mutual_by_numpy(indices):
    a = np.zeros((len(indices),) * 2)
    np.put_along_axis(a, indices.numpy(), 1, axis=1)
    return (a * a.T).sum() / a.sum()


def table(indices): return torch.zeros(len(indices), len(indices)).scatter_(1, indices, 1.0)


def by_loop(indices):
    count = 0
    for i in range(len(indices)):
        for j in indices[i].tolist(): count += i in indices[j].tolist()
    return count / indices.numel()


RIGHT = {
    "nearest_others": [others_by_sort, others_by_loop, others_by_numpy],
    "mutual_share": [mutual_by_compare, mutual_by_keys, mutual_by_numpy],
    "five_on_a_lattice": [[12, 7, 11, 13, 17], torch.tensor([12, 7, 11, 13, 17]), np.array([12, 7, 11, 13, 17])],
}
WRONG = {
    "nearest_others": [(with_itself, "itself among them"), (itself_by_place, "the first is not always itself"), (no_copies, "copies dropped"), (farthest, "the farthest"), (their_distances, "distances, not rows"),
                       (rising_rows, "by row, not by distance"), (last_of_equal, "ties the other way"), (any_of_equal, "ties left to chance")],
    "mutual_share": [(lambda indices: torch.tensor(1.0), "nearness is mutual"), (lambda indices: (table(indices) * table(indices).T).triu().sum() / indices.numel(), "each pair counted once"),
                     (lambda indices: (table(indices) * table(indices).T).sum() / len(indices), "divided by the points"), (lambda indices: int((table(indices) * table(indices).T).sum()), "a number, not a share"),
                     (lambda indices: (table(indices) * table(indices).T).any(1).float().mean(), "points, not pairs"), (lambda indices: (table(indices) * table(indices).T).mean(), "divided by all pairs of points"),
                     (by_loop, "a loop")],
    "five_on_a_lattice": [([7, 11, 13, 17, 6], "itself left out"), ((7, 11, 12, 13, 17), "sorted by row"), ((12, 11, 13, 10, 14), "rows next to it"), ((12, 17, 13, 11, 7), "ties the other way"),
                          (torch.tensor([12, 7, 13, 17, 11]), "around the clock")],
}
