"Answers to the exercises of lesson 12, hashing and cells."
import numpy as np
import torch


def recall_by_flags(found, true): return (found[:, :, None] == true[:, None]).any(1).float().mean()


def recall_by_keys(found, true):
    row = 10 ** 6 * torch.arange(len(true))[:, None]
    return torch.isin(row + true, row + found).double().mean().item()


def recall_by_counts(found, true): return (found.unsqueeze(-1) == true.unsqueeze(1)).sum() / true.numel()


def recall_by_numpy(found, true): return (found.numpy()[:, None, :] == true.numpy()[:, :, None]).any(2).mean()


def hits(found, true): return (true[:, :, None] == found[:, None]).any(2)


def recall_by_loop(found, true):
    count = 0
    for f, t in zip(found, true): count += len(set(f.tolist()) & set(t.tolist()))
    return count / true.numel()


def buckets_by_loop(points, hashes, query):
    best, row = float("inf"), -1
    for i in range(len(points)):
        if i == query or not (hashes[i] == hashes[query]).all(1).any(): continue
        away = float(((points[i] - points[query]) ** 2).sum())
        if away < best: best, row = away, i
    return row


def buckets_by_rows(points, hashes, query):
    rows = (hashes == hashes[query]).all(2).any(1).nonzero()[:, 0]
    rows = rows[rows != query]
    return rows[torch.cdist(points[query][None], points[rows])[0].argmin()] if len(rows) else -1


def buckets_by_numpy(points, hashes, query):
    h, X = hashes.numpy(), points.double().numpy()
    rows = [i for i in np.flatnonzero((h == h[query]).all(2).any(1)) if i != query]
    return min(rows, key=lambda i: np.linalg.norm(X[i] - X[query]), default=-1)


def first_met(points, hashes, query):
    rows = (hashes == hashes[query]).all(2).any(1).nonzero()[:, 0]
    rows = rows[rows != query]
    return int(rows[0]) if len(rows) else -1


def nearest_of(points, query, mask):
    mask[query] = False
    away = ((points - points[query]) ** 2).sum(1)
    away[~mask] = float("inf")
    return int(away.argmin()) if mask.any() else -1


def all_tables(points, hashes, query): return nearest_of(points, query, (hashes == hashes[query]).all(2).all(1))


def any_hash(points, hashes, query): return nearest_of(points, query, (hashes == hashes[query]).any(2).any(1))


def with_itself(points, hashes, query):
    rows = (hashes == hashes[query]).all(2).any(1).nonzero()[:, 0]
    return rows[((points[rows] - points[query]) ** 2).sum(1).argmin()]


def compare_all(points, hashes, query): return nearest_of(points, query, torch.ones(len(points), dtype=torch.bool))


SETTINGS = (4, 1), (8, 1), (4, 8), (8, 8)
RIGHT = {
    "recall_of": [recall_by_flags, recall_by_keys, recall_by_counts, recall_by_numpy],
    "nearest_in_buckets": [buckets_by_loop, buckets_by_rows, buckets_by_numpy],
    "meeting_chances": [(0.4096, 0.1678, 0.9852, 0.7699), torch.tensor([0.41, 0.168, 0.985, 0.77]), np.array([1 - (1 - 0.8 ** m) ** t for m, t in SETTINGS])],
}
WRONG = {
    "recall_of": [(lambda found, true: hits(found, true).sum() / (found >= 0).sum().clamp_min(1), "precision"), (lambda found, true: hits(found, true).sum() / found.numel(), "divided by the room"),
                  (lambda found, true: hits(found, true).all(1).float().mean(), "all or nothing"), (lambda found, true: hits(found, true).sum(), "a number, not a share"),
                  (lambda found, true: hits(found, true).any(1).double().mean(), "one is enough"), (recall_by_loop, "a loop")],
    "nearest_in_buckets": [(first_met, "a collision is an answer"), (all_tables, "tables joined by and"), (any_hash, "hashes joined by or"), (with_itself, "itself found"), (compare_all, "everyone compared")],
    "meeting_chances": [([0.8 ** (m * t) for m, t in SETTINGS], "more tables ask for more"), ([(1 - 0.2 ** m) ** t for m, t in SETTINGS], "and and or exchanged"), ([t * 0.8 ** m for m, t in SETTINGS], "chances added"),
                        ([(1 - 0.8 ** m) ** t for m, t in SETTINGS], "the chance to miss"), ([0.8 ** m for m, t in SETTINGS], "tables make no difference")],
}
