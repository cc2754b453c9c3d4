"Answers to the exercises of lesson 11, neighbours by inner products."
import numpy as np
import torch


def kth(scores, k): return scores.topk(k, largest=False).values[:, -1:]


def by_topk(scores, k, bound): return scores <= kth(scores, k) + 2 * bound[:, None]
def by_kthvalue(scores, k, bound): return (scores - scores.kthvalue(k, dim=1, keepdim=True).values - bound[:, None] - bound[:, None] <= 0).int()
def by_numpy(scores, k, bound): return scores.numpy() <= np.partition(scores.numpy(), k - 1, axis=1)[:, k - 1:k] + 2 * bound.numpy()[:, None]
def by_count(scores, k, bound): return (scores[:, :, None] > scores[:, None] + 2 * bound[:, None, None]).sum(2) < k


def k_at_chance(scores, k, bound): return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.topk(k, largest=False).indices, True)


def k_last_of_equal(scores, k, bound):
    order = scores.flip(1).argsort(dim=1, stable=True)[:, :k]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.shape[1] - 1 - order, True)


def by_rows(scores, k, bound): return torch.stack([s <= s.sort().values[k - 1] + 2 * b for s, b in zip(scores, bound)])


def squares(queries, points, names): return (queries[:, None].double() - points.double()[names]).square().sum(2)


def sorted_first(queries, points, names, k):
    names, _ = names.sort(1)
    return names.gather(1, squares(queries, points, names).argsort(dim=1, stable=True)[:, :k])


def sorted_twice(queries, points, names, k):
    away = squares(queries, points, names)
    by_name = names.argsort(1)
    order = by_name.gather(1, away.gather(1, by_name).sort(dim=1, stable=True).indices)
    return names.gather(1, order)[:, :k]


def by_lexsort(queries, points, names, k):
    rows = []
    for q, few in zip(queries.numpy().astype(np.float64), names.numpy()):
        away = ((points.numpy()[few].astype(np.float64) - q) ** 2).sum(1)
        rows.append(few[np.lexsort((few, away))][:k])
    return np.stack(rows)


def by_masking(queries, points, names, k):
    everyone = torch.arange(len(points)).expand(len(queries), -1)
    away = squares(queries, points, everyone)
    return torch.full_like(away, torch.inf).scatter_(1, names, away.gather(1, names)).argsort(dim=1, stable=True)[:, :k]


def only_places(queries, points, names, k): return squares(queries, points, names).argsort(dim=1, stable=True)[:, :k]
def sorted_places(queries, points, names, k): return squares(queries, points, names.sort(1).values).argsort(dim=1, stable=True)[:, :k]
def ties_by_place(queries, points, names, k): return names.gather(1, only_places(queries, points, names, k))
def mixed_lists(queries, points, names, k): return names.gather(1, sorted_places(queries, points, names, k))


def ties_backwards(queries, points, names, k):
    names = names.sort(1, descending=True).values
    return names.gather(1, squares(queries, points, names).sort(dim=1, stable=True).indices[:, :k])


def ties_by_chance(queries, points, names, k):
    names = names.sort(1).values.gather(1, torch.rand(names.shape).argsort(1))
    return names.gather(1, squares(queries, points, names).argsort(1)[:, :k])


def farthest(queries, points, names, k):
    names = names.sort(1).values
    return names.gather(1, squares(queries, points, names).sort(dim=1, descending=True, stable=True).indices[:, :k])


def in_float32(queries, points, names, k):
    names = names.sort(1).values
    return names.gather(1, ((points[names] - queries[:, None]) ** 2).sum(-1).argsort(dim=1, stable=True)[:, :k])


def whole_lists(queries, points, names, k): return sorted_first(queries, points, names, names.shape[1])
def among_all(queries, points, names, k): return squares(queries, points, torch.arange(len(points)).expand(len(queries), -1)).argsort(dim=1, stable=True)[:, :k]


RIGHT = {
    "within_rounding": [by_topk, by_kthvalue, by_numpy, by_count],
    "ranked": [sorted_first, sorted_twice, by_lexsort, by_masking],
    "where_one_is_lost": [(4096, "squares"), (2.0**12, "Squares"), (torch.tensor(4096.0), "squares"), [np.float32(4096), "squares"]],
}
WRONG = {
    "within_rounding": [(lambda scores, k, bound: scores <= kth(scores, k), "no slack"), (lambda scores, k, bound: scores <= kth(scores, k) + bound[:, None], "the bound once"),
                        (lambda scores, k, bound: scores <= kth(scores, k) - 2 * bound[:, None], "the slack taken off"), (lambda scores, k, bound: scores <= kth(scores, k) + 2 * bound, "the bound along the points"),
                        (lambda scores, k, bound: scores <= kth(scores, k)[:, 0] + 2 * bound, "the limit along the points"), (lambda scores, k, bound: scores <= kth(scores, k) + 2 * bound.max(), "one bound for all"),
                        (lambda scores, k, bound: scores <= scores.sort(1).values[:, k, None] + 2 * bound[:, None], "k counted from 0"), (lambda scores, k, bound: scores <= kth(scores, min(k + 1, scores.shape[1])) + 2 * bound[:, None], "k counted from 0"),
                        (lambda scores, k, bound: scores <= scores.amin(1, keepdim=True) + 2 * bound[:, None], "the first, not the k-th"), (k_at_chance, "exactly k kept"), (k_last_of_equal, "exactly k kept"),
                        (lambda scores, k, bound: scores < kth(scores, k) + 2 * bound[:, None], "strict comparison"), (lambda scores, k, bound: scores <= scores.topk(k).values[:, -1:] + 2 * bound[:, None], "the largest"), (by_rows, "a loop")],
    "ranked": [(only_places, "places, not names"), (sorted_places, "places in sorted names"), (ties_by_place, "ties by place"), (mixed_lists, "places in the wrong list"), (ties_backwards, "ties the other way"), (ties_by_chance, "ties left to chance"),
               (lambda *a: sorted_first(*a).sort(1).values, "by name, not by distance"), (farthest, "the farthest"),
               (lambda queries, points, names, k: squares(queries, points, names).sort(1).values[:, :k], "distances, not names"), (in_float32, "squares in float32"), (among_all, "all points searched"), (whole_lists, "all proposals kept")],
    "where_one_is_lost": [((12, "squares"), "m, not the number"), ((2048, "squares"), "the last that is right"), ((8192.0, "squares"), "one doubling too far"), ((2**23, "squares"), "where steps are 1"),
                          ((16777216, "points"), "where the points lose it"), ((2**24, "squares"), "where the points lose it"), ((2.0**27, "squares"), "measured in float64"), ((2.0**64, "range"), "where squares overflow"),
                          ((4096, "range"), "too large for float32"), ((4096, "points"), "the points are rounded")],
}
