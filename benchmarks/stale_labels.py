"""Random small cases that are hard on k-means: how many labels are not those of the nearest centroid returned, and how many clusters are left empty though enough points differ."""
import argparse
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Generator, Tensor  # noqa: E402

from clusterlab.kmeans import k_means_cluster  # noqa: E402

SLACK = 1e-6


class Case(NamedTuple):
    kind: str
    points: Tensor
    init: Tensor
    weights: Tensor | None
    iterations: int


def cases(count: int, seed: int = 0) -> Iterator[Case]:
    "Grids with ties, duplicates and gaussians at offsets to 1e6, from starts among the points or so far away that clusters go empty."
    choose, g = random.Random(seed), Generator().manual_seed(seed)
    for _ in range(count):
        n, d, k, kind = choose.randint(5, 60), choose.randint(1, 4), choose.randint(2, 10), choose.choice(("grid", "duplicates", "gaussian", "pairs"))
        k = min(k, n)
        points = torch.randn(n, d, generator=g, dtype=torch.float64)
        if kind == "grid": points = torch.randint(-2, 3, (n, d), generator=g).double()
        if kind == "duplicates": points = points[torch.randint(0, choose.randint(1, n), (n,), generator=g)]
        if kind == "pairs": points = points * 1e-3 + torch.randint(0, 3, (n, d), generator=g) * choose.choice((0.1, 1e3))
        points = points + choose.choice((0, 0, 1, -1e2, 1e4, -1e6, 1e6))
        init = points[torch.randperm(n, generator=g)[:k]]
        start = choose.choice(("points", "near", "far", "equal"))
        if start == "near": init = init + torch.randn(k, d, generator=g)
        if start == "far": init = init + (torch.rand(k, 1, generator=g) < 0.5) * choose.choice((10., 1e3, 1e5))
        if start == "equal": init = init[torch.randint(0, choose.randint(1, k), (k,), generator=g)]
        weights = choose.choice((None, None, torch.randint(1, 5, (n,), generator=g).double(), torch.rand(n, generator=g, dtype=torch.float64) + 1e-3,
                                 torch.randint(0, 3, (n,), generator=g).double().index_fill(0, torch.tensor([0]), 1)))
        dtype = choose.choice((torch.float32, torch.float64))
        yield Case(f"{kind}, {start}", points.to(dtype), init.to(dtype), weights, choose.randint(1, 10))


def stale(points: Tensor, centroids: Tensor, labels: Tensor) -> int:
    "How many labels are not those of the nearest centroid, in float64, by more than a millionth of the distance."
    distances = (points[:, None].double() - centroids[None].double()).square().sum(2).sqrt()
    return int((distances.gather(1, labels[:, None])[:, 0] > distances.amin(1) * (1 + SLACK)).sum())


def left_empty(points: Tensor, k: int, labels: Tensor, weights: Tensor | None) -> int:
    "How many clusters have no mass though there are points with weight, all different, for them."
    heavy = slice(None) if weights is None else weights > 0
    return max(0, min(k, len(points[heavy].unique(dim=0))) - len(labels[heavy].unique()))


class Count(NamedTuple):
    cases: int
    stale_cases: int
    stale: int
    empty_cases: int
    empty: int
    first: Case | None


def count(fit: Callable[[Case], tuple[Tensor, Tensor]], given: Iterator[Case]) -> Count:
    "What `fit`, a case -> centroids and labels, does wrong; and the first case in which it does."
    total, first = [0] * 5, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in given:
            centroids, labels = fit(case)
            wrong, empty = stale(case.points, centroids, labels), left_empty(case.points, len(centroids), labels, case.weights)
            total = [t + m for t, m in zip(total, (1, wrong > 0, wrong, empty > 0, empty))]
            if first is None and (wrong or empty): first = case
    return Count(*total, first)


def clusterlab(case: Case) -> tuple[Tensor, Tensor]:
    return k_means_cluster(len(case.init), case.points, case.iterations, 0, init=case.init, weights=case.weights)


def scikit_learn(case: Case) -> tuple[Tensor, Tensor]:
    from sklearn.cluster import KMeans
    model = KMeans(len(case.init), init=case.init.numpy(), n_init=1, max_iter=case.iterations, tol=0, algorithm="lloyd")
    model.fit(case.points.numpy(), sample_weight=None if case.weights is None else case.weights.numpy())
    return torch.from_numpy(model.cluster_centers_), torch.from_numpy(model.labels_).long()


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--peer-cases", type=int, default=6_000, help="how many of them scikit-learn gets too (default 6000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for fit, number in ((clusterlab, options.cases), (scikit_learn, min(options.cases, options.peer_cases))):
        if not number: continue
        start = time.perf_counter()
        found = count(fit, cases(number, options.seed))
        print(f"{fit.__name__.replace('_', '-')}: {found.cases} cases in {time.perf_counter() - start:.0f} s; stale labels in {found.stale_cases} cases ({found.stale} labels); "
              f"clusters left empty in {found.empty_cases} cases ({found.empty} clusters)" + (f"; the first: {found.first.kind}" if found.first else ""), flush=True)


if __name__ == "__main__": main()
