"Answers to the exercises of lesson 11, a grid of sorted points."
import math

import numpy as np
import torch


def cells_by_numpy(points, query, side):
    X, q = points.numpy(), query.numpy()
    low = X.min(0)
    gap = np.abs(np.floor((X - low) / side) - np.floor((q - low) / side))
    return np.flatnonzero((gap <= 1).all(1))


def cells_by_loop(points, query, side):
    low, rows = points.amin(0), []
    own = ((query - low) / side).floor()
    for i, p in enumerate(points):
        if (((p - low) / side).floor() - own).abs().max() <= 1: rows.append(i)
    return rows


def cells_in_float64(points, query, side):
    low = points.double().amin(0)
    cells, own = (torch.div(x.double() - low, side, rounding_mode="floor").long() for x in (points, query))
    return ((cells - own).abs() <= 1).all(1).nonzero().squeeze(1)


def own_cell(points, query, side):
    low = points.amin(0)
    return (((points - low) / side).floor() == ((query - low) / side).floor()).all(1).nonzero()[:, 0]


def cross(points, query, side):
    low = points.amin(0)
    return ((((points - low) / side).floor() - ((query - low) / side).floor()).abs().sum(1) <= 1).nonzero()[:, 0]


def cut(points, query, side):
    low = points.amin(0)
    return ((((points - low) / side).long() - ((query - low) / side).long()).abs().amax(1) <= 1).nonzero()[:, 0]


def rounded(points, query, side):
    low = points.amin(0)
    return ((((points - low) / side).round() - ((query - low) / side).round()).abs().amax(1) <= 1).nonzero()[:, 0]


def box(points, query, side): return ((points - query).abs() <= side).all(1).nonzero()[:, 0]


def from_zero(points, query, side): return (((points / side).floor() - (query / side).floor()).abs().amax(1) <= 1).nonzero()[:, 0]


def within(points, query, side): return (torch.linalg.vector_norm(points - query, dim=1) <= side).nonzero()[:, 0]


def mask(points, query, side):
    low = points.amin(0)
    return (((points - low) / side).floor() - ((query - low) / side).floor()).abs().amax(1) <= 1


def positions_by_loop(begin, end):
    total, reached = 0, 0
    for a, b in zip(begin.tolist(), end.tolist()): total, reached = total + max(0, b - max(a, reached)), max(b, reached)
    return total


def positions_by_mask(begin, end):
    at = torch.arange(int(end.max()) + 1)
    return ((begin[:, None] <= at) & (at < end[:, None])).any(0).sum()


def positions_by_clamp(begin, end):
    before = torch.cat([begin[:1], end[:-1]])
    return (end - torch.maximum(begin, before)).clamp_min(0).sum().item()


RIGHT = {
    "near_cells": [cells_by_numpy, cells_by_loop, cells_in_float64],
    "ranges_by_dimension": [[1, 3, 9, 27], torch.tensor([1, 3, 9, 27]), tuple(3 ** d for d in range(4)), np.array([1.0, 3, 9, 27])],
    "positions_held": [positions_by_loop, positions_by_mask, positions_by_clamp],
}
WRONG = {
    "near_cells": [(own_cell, "its own cell alone"), (cross, "corners forgotten"), (cut, "cut instead of floored"), (rounded, "rounded instead of floored"), (box, "a box around the query"),
                   (from_zero, "cells begin at zero"), (within, "within the radius already"), (mask, "a mask, not rows")],
    "ranges_by_dimension": [((3, 9, 27, 81), "cells, not ranges"), ([1, 2, 3, 4], "one more for each axis"), (torch.tensor([1, 3, 6, 9]), "three for each axis"), ((1, 3, 5, 7), "corners forgotten"),
                            ((1,) * 4, "the whole range without its neighbours")],
    "positions_held": [(lambda begin, end: (end - begin).sum(), "overlaps counted twice"), (lambda begin, end: end.max() - begin.min(), "gaps counted"),
                       (lambda begin, end: len(torch.cat([torch.arange(a, b + 1) for a, b in zip(begin.tolist(), end.tolist())]).unique()), "the end counted"),
                       (lambda begin, end: (end[1:] - torch.maximum(begin[1:], end[:-1])).sum(), "the first range forgotten"), (lambda begin, end: begin.numel(), "ranges, not positions")],
}
