"Right and wrong answers to the exercises of lesson 10, only what moves."
import numpy as np
import torch


def rivals(moves):
    "The largest movement of the others, for each."
    table = moves.expand(len(moves), -1).clone().fill_diagonal_(-1)
    return table.amax(1)


def by_table(leads, moves, labels): return moves[labels] + rivals(moves)[labels] >= leads


def by_sorting(leads, moves, labels):
    order = moves.argsort(descending=True)
    other = torch.full_like(moves, moves[order[0]])
    other[order[0]] = moves[order[1]]
    return (leads - (moves + other)[labels]) <= 0


def by_numpy(leads, moves, labels):
    m = moves.numpy()
    away = np.where(np.eye(len(m), dtype=bool), -np.inf, m[None]).max(1)
    return (m + away)[labels.numpy()] >= leads.numpy()


def two_largest(leads, moves, labels): return (moves + moves.max())[labels] >= leads


def looped(leads, moves, labels): return torch.tensor([bool(moves[j] + max(float(m) for i, m in enumerate(moves) if i != j) >= a) for a, j in zip(leads, labels)])


def by_index_put(sums, points, old, new):
    moved = old != new
    return sums.index_put((old[moved],), -points[moved], accumulate=True).index_put((new[moved],), points[moved], accumulate=True)


def by_one_hot(sums, points, old, new):
    member = lambda labels: torch.nn.functional.one_hot(labels, len(sums)).to(points.dtype)
    return sums + (member(new) - member(old)).T @ points


def by_loop(sums, points, old, new):
    sums = sums.clone()
    for x, a, b in zip(points, old, new):
        sums[a] -= x
        sums[b] += x
    return sums


def anew(sums, points, old, new): return torch.zeros_like(sums).index_add_(0, new, points)


def overwritten(sums, points, old, new):
    moved, sums = old != new, sums.clone()
    sums[old[moved]] -= points[moved]
    sums[new[moved]] += points[moved]
    return sums


def joins_mended(sums, points, old, new):
    moved, sums = old != new, sums.clone()
    sums[old[moved]] -= points[moved]
    return sums.index_add_(0, new[moved], points[moved])


def leaves_mended(sums, points, old, new):
    moved = old != new
    kept = sums.index_add(0, old[moved], -points[moved])
    kept[new[moved]] += points[moved]
    return kept


def joined_only(sums, points, old, new): return sums.index_add(0, new[old != new], points[old != new])
def left_only(sums, points, old, new): return sums.index_add(0, old[old != new], points[old != new], alpha=-1)
def swapped(sums, points, old, new): return sums.index_add(0, new, points, alpha=-1).index_add(0, old, points)
def change(sums, points, old, new): return by_one_hot(torch.zeros_like(sums), points, old, new)
def added_twice(sums, points, old, new): return sums.index_add(0, new, points)
def means(sums, points, old, new): return anew(sums, points, old, new) / new.bincount(minlength=len(sums)).clamp_min(1)[:, None]


RIGHT = {
    "may_change": [by_table, by_sorting, by_numpy],
    "moved_sums": [by_index_put, by_one_hot, by_loop, anew],
    "count_stops": [(16777216.0, "steps"), (2**24, "Steps"), [torch.tensor(16777216.0), "steps"], (np.float32(2**24), "steps")],
}
WRONG = {
    "may_change": [(two_largest, "its own rival"), (lambda leads, moves, labels: moves[labels] >= leads, "own movement only"), (lambda leads, moves, labels: rivals(moves)[labels] >= leads, "the others only"),
                   (lambda leads, moves, labels: leads <= 2 * moves.max(), "one bound for all"), (lambda leads, moves, labels: leads <= moves.sum(), "all others at once"),
                   (lambda leads, moves, labels: moves[labels] + rivals(moves)[labels] > leads, "equal is not safe"), (lambda leads, moves, labels: ~by_table(leads, moves, labels), "those that stay"),
                   (lambda leads, moves, labels: by_table(leads / 2, moves, labels), "half the lead"), (looped, "a loop")],
    "moved_sums": [(overwritten, "one of each"), (joins_mended, "half mended"), (leaves_mended, "half mended"), (joined_only, "nobody leaves"), (left_only, "nobody joins"), (swapped, "the wrong way"),
                   (change, "the change only"), (added_twice, "added once more"), (means, "means, not sums")],
    "count_stops": [((2**24, "overflow"), "it overflows"), ((2**24, "drift"), "errors add up"), ((2.0**23, "steps"), "one digit forgotten"), ((2**24 + 1, "steps"), "the first that is missing"),
                    ((2**24 - 1, "steps"), "the last that changed"), ((2.0**53, "steps"), "measured in float64"), ((2**31, "steps"), "a limit of whole numbers")],
}
