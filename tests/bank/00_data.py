"Answers to the exercises of lesson 00, right and wrong, as learners write them."
import numpy as np
import torch
from torch.distributions import MultivariateNormal


def squared_loop(spreads):
    out = torch.zeros(len(spreads), len(spreads))
    for i, s in enumerate(spreads): out[i, i] = s * s
    return out


def deviations_on_eye(spreads):
    return torch.eye(len(spreads)) * spreads


def forgot_to_square(spreads):
    out = torch.zeros(len(spreads), len(spreads))
    for i in range(len(spreads)): out[i, i] = spreads[i]
    return out


def measured():
    torch.manual_seed(0)
    return MultivariateNormal(torch.zeros(2), torch.diag(torch.tensor([9.0, 9.0]))).sample((10_000,))


def by_position(labels, colours):
    return [colours[i * len(colours) // len(labels)] for i in range(len(labels))]


def by_position_slices(labels, colours):
    n, k = len(labels), len(colours)
    return [colours[int(i / n * k + 1e-9)] for i, _ in enumerate(labels)]


def colours_clamped(labels, colours):
    return [colours[i] for i in labels.clamp(max=len(colours) - 1)]


def as_they_appear(labels, colours):
    seen = {}
    for label in labels.tolist(): seen.setdefault(label, len(seen))
    return [colours[seen[label] % len(colours)] for label in labels.tolist()]


def colours_if(labels, colours):
    out = []
    for label in labels:
        while label >= len(colours): label = label - len(colours)
        out.append(colours[label])
    return out


def spreads_by_hand(data, n_samples):
    clouds = data.reshape(-1, n_samples, data.shape[1])
    dif = clouds - clouds.mean(1, keepdim=True)
    return ((dif**2).sum(1) / (n_samples - 1)).sqrt()


def spreads_in_a_loop(data, n_samples):
    out = []
    for part in data.split(n_samples): out.append(part.std(0))
    return torch.stack(out)


RIGHT = {
    "covariance_of": [lambda spreads: torch.diag(spreads**2), lambda spreads: torch.eye(len(spreads)) * spreads.square(), squared_loop, lambda spreads: np.diag(spreads.numpy() ** 2), lambda spreads: spreads.double().pow(2).diag_embed()],
    "spread_of_nine": [(3, "variances"), (measured().std(0)[0], "variances"), [measured().std(0).mean().item(), "Variances"], (np.float32(2.98), "variances ")],
    "colours_of": [lambda labels, colours: [colours[i % len(colours)] for i in labels], lambda labels, colours: np.array(colours)[labels.numpy() % len(colours)], lambda labels, colours: tuple(colours[i] for i in labels.remainder(len(colours))), colours_if],
    "cluster_spreads": [lambda data, n_samples: data.view(-1, n_samples, data.shape[-1]).std(1), lambda data, n_samples: data.unflatten(0, (-1, n_samples)).std(dim=1), spreads_by_hand, lambda data, n_samples: data.double().reshape(-1, n_samples, data.shape[1]).var(1).sqrt(), lambda data, n_samples: data.numpy().reshape(-1, n_samples, data.shape[1]).std(1, ddof=1)],
    "cat_and_stack": [((12, 2), (3, 4, 2)), [[12, 2], [3, 4, 2]], (torch.Size([12, 2]), torch.Size([3, 4, 2])), (np.array([12, 2]), torch.tensor([3, 4, 2])), (torch.cat([torch.ones(4, 2)] * 3).shape, torch.stack([torch.ones(4, 2)] * 3).shape)],
}

WRONG = {
    "covariance_of": [
        (lambda spreads: torch.diag(spreads), "deviation for variance"), (deviations_on_eye, "deviation for variance"), (forgot_to_square, "deviation for variance"), (lambda spreads: torch.diag(spreads.sqrt()), "root for square"),
        (lambda spreads: spreads[:, None] * spreads, "every pair"), (lambda spreads: torch.outer(spreads, spreads), "every pair"), (lambda spreads: spreads**2, "the diagonal alone"), (lambda spreads: torch.diag(2 * spreads), None)],
    "spread_of_nine": [
        ((9, "deviations"), "deviation for variance"), ((3.0, "deviations"), "read the other way"), ((measured().std(0).mean(), "deviations"), "read the other way"), ((measured().var(0)[0], "variances"), "var for std"),
        ((measured().square().sum(1).mean().sqrt(), "variances"), "both directions at once"), ((9.1, "deviations"), "deviation for variance")],
    "colours_of": [
        (by_position, "coloured by position"), (by_position_slices, "coloured by position"), (lambda labels, colours: [colours[i] for i in labels], "too few colours"), (lambda labels, colours: list(map(colours.__getitem__, labels.tolist())), "too few colours"),
        (colours_clamped, "the last colour for the rest"), (lambda labels, colours: [colours[(i - 1) % len(colours)] for i in labels], "counted from one"), (as_they_appear, "numbered as they appear"),
        (lambda labels, colours: [colours[i % len(colours) - 1] for i in labels], "counted from one")],
    "cluster_spreads": [
        (lambda data, n_samples: data.view(n_samples, -1, data.shape[1]).std(0), "rows dealt out"), (lambda data, n_samples: data.reshape(-1, n_samples, data.shape[1]).std(0), "over the clouds"),
        (lambda data, n_samples: data.view(-1, n_samples, data.shape[1]).var(1), "variance for deviation"), (lambda data, n_samples: data.std(0), "one spread for all"),
        (lambda data, n_samples: data.view(-1, n_samples, data.shape[1]).std(1, correction=0), "divided by n"), (lambda data, n_samples: data.numpy().reshape(-1, n_samples, data.shape[1]).std(1), "divided by n"),
        (spreads_in_a_loop, "a loop"), (lambda data, n_samples: torch.stack([part.std(0) for part in data.split(n_samples)]), "a loop")],
    "cat_and_stack": [
        (((3, 4, 2), (12, 2)), "cat and stack swapped"), (((12, 2), (12, 2)), "both join"), ([[12, 2], [12, 2]], "both join"), (((3, 4, 2), (3, 4, 2)), "both make an axis"), (((4, 6), (3, 4, 2)), "side by side"),
        ((torch.Size([12, 2]), torch.Size([4, 2, 3])), "the new axis last")],
}
