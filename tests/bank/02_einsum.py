"Answers to the exercises of lesson 02, right and wrong, as learners write them."
import numpy as np
import torch
from torch import einsum


def cov_steps(X):
    dif = X - X.mean(0, keepdim=True)
    return torch.einsum("nj,nk->jk", dif, dif) / (len(dif) - 1)


def cov_twice(X):
    n = len(X)
    dif = X - torch.einsum("nj->j", X) / n
    return torch.einsum("aj,ak->ajk", dif, dif).sum(0).div(n - 1)


def cov_bug(X):
    dif = X - X.mean(0)
    return torch.einsum("ij,lk->jk", dif, dif) / (len(X) - 1)


def cov_variances(X):
    dif = X - X.mean(0)
    return torch.einsum("ij,ij->j", dif, dif) / (len(X) - 1)


def cov_points(X):
    dif = X - X.mean(0)
    return torch.einsum("ij,kj->ik", dif, dif) / (len(X) - 1)


def means_steps(weights, X):
    total = weights.sum(dim=1, keepdim=True)
    return einsum("qn,nd->qd", weights, X) / total


RIGHT = {
    "letters_decide": [(60, 120), [60.0, 120.0], torch.tensor([60, 120]), np.array([60, 120]), einsum("i,j->j", torch.tensor([1, 2, 3]), torch.tensor([10, 20]))],
    "stretched_distances": [lambda x, X, s: torch.einsum("ij,ij,j->i", X - x, X - x, s).sqrt(), lambda x, X, s: einsum("nd,d->n", (X - x) ** 2, s) ** 0.5, lambda x, X, s: torch.einsum("j,ij->i", s.double(), (x - X).double().square()).sqrt(), lambda x, X, s: np.sqrt(np.einsum("ij,ij,j->i", (X - x).numpy(), (X - x).numpy(), s.numpy()))],
    "weighted_means": [means_steps, lambda weights, X: torch.einsum("qn,nd->qd", weights, X) / weights.sum(1)[:, None], lambda weights, X: torch.einsum("qn,nd->qd", weights / weights.sum(1, keepdim=True), X), lambda weights, X: (torch.einsum("qn,nd->dq", weights, X) / weights.sum(1)).T],
    "batch_traces": [lambda M: torch.einsum("bii->b", M), lambda M: torch.einsum("bii->bi", M).sum(1), lambda M: np.einsum("kjj->k", M.numpy()), lambda M: torch.einsum("bij,ij->b", M, torch.eye(M.shape[-1]))],
    "both_sides": [lambda V, M, U: torch.einsum("bi,ij,bj->b", V, M, U), lambda V, M, U: torch.einsum("bj,bj->b", V @ M, U), lambda V, M, U: (V * torch.einsum("ij,bj->bi", M, U)).sum(1), lambda V, M, U: torch.stack([einsum("i,ij,j->", v, M, u) for v, u in zip(V, U)])],
    "covariance": [cov_steps, cov_twice, lambda X: torch.einsum("ij,ik->kj", X - X.mean(0), X - X.mean(0)) / (X.shape[0] - 1), lambda X: np.einsum("ij,ik->jk", (X - X.mean(0)).numpy(), (X - X.mean(0)).numpy()) / (len(X) - 1)],
    "streets_ratio": [(2**0.5, "longer"), (1.414, "longer"), [torch.tensor(1.4142), "Longer"], (np.float32(1.41), "longer")],
}

WRONG = {
    "letters_decide": [([[10, 20], [20, 40], [30, 60]], "single letters kept"), (torch.outer(torch.tensor([1, 2, 3]), torch.tensor([10, 20])), "single letters kept"), (180, "everything summed"), (torch.tensor(180), "everything summed"), ((30, 60, 90), "the other letter kept"), ([10, 20], "one factor dropped")],
    "stretched_distances": [
        (lambda x, X, s: torch.einsum("ij,ij,j->i", X - x, X - x, s), "root forgotten"), (lambda x, X, s: torch.einsum("ij->i", (s * (X - x) ** 2).sqrt()), "along the streets"), (lambda x, X, s: torch.einsum("ij,j->i", (X - x).abs(), s.sqrt()), "along the streets"),
        (lambda x, X, s: torch.einsum("ij,ij->i", s * (X - x), s * (X - x)).sqrt(), "s squared too"), (lambda x, X, s: torch.einsum("ij,ij,j,j->i", X - x, X - x, s, s).sqrt(), "s squared too"), (lambda x, X, s: torch.einsum("ij,ij->i", X - x, X - x).sqrt(), "s left out"),
        (lambda x, X, s: torch.einsum("ij,ij,j->j", X - x, X - x, s).sqrt(), "summed over points"), (lambda x, X, s: (s * (X - x) ** 2).sum(1).sqrt(), "the call is missing"), (lambda x, X, s: torch.stack([einsum("j,j,j->", r - x, r - x, s).sqrt() for r in X]), "a loop")],
    "weighted_means": [
        (lambda weights, X: torch.einsum("qn,nd->qd", weights, X), "not divided"), (lambda weights, X: torch.einsum("qn,nd->qd", weights, X) / weights.sum(), "divided by all weights"), (lambda weights, X: torch.einsum("qn,nd->qd", weights, X) / weights.sum(1), "sums not a column"),
        (lambda weights, X: torch.einsum("qn,nd->qd", weights, X) / len(X), "divided by the count"), (lambda weights, X: torch.einsum("qn,nd->d", weights, X) / weights.sum(), "all points at once"), (lambda weights, X: weights @ X / weights.sum(1, keepdim=True), "the call is missing"),
        (lambda weights, X: torch.stack([einsum("n,nd->d", w, X) / w.sum() for w in weights]), "a loop")],
    "batch_traces": [
        (lambda M: torch.einsum("bij->b", M), "all entries summed"), (lambda M: M.sum((1, 2)), "all entries summed"), (lambda M: torch.einsum("bii->bi", M), "diagonals kept"), (lambda M: torch.einsum("bii->i", M), "summed over the batch"), (lambda M: torch.einsum("bii->", M), "one number for all"),
        (lambda M: M.diagonal(dim1=1, dim2=2).sum(1), "the call is missing"), (lambda M: torch.stack([einsum("ii->", m) for m in M]), "a loop")],
    "both_sides": [
        (lambda V, M, U: torch.einsum("ai,ij,bj->ab", V, M, U), "every pair"), (lambda V, M, U: V @ M @ U.T, "every pair"), (lambda V, M, U: torch.einsum("bi,ij,bj->", V, M, U), "the batch summed"), (lambda V, M, U: torch.einsum("ij,bj->bi", M, U), "one side left out"),
        (lambda V, M, U: torch.einsum("bi,ij,bj->bi", V, M, U), "a row too many"), (lambda V, M, U: ((V @ M) * U).sum(1), "the call is missing")],
    "covariance": [
        (cov_bug, "a loop too many"), (cov_variances, "the variances alone"), (lambda X: torch.einsum("ij,ik->jk", X - X.mean(0), X - X.mean(0)) / len(X), "divided by n"), (lambda X: torch.einsum("ij,ik->jk", X, X) / (len(X) - 1), "mean not taken off"), (cov_points, "points by points"),
        (lambda X: X.T.cov(), "the call is missing")],
    "streets_ratio": [((1.0, "shorter"), "the wrong way round"), ((float("nan"), "longer"), "the point itself"), ((2**0.5, "shorter"), "read as shorter"), ((1.414, "shorter"), "read as shorter"), ((torch.tensor(1.414), "both"), "read as both")],
}
