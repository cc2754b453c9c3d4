import math

import numpy as np
import torch


def weights(x, points, cutoff, f, d2=None):
    square = (points - x).square().sum(1)
    return f(square) * (square <= (cutoff if d2 else cutoff**2))
def mean_masked(x, points, cutoff):
    w = weights(x, points, cutoff, lambda s: torch.exp(-s / 2))
    return (w[:, None] * points).sum(0) / w.sum()
def mean_chosen(x, points, cutoff):
    distance = (points.double() - x).norm(dim=1)
    some, w = points[distance <= cutoff].double(), torch.exp(-0.5 * distance[distance <= cutoff] ** 2)
    return w @ some / w.sum()
def mean_numpy(x, points, cutoff):
    p = points.numpy().astype(float)
    d = np.linalg.norm(p - x.numpy(), axis=1)
    return np.average(p[d <= cutoff], axis=0, weights=np.exp(-d[d <= cutoff] ** 2 / 2))
def mean_no_half(x, points, cutoff):
    w = weights(x, points, cutoff, lambda s: torch.exp(-s))
    return w @ points / w.sum()
def mean_no_square(x, points, cutoff):
    w = weights(x, points, cutoff, lambda s: torch.exp(-s.sqrt() / 2))
    return w @ points / w.sum()
def mean_flat(x, points, cutoff): return points[(points - x).norm(dim=1) <= cutoff].mean(0)
def mean_by_count(x, points, cutoff):
    near = (points - x).norm(dim=1) <= cutoff
    w = torch.exp(-(points - x).square().sum(1) / 2)
    return (w[near, None] * points[near]).mean(0)
def mean_all(x, points, cutoff):
    w = torch.exp(-(points - x).square().sum(1) / 2)
    return w @ points / w.sum()
def mean_cut_square(x, points, cutoff):
    w = weights(x, points, cutoff, lambda s: torch.exp(-s / 2), True)
    return w @ points / w.sum()
def mean_loop(x, points, cutoff):
    top, bottom = torch.zeros_like(x), 0
    for p in points:
        if (p - x).norm() <= cutoff: top, bottom = top + p * torch.exp(-(p - x).square().sum() / 2), bottom + torch.exp(-(p - x).square().sum() / 2)
    return top / bottom


def cells_up(reach, side): return -int(-reach // side)
def cells_torch(reach, side): return torch.tensor(reach / side, dtype=torch.float64).ceil()
def cells_count(reach, side):
    count = 0
    while count * side < reach: count += 1
    return count
def cells_one(reach, side): return 1
def cells_next(reach, side): return torch.tensor(1)
def cells_down(reach, side): return math.floor(reach / side)
def cells_round(reach, side): return int(reach / side + 0.5)
def cells_more(reach, side): return math.floor(reach / side) + 1


W = math.exp(-12.5)
PULL = 5e5 * W / (1 + 1e5 * W)
RIGHT = {"near_mean": [mean_masked, mean_chosen, mean_numpy], "cells_each_way": [cells_up, cells_torch, cells_count], "crowd_pull": [(PULL, "many"), [torch.tensor(PULL), "many"], (1.36, "Many")]}
WRONG = {
    "near_mean": [(mean_no_half, "half forgotten"), (mean_no_square, "distance not squared"), (mean_flat, "flat kernel"), (mean_by_count, "divided by the number"), (mean_all, "nothing cut off"),
                  (mean_cut_square, "cutoff on the square"), (mean_loop, "a loop")],
    "cells_each_way": [(cells_one, "always the next cell"), (cells_next, "always the next cell"), (cells_down, "rounded down"), (cells_round, "rounded to the nearest"), (cells_more, "one too many")],
    "crowd_pull": [((0, "many"), "far is nothing"), ((5 * W, "many"), "one for all"), ((5e5 * W, "many"), "own weight forgotten"), ((5.0, "many"), "the crowd alone"), ((PULL, "far"), "distance as the reason")],
}
