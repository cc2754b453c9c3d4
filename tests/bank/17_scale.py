import numpy as np
import torch


def parts_sum(sums, counts): return sums.sum(0) / counts.sum(0)[:, None]
def parts_einsum(sums, counts): return torch.einsum("pkd,k->kd", sums.double(), 1 / counts.double().sum(0))
def parts_numpy(sums, counts): return sums.numpy().sum(0) / counts.numpy().sum(0, keepdims=True).T
def parts_means(sums, counts): return (sums / counts[..., None]).mean(0)
def parts_sum_of_means(sums, counts): return (sums / counts[..., None]).sum(0)
def parts_undivided(sums, counts): return sums.sum(dim=0)
def parts_by_parts(sums, counts): return sums.sum(0) / len(sums)
def parts_mixed(sums, counts): return sums.sum(0) / counts.sum()
def parts_loop(sums, counts):
    top, bottom = torch.zeros(sums.shape[1:]), torch.zeros(counts.shape[1])
    for s, n in zip(sums, counts): top, bottom = top + s, bottom + n
    return top / bottom[:, None]


def variance_sum(sums, squares, counts): return squares.sum() / counts.sum() - (sums.sum() / counts.sum()) ** 2
def variance_two(sums, squares, counts):
    n, mean = counts.sum(), sums.sum() / counts.sum()
    inside, between = squares - sums**2 / counts, counts * (sums / counts - mean) ** 2
    return (inside + between).sum() / n
def variance_numpy(sums, squares, counts):
    s, q, n = (v.numpy().sum() for v in (sums, squares, counts))
    return (q - s * s / n) / n
def variance_mean(sums, squares, counts): return (squares / counts - (sums / counts) ** 2).mean()
def variance_weighed(sums, squares, counts): return (squares - sums**2 / counts).sum() / counts.sum()
def variance_square(sums, squares, counts): return squares.sum() / counts.sum()
def variance_mean_of_means(sums, squares, counts): return squares.sum() / counts.sum() - (sums / counts).mean() ** 2
def variance_not_squared(sums, squares, counts): return (squares.sum() - sums.sum()) / counts.sum()


RIGHT = {"means_of_parts": [parts_sum, parts_einsum, parts_numpy], "variance_of_parts": [variance_sum, variance_two, variance_numpy],
         "scores_in_gigabytes": [4.096, torch.tensor(4.096), np.float64(1e6 * 1024 * 4 / 1e9)], "traffic_of_twice": [(1.0, "clusters"), [1, "Clusters"], (torch.tensor(1.0), "clusters")]}
WRONG = {
    "means_of_parts": [(parts_means, "mean of means"), (parts_sum_of_means, "sum of means"), (parts_undivided, "not divided"), (parts_by_parts, "divided by the parts"), (parts_mixed, "clusters mixed"), (parts_loop, "a loop")],
    "variance_of_parts": [(variance_mean, "mean of variances"), (variance_weighed, "spread between parts lost"), (variance_square, "mean not subtracted"), (variance_mean_of_means, "mean of means"), (variance_not_squared, "not squared")],
    "scores_in_gigabytes": [(8.192, "float64"), (1.024, "numbers, not bytes"), (0.512, "the points"), (524.288, "features too"), (torch.tensor(8.192), "float64")],
    "traffic_of_twice": [((2, "points"), "points travel"), ((2.0, "Points"), "points travel"), ((4, "points"), "all pairs"), ((1, "processes"), "processes as the reason"), ((2, "clusters"), "factor of the points")],
}
