"Answers to the exercises of lesson 8: right ones in several styles, and wrong ones with the misconception that they must be told."
import math

import numpy as np
import torch
import torch.nn.functional as F


def sums_index_add(points, labels, k): return points.new_zeros(k, points.shape[1]).index_add_(0, labels, points)
def sums_scatter(points, labels, k): return torch.zeros(k, points.shape[1]).scatter_add_(0, labels[:, None].expand_as(points), points)
def sums_one_hot(points, labels, k): return F.one_hot(labels, k).T.double() @ points.double()
def sums_numpy(points, labels, k):
    out = np.zeros((k, points.shape[1]))
    np.add.at(out, labels.numpy(), points.numpy())
    return out


def sums_column(points, labels, k): return torch.zeros(k, points.shape[1]).scatter_add_(0, labels[:, None], points)
def sums_plus_equal(points, labels, k):
    out = torch.zeros(k, points.shape[1])
    out[labels] += points
    return out
def sums_mean(points, labels, k):
    counts = labels.bincount(minlength=k).clamp_min(1)
    return sums_index_add(points, labels, k) / counts[:, None]
def sums_short(points, labels, k): return F.one_hot(labels).T.float() @ points
def sums_short_2(points, labels, k): return torch.zeros(labels.max() + 1, points.shape[1]).index_add_(0, labels, points)
def sums_loop(points, labels, k): return torch.stack([points[labels == j].sum(0) for j in range(k)])


def index(points, labels): return labels[:, None].expand_as(points)
def means_clone(points, labels, old): return old.clone().scatter_reduce_(0, index(points, labels), points, reduce="mean", include_self=False)
def means_where(points, labels, old):
    counts = labels.bincount(minlength=len(old))[:, None]
    return torch.where(counts > 0, torch.zeros_like(old).index_add_(0, labels, points) / counts, old)
def means_masks(points, labels, old): return [points[labels == j].double().mean(0) if (labels == j).any() else c for j, c in enumerate(old)]


def means_phantom(points, labels, old): return torch.zeros_like(old).scatter_reduce_(0, index(points, labels), points, reduce="mean")
def means_phantom_where(points, labels, old):
    counts = labels.bincount(minlength=len(old))[:, None]
    return torch.where(counts > 0, means_phantom(points, labels, old), old)
def means_old_counts(points, labels, old): return old.clone().scatter_reduce_(0, index(points, labels), points, reduce="mean")
def means_origin(points, labels, old): return torch.zeros_like(old).scatter_reduce_(0, index(points, labels), points, reduce="mean", include_self=False)
def means_clamped(points, labels, old): return torch.zeros_like(old).index_add_(0, labels, points) / labels.bincount(minlength=len(old)).clamp_min(1)[:, None]
def means_nan(points, labels, old): return torch.stack([points[labels == j].mean(0) for j in range(len(old))])
def means_in_place(points, labels, old): return old.scatter_reduce_(0, index(points, labels), points, reduce="mean", include_self=False)


def overtake(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point):
    ahead, gain = 5 * launches + 10 * waits - cpu_fixed, cpu_a_point - bytes_a_point / 1e6
    return 0 if ahead <= 0 else ahead / gain if gain > 0 else math.inf
def overtake_tensor(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point): return torch.tensor(overtake(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point))
def overtake_max(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point):
    gain = cpu_a_point - bytes_a_point * 1e-6
    return max(0.0, (launches * 5.0 + waits * 10.0 - cpu_fixed) / gain) if gain > 0 else float("inf")


def always(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point): return 0
def always_float(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point): return 0.0
def no_waits(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point): return overtake(launches, 0, bytes_a_point, cpu_fixed, cpu_a_point)
def no_launches(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point): return overtake(0, waits, bytes_a_point, cpu_fixed, cpu_a_point)
def no_bytes(launches, waits, bytes_a_point, cpu_fixed, cpu_a_point): return max(0, (5 * launches + 10 * waits - cpu_fixed) / cpu_a_point)


RIGHT = {
    "sums_by_label": [sums_index_add, sums_scatter, sums_one_hot, sums_numpy],
    "means_without_phantom": [means_clone, means_where, means_masks],
    "phantom_pull": [6, 6.0, torch.tensor(6.0), np.float64(6)],
    "waits_of_a_guard": [(6, 100, "clusters"), [6, torch.tensor(100), "Clusters"], (6.0, 100.0, "clusters ")],
    "points_to_overtake": [overtake, overtake_tensor, overtake_max],
}
WRONG = {
    "sums_by_label": [(sums_column, "one column only"), (sums_plus_equal, "one point a label"), (sums_mean, "means for sums"), (sums_short, "no row for the empty"),
                      (sums_short_2, "no row for the empty"), (sums_loop, "a loop")],
    "means_without_phantom": [(means_phantom, "the phantom zero"), (means_phantom_where, "the phantom zero, empty ones kept"), (means_old_counts, "the old centroid counts"),
                              (means_origin, "empty at the origin"), (means_clamped, "empty at the origin"), (means_nan, "nothing over nothing"), (means_in_place, "changed argument")],
    "phantom_pull": [(7.5, "four points, not five"), (30 / 4, "four points, not five"), (24, "the place, not the pull"), (0, "no pull"), (torch.tensor(0.0), "no pull")],
    "waits_of_a_guard": [((1, 1, "clusters"), "one wait for all"), ([1, 1, "Clusters"], "one wait for all"), ((6, 100, "points"), "the points"), ((6, 100, "bytes"), "the bytes"),
                         ((torch.tensor(6), 100, "Points"), "the points")],
    "points_to_overtake": [(always, "the GPU is always faster"), (always_float, "the GPU is always faster"), (no_waits, "waits are free"), (no_launches, "launches are free"), (no_bytes, "the bytes are free")],
}
