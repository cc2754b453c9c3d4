"""DBSCAN: clusterlab against scikit-learn, in time and memory, and label for label on random cases.

    python benchmarks/dbscan.py                              sizes from 10,000 to 1,000,000 and memory: twenty minutes or so; the record goes nowhere
    python benchmarks/dbscan.py --out cpu                    the same, kept as results/DATE-dbscan-cpu.json and .md
    python benchmarks/dbscan.py --parts equal --random 10000 only the random cases: about a minute
    python benchmarks/dbscan.py --quick                      tiny sizes, one round: does it run?
    python benchmarks/dbscan.py --show benchmarks/results/FILE.json

Every row says whether the labels are equal: the same number for every point, noise and border points included.
"""
import math
import statistics
import sys
from collections import Counter

import harness  # before torch: it chooses OpenBLAS's kernel
import numpy as np
import torch
from harness import Stopwatch, ratios, spread, table
from torch import Generator, Tensor

from clusterlab.dbscan import dbscan_cluster

ROWS = ["10000,2,density", "10000,3,density", "100000,2,density", "100000,3,density", "1000000,2,density", "1000000,3,density",
        "10000,2,extent", "10000,3,extent", "100000,2,extent", "100000,3,extent", "20000,5,blobs", "20000,8,blobs", "20000,16,blobs", "20000,32,blobs", "20000,64,blobs"]
QUICK = ["500,2,density", "500,3,extent", "300,16,blobs"]
RADIUS, MIN_SAMPLES = {2: .9, 3: 1.3}, 10
KINDS = ("normal", "uniform", "blobs", "lattice", "tenths", "duplicates", "chain", "offset", "outlier", "equal", "pairs")
DTYPES = (torch.float32, torch.float32, torch.float64, torch.float16, torch.int64)


# ---- data

def noisy(n: int, d: int, how: str) -> tuple[Tensor, float]:
    """n points, nine in ten in blobs, one in ten uniform, shuffled; and a radius.
    density: more points, more blobs, a larger box; extent: six blobs and their box, ever fuller; blobs: ten blobs, any d."""
    g = Generator().manual_seed(0)
    if how == "blobs":
        points = torch.randn(10, d, generator=g)[torch.randint(10, (n,), generator=g)] * 4 + torch.randn(n, d, generator=g)
        sample = points[:500].double()
        return points, round(torch.pdist(sample).quantile(.02).item(), 2)
    scale, m = n / 1500 if how == "density" else 1., n // 10
    side, k = 70. * scale ** (1 / d), max(6, int(6 * scale))
    centres = torch.rand(k, d, generator=g) * side
    points = torch.cat([centres[torch.randint(k, (n - m,), generator=g)] + 5 ** .5 * torch.randn(n - m, d, generator=g), torch.rand(m, d, generator=g) * side])
    return points[torch.randperm(n, generator=g)], RADIUS[d]


def random_case(seed: int, most: int = 200) -> tuple[Tensor, float, int, str]:
    "Points, eps, min_samples and a name: any d, dtype and layout; half of the eps are the distance of two of the points."
    g = Generator().manual_seed(seed)
    draw = lambda low, high: int(torch.randint(low, high + 1, (), generator=g))
    pick = lambda choices: choices[draw(0, len(choices) - 1)]
    n, d, kind, dtype = draw(1, pick((8, 40, most))), pick((1, 1, 2, 2, 2, 3, 3, 4, 5, 8, 16, 33, 64)), pick(KINDS), pick(DTYPES)
    points = torch.randn(n, d, generator=g, dtype=torch.float64)
    if kind == "uniform": points = torch.rand(n, d, generator=g, dtype=torch.float64)
    if kind == "blobs": points = points / 8 + torch.randn(4, d, generator=g)[torch.randint(4, (n,), generator=g)]
    if kind in ("lattice", "tenths"): points = torch.randint(-3, 4, (n, d), generator=g).double() / (4 if kind == "lattice" else 10)
    if kind == "duplicates": points = points[torch.randint(max(1, n // 5), (n,), generator=g)]
    if kind == "chain": points = points / 100 + torch.arange(n)[torch.randperm(n, generator=g), None] * pick((.1, .125, 1.))
    if kind == "offset": points = points + (1e3 if dtype == torch.float16 else 1e6)
    if kind == "outlier": points[draw(0, n - 1)] = 6e4 if dtype == torch.float16 else 1e6
    if kind == "equal": points = points[:1].repeat(n, 1)
    if kind == "pairs": points = points.round() * 3 + torch.rand(n, d, generator=g) / 100
    points = (points * 4).round().to(dtype) if dtype == torch.int64 else points.to(dtype)
    if draw(0, 4) == 0: points = points.repeat(1, 2)[:, ::2] if draw(0, 1) else points.T.contiguous().T
    seen = points.double()
    eps = (seen[draw(0, n - 1)] - seen[draw(0, n - 1)]).square().sum().sqrt().item() * pick((1., 1., .5, 1.1)) or pick((.1, .25, .3, 1., 3.))
    return points, eps, pick((1, 2, 3, 4, 5, 10, n, n + 1)), f"{kind}, n={n}, d={points.shape[1]}, {dtype}"


# ---- against scikit-learn

def theirs(points: Tensor, eps: float, min_samples: int, **options) -> tuple[np.ndarray, np.ndarray]:
    "scikit-learn's labels and core mask."
    from sklearn.cluster import DBSCAN
    found = DBSCAN(eps=eps, min_samples=min_samples, **options).fit(points.numpy())
    core = np.zeros(len(points), dtype=bool)
    core[found.core_sample_indices_] = True
    return found.labels_, core


def same(ours: tuple[Tensor, Tensor], other: tuple[np.ndarray, np.ndarray]) -> bool:
    return all(np.array_equal(a.numpy(), b) for a, b in zip(ours, other))


def exactly(points: Tensor, eps: float, min_samples: int) -> tuple[np.ndarray, np.ndarray]:
    "scikit-learn told who is near whom: by differences in float64 whose squares are added feature by feature."
    x = points.double()
    squared = sum((column[:, None] - column).square() for column in x.unbind(1))
    return theirs((squared > eps * eps).double(), .5, min_samples, metric="precomputed")


def verdict(seed: int) -> str:
    """'equal' to scikit-learn as it comes; 'equal, rounding aside': only if scikit-learn is told who is near. (As it comes it takes products of matrices for
    more than 15 features or fewer than 12 points, and a tree leaves out boxes by rounded roots; so it may miss a pair whose distance is eps to the last digit.) Else 'different'."""
    points, eps, min_samples, _ = random_case(seed)
    ours, seen = dbscan_cluster(points, eps, min_samples), points if points.dtype == torch.float32 else points.double()
    if same(ours, theirs(seen, eps, min_samples)): return "equal"
    return "equal, rounding aside" if same(ours, exactly(points, eps, min_samples)) else "different"


def equal(o) -> dict:
    "How many of the random cases are equal."
    counts, different = Counter(), []
    for seed in range(o.random):
        found = verdict(seed)
        counts[found] += 1
        if found == "different": different.append(f"seed {seed}: {random_case(seed)[3]}")
    return {"cases": o.random, **counts, "those that differ": different}


def timed(words: str, o, watch: Stopwatch) -> dict:
    "One row: times of both, and whether the labels are equal."
    n, d, how = words.split(",")
    points, eps = noisy(int(n), int(d), how)
    array = points.numpy()
    calls = {"clusterlab": lambda: dbscan_cluster(points, eps, MIN_SAMPLES)}
    if int(n) * int(d) <= o.most:
        calls["scikit-learn"] = lambda: theirs(points, eps, MIN_SAMPLES)
        if o.threads > 1: calls[f"scikit-learn, n_jobs={o.threads}"] = lambda: theirs(points, eps, MIN_SAMPLES, n_jobs=o.threads)
    values, times = watch.race(calls, o.rounds)
    labels, core = values["clusterlab"]
    return {"n": int(n), "d": int(d), "data": how, "eps": eps, "min_samples": MIN_SAMPLES, "clusters": int(labels.max()) + 1, "noise": round((labels < 0).double().mean().item(), 3),
            "core": round(core.double().mean().item(), 3), "contestants": times, "equal": same((labels, core), values["scikit-learn"]) if "scikit-learn" in values else None}


def prepare(n: int, d: int, how: str, who: str):
    "For harness.peak_memory: a call of one contestant, after a small one."
    points, eps = noisy(n, d, how)
    run = dbscan_cluster if who == "clusterlab" else theirs
    run(points[:1000], eps, MIN_SAMPLES)
    return lambda: run(points, eps, MIN_SAMPLES)


def memory(words: str, o) -> dict:
    n, d, how = words.split(",")
    return {"n": int(n), "d": int(d), "data": how} | {who: harness.peak_memory(__file__, "prepare", n=int(n), d=int(d), how=how, who=who) for who in ("clusterlab", "scikit-learn")}


# ---- pages

def title(entry: dict) -> str: return f"n={entry['n']:,}, d={entry['d']}, {entry['data']}"


def time_page(entries: list[dict]) -> str:
    names = list(dict.fromkeys(name for e in entries for name in e["contestants"]))
    rows = []
    for e in entries:
        ours, row = e["contestants"]["clusterlab"]["seconds"], [title(e)]
        for name in names:
            found = e["contestants"].get(name, {"left_out": "left out"})
            if "left_out" in found: row.append(found["left_out"])
            elif name == "clusterlab": row.append(f"{statistics.median(ours) * 1e3:.3g} ms")
            else: row.append(f"{statistics.median(found['seconds']) * 1e3:.3g} ms, {spread(ratios(found['seconds'], ours))}x")
        rows.append([*row, e["clusters"], e["noise"], {True: "yes", False: "NO", None: "not compared"}[e["equal"]]])
    return table(["data", *names, "clusters", "noise", "labels equal"], rows) + "\nMedian time, and how many times clusterlab's: median and range of the ratios, round by round.\n"


def memory_page(entries: list[dict]) -> str:
    said = lambda found: found.get("left_out") or f"{found['bytes'] / 2**20:.0f} MiB"
    return table(["data", "clusterlab", "scikit-learn"], [[title(e), said(e["clusterlab"]), said(e["scikit-learn"])] for e in entries]) + "\nPeak memory above that before the call.\n"


def equal_page(entries: list[dict]) -> str:
    return "\n".join(f"{e['cases']:,} random cases: " + ", ".join(f"{name} {count:,}" for name, count in e.items() if isinstance(count, int) and name != "cases")
                     + "".join(f"\n- {case}" for case in e["those that differ"]) for e in entries) + "\n"


PAGES = {"time": ("Time", time_page), "memory": ("Memory", memory_page), "equal": ("Label for label", equal_page)}


def page(record: dict) -> str:
    return harness.preamble(record) + "".join(f"\n## {PAGES[part][0]}\n\n{PAGES[part][1](entries)}" for part, entries in record["parts"].items())


# ---- the command

def options(words=None):
    p = harness.parser(__doc__, PAGES)
    p.add_argument("--rows", nargs="+", metavar="n,d,data", default=ROWS, help="data: density, extent or blobs")
    p.add_argument("--memory-rows", nargs="+", metavar="n,d,data", default=["100000,2,density", "1000000,2,density", "1000000,3,density", "100000,2,extent"])
    p.add_argument("--random", type=int, default=1000, metavar="CASES", help="how many random cases")
    p.add_argument("--most", type=float, default=4e6, help="run scikit-learn where n d is at most this")
    o = harness.parse(p, words, PAGES)
    if o.quick: o.rows, o.memory_rows, o.rounds, o.random = QUICK, QUICK[:1], 1, min(o.random, 50)
    return o


def main(words=None) -> dict | None:
    o = options(words)
    if o.show: return harness.show(o.show, page)
    harness.limit_threads(o.threads, ["sklearn"])
    run = harness.Run("dbscan", o, ["torch", "numpy", "scikit-learn", "scipy"], ("rounds", "random", "threads", "quick"), page)
    work = {"time": [lambda row=row: timed(row, o, run.watch) for row in o.rows], "memory": [lambda row=row: memory(row, o) for row in o.memory_rows], "equal": [lambda: equal(o)]}
    for part in o.parts:
        print(f"\n## {PAGES[part][0]}\n", flush=True)
        for call in work[part]: run.keep(part, entry := call(), str(entry.get("n", "")))
        print(PAGES[part][1](run.record["parts"][part]), flush=True)
    return run.record


if __name__ == "__main__":
    found = main()
    if found and any(e["those that differ"] for e in found["parts"].get("equal", [])): sys.exit("some labels differ")
