"Answers to the exercises of lesson 01, right and wrong, as learners write them."
import numpy as np
import torch


def scaled_by_einsum(weight, X): return torch.einsum("n,nd->nd", weight, X)
def scaled_by_hand(weight, X): return torch.stack([w * row for w, row in zip(weight, X)])


def weights_matmul(x, X, bw):
    dif = (X - x[None]) / bw
    return torch.exp(-0.5 * (dif * dif).sum(-1))


def weights_loop(x, X, bw):
    out = []
    for row in X: out.append(torch.exp(-((row - x) ** 2).sum() / (2 * bw**2)))
    return torch.stack(out)


def flat_stack(X, r): return torch.stack([X[(X - x).norm(dim=1) <= r].mean(0) for x in X])


def flat_mask(X, r):
    near = (torch.cdist(X, X, compute_mode="donot_use_mm_for_euclid_dist") <= r).to(X.dtype)
    return near @ X / near.sum(1, keepdim=True)


def flat_new(X, r):
    new = torch.empty_like(X)
    for i in range(len(X)): new[i] = X[((X - X[i]) ** 2).sum(1) <= r**2].mean(0)
    return new


def flat_in_place(X, r):
    for i, x in enumerate(X): X[i] = X[(X - x).norm(dim=1) <= r].mean(0)
    return X


def flat_clone_in_place(X, r):
    X = X.clone()
    for i in range(len(X)): X[i] = X[((X - X[i]) ** 2).sum(1).sqrt() <= r].mean(0)
    return X


def flat_alias(X, r):
    new = X
    for i, x in enumerate(X): new[i] = X[torch.linalg.vector_norm(X - x, dim=1) <= r].mean(0)
    return new


def flat_lost(X, r):
    for x in X: x = X[(X - x).norm(dim=1) <= r].mean(0)
    return X


def flat_without_itself(X, r):
    dist = torch.cdist(X, X, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(float("inf"))
    return torch.stack([X[d <= r].mean(0) if (d <= r).any() else x for x, d in zip(X, dist)])


def film_loop(update, X, n):
    states = [X]
    for _ in range(n):
        X = update(X)
        states.append(X)
    return torch.stack(states)


def film_filled(update, X, n):
    out = torch.zeros(n + 1, *X.shape)
    out[0] = X
    for i in range(n): out[i + 1] = update(out[i])
    return out


def film_recursive(update, X, n): return [X] if n == 0 else [X] + film_recursive(update, update(X), n - 1)


def film_dropped(update, X, n):
    states = []
    for _ in range(n):
        update(X)
        states.append(X)
    return torch.stack(states)


def film_dropped_start(update, X, n):
    states = [X]
    for _ in range(n):
        update(X)
        states.append(X.clone())
    return torch.stack(states)


def film_no_start(update, X, n):
    states = []
    for _ in range(n):
        X = update(X)
        states.append(X)
    return torch.stack(states)


def film_one_short(update, X, n):
    states = []
    for _ in range(n):
        states.append(X)
        X = update(X)
    return torch.stack(states)


def film_end(update, X, n):
    for _ in range(n): X = update(X)
    return X


RIGHT = {
    "column_times_row": [(40, 40), [40, 40], torch.tensor([40, 40]), np.array([40, 40]), (torch.ones(40)[:, None] * torch.ones(40, 2).sum(1)).shape],
    "rows_scaled": [lambda weight, X: weight[:, None] * X, lambda weight, X: weight.unsqueeze(1) * X, lambda weight, X: (weight * X.T).T, lambda weight, X: torch.diag(weight) @ X, scaled_by_einsum, lambda weight, X: X.numpy() * weight.numpy()[:, None]],
    "mean_distance": [lambda weight, dist: (weight * dist).sum() / weight.sum(), lambda weight, dist: weight @ dist / weight.sum(), lambda weight, dist: float(np.average(dist.numpy(), weights=weight.numpy())), lambda weight, dist: (weight[:, None] * dist[:, None]).sum() / weight.sum(), lambda weight, dist: (weight / weight.sum() * dist).sum()],
    "weights_around": [weights_matmul, weights_loop, lambda x, X, bw: ((X - x).square().sum(1) / bw**2 * -0.5).exp(), lambda x, X, bw: np.exp(-((X.numpy() - x.numpy()) ** 2).sum(1) / 2 / bw**2)],
    "third_reach": [(22.1, "several clouds"), (torch.tensor(22.108), "several clouds"), [22, "Several clouds"]],
    "flat_update": [flat_stack, flat_mask, flat_new, lambda X, r: [X[(X - x).norm(dim=1) <= r].double().mean(0) for x in X]],
    "film_states": [film_loop, film_filled, film_recursive],
}

WRONG = {
    "column_times_row": [((40,), "row by row"), ([40], "row by row"), ((40, 1), "the unit axis stays"), ((40, 2), "the points themselves"), (torch.Size([40, 2]), "the points themselves"), ("error", "an error expected"), ("Error", "an error expected")],
    "rows_scaled": [
        (lambda weight, X: weight * X, "columns for rows"), (lambda weight, X: weight[None] * X, "columns for rows"), (lambda weight, X: torch.mul(X, weight.unsqueeze(0)), "columns for rows"),
        (lambda weight, X: (X.reshape(X.shape[1], -1) * weight).reshape(X.shape), "cut up by view"), (lambda weight, X: X.T * weight, "left as columns"), (lambda weight, X: (weight[:, None] * X).sum(0), "added up"), (lambda weight, X: weight @ X, "added up"),
        (lambda weight, X: weight[:, None, None] * X, "every pair"), (scaled_by_hand, "a loop")],
    "mean_distance": [
        (lambda weight, dist: (weight[:, None] * dist).sum() / weight.sum(), "every pair"), (lambda weight, dist: (weight * dist[:, None]).sum() / weight.sum(), "every pair"), (lambda weight, dist: (weight * dist).sum(), "not divided"), (lambda weight, dist: weight @ dist, "not divided"),
        (lambda weight, dist: (weight * dist).mean(), "divided by the count"), (lambda weight, dist: dist.mean(), "the weights play no part"), (lambda weight, dist: (weight[:, None] * dist).mean() / weight.mean(), "the weights play no part")],
    "weights_around": [
        (lambda x, X, bw: torch.exp(-0.5 * ((X - x) ** 2).sum(1) / bw), "bandwidth not squared"), (lambda x, X, bw: torch.exp(-0.5 * (X - x).sum(1) ** 2 / bw**2), "summed before the square"), (lambda x, X, bw: torch.exp(-0.5 * (((X - x) ** 2).sum(1) / bw) ** 2), "squared twice"),
        (lambda x, X, bw: torch.exp(-((X - x) ** 2).sum(1) / bw**2), "the half forgotten"), (lambda x, X, bw: torch.exp(-0.5 * ((X - x) / bw) ** 2), "a weight a coordinate"), (lambda x, X, bw: torch.exp(-0.5 * (((X - x) ** 2).sum(1).sqrt() / bw) ** 2), "a forbidden word"),
        (lambda x, X, bw: torch.exp(-0.5 * ((X - x).abs() ** 2).sum(1) / bw**2), "a forbidden word"), (lambda x, X, bw: torch.exp(-0.5 * (torch.linalg.vector_norm(X - x, dim=1) / bw) ** 2), "a forbidden word")],
    "third_reach": [((2.5, "one cloud"), "the rule believed"), ((22.1, "one cloud"), "read as one cloud"), ((torch.tensor(22.108), "one cloud"), "read as one cloud"), ((26.2, "several clouds"), "lesson's own data"), ((0.0333, "one cloud"), "the share for the radius")],
    "flat_update": [
        (flat_in_place, "one after the other"), (flat_clone_in_place, "one after the other"), (flat_alias, "one after the other"), (lambda X, r: torch.stack([X[((X - x) ** 2).sum(1) <= r].mean(0) for x in X]), "squared distance against r"),
        (lambda X, r: torch.stack([X[((X - x).abs() <= r).all(1)].mean(0) for x in X]), "each coordinate by itself"), (flat_without_itself, "itself left out"), (flat_lost, "nothing moves")],
    "film_states": [
        (film_dropped, "nothing moves, and a picture short"), (film_dropped_start, "nothing moves"), (film_no_start, "the start is missing"), (film_one_short, "the last is missing"),
        (lambda update, X, n: torch.stack([X] + [update(X) for _ in range(n)]), "always from the start"), (film_end, "only the end")],
}
