import math

import numpy as np
import torch


def core_cdist(points, eps, min_samples): return (torch.cdist(points.double(), points.double()) <= eps).sum(1) >= min_samples
def core_broadcast(points, eps, min_samples): return ((points[:, None] - points[None]).square().sum(-1) <= eps**2).sum(1) >= min_samples
def core_numpy(points, eps, min_samples):
    x = points.numpy()
    return (np.linalg.norm(x[:, None] - x[None], axis=-1) <= eps).sum(1) >= min_samples
def core_open(points, eps, min_samples): return (torch.cdist(points, points) < eps).sum(1) >= min_samples
def core_more(points, eps, min_samples): return (torch.cdist(points, points) <= eps).sum(1) > min_samples
def core_minus(points, eps, min_samples): return (torch.cdist(points, points) <= eps).sum(1) - 1 >= min_samples
def core_square(points, eps, min_samples): return ((points[:, None] - points).square().sum(2) <= eps).sum(1) >= min_samples
def core_border(points, eps, min_samples):
    near = torch.cdist(points, points) <= eps
    return (near & (near.sum(1) >= min_samples)).any(1)
def core_loop(points, eps, min_samples): return torch.tensor([(torch.cdist(p[None], points) <= eps).sum() >= min_samples for p in points])


def grow(points, eps, min_samples, start, all_spread=False, once=False, more=False):
    near = torch.cdist(points.double(), points.double()) <= eps
    core = near.sum(1) > min_samples if more else near.sum(1) >= min_samples
    found = torch.zeros(len(points), dtype=torch.bool)
    found[start] = True
    for _ in range(1 if once else len(points)): found = found | near[found if all_spread else found & core].any(0)
    return found, core
def cluster_mask(points, eps, min_samples, start): return grow(points, eps, min_samples, start)[0]
def cluster_queue(points, eps, min_samples, start):
    rows, seen, queue = points.tolist(), {start}, [start]
    while queue:
        near = [j for j, y in enumerate(rows) if math.dist(rows[queue[0]], y) <= eps]
        queue.pop(0)
        if len(near) < min_samples: continue
        queue += [j for j in near if j not in seen]
        seen |= set(near)
    return [i in seen for i in range(len(rows))]
def cluster_power(points, eps, min_samples, start):
    near = (torch.cdist(points, points) <= eps).double()
    core = near.sum(1) >= min_samples
    step, found = near * core[:, None], torch.eye(len(points)).double()[start]
    for _ in points: found = ((found + found @ step) > 0).double()
    return found.numpy() > 0
def cluster_spread(points, eps, min_samples, start): return grow(points, eps, min_samples, start, all_spread=True)[0]
def cluster_spread_queue(points, eps, min_samples, start):
    near, queue, seen = torch.cdist(points, points) <= eps, [start], {start}
    while queue:
        for j in near[queue.pop()].nonzero()[:, 0].tolist():
            if j not in seen:
                seen.add(j)
                queue.append(j)
    return [i in seen for i in range(len(points))]
def cluster_core_only(points, eps, min_samples, start):
    found, core = grow(points, eps, min_samples, start)
    return found & core
def cluster_once(points, eps, min_samples, start): return torch.cdist(points, points)[start] <= eps
def cluster_more(points, eps, min_samples, start): return grow(points, eps, min_samples, start, more=True)[0]


def same_matrix(a, b): return torch.equal(a[:, None] == a, b[:, None] == b) and torch.equal(a < 0, b < 0)
def same_dict(a, b):
    there, back = {-1: -1}, {-1: -1}
    return all(there.setdefault(x, y) == y and back.setdefault(y, x) == x for x, y in zip(a.tolist(), b.tolist()))
def same_unique(a, b):
    pairs = torch.stack([a, b], 1).unique(dim=0)
    return bool(len(pairs) == len(a.unique()) == len(b.unique()) and ((a == -1) == (b == -1)).all())
def same_equal(a, b): return torch.equal(a, b)
def same_all(a, b): return bool((a == b).all())
def same_one_way(a, b):
    there = {-1: -1}
    return torch.equal(a < 0, b < 0) and all(there.setdefault(x, y) == y for x, y in zip(a.tolist(), b.tolist()))
def same_sizes(a, b): return a.unique(return_counts=True)[1].sort()[0].tolist() == b.unique(return_counts=True)[1].sort()[0].tolist()
def same_noise(a, b): return torch.equal(a[:, None] == a, b[:, None] == b)


RIGHT = {"core_points": [core_cdist, core_broadcast, core_numpy], "cluster_of": [cluster_mask, cluster_queue, cluster_power], "same_clusters": [same_matrix, same_dict, same_unique],
         "clusters_and_noise": [(3, 3), [3, 3], torch.tensor([3, 3])], "ten_times": [(660, "unit"), [660.0, "Unit"], (torch.tensor(660), "unit")]}
WRONG = {
    "core_points": [(core_open, "eps excluded"), (core_more, "itself not counted"), (core_minus, "itself not counted"), (core_square, "square against radius"), (core_border, "borders are core"), (core_loop, "a loop")],
    "cluster_of": [(cluster_spread, "borders spread"), (cluster_spread_queue, "borders spread"), (cluster_core_only, "borders left out"), (cluster_once, "one step only"), (cluster_more, "itself not counted")],
    "same_clusters": [(same_equal, "numbers compared"), (same_all, "numbers compared"), (same_one_way, "one direction"), (same_sizes, "sizes compared"), (same_noise, "noise renamed")],
    "clusters_and_noise": [((4, 3), "noise is a cluster"), ([4, 3], "noise is a cluster"), ((2, 3), "largest label"), ((3, 1), "noise is one"), (torch.tensor([2, 3]), "largest label")],
    "ten_times": [((40, "unit"), "scale does not matter"), ([40, "unit"], "scale does not matter"), ((660, "shape"), "shape blamed"), ((660.0, "Shape"), "shape blamed"), ((torch.tensor(660), "shape"), "shape blamed")],
}
