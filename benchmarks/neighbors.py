"""Exact neighbours: clusterlab against the trees of scipy and scikit-learn, and against FAISS's exhaustive search.

    python benchmarks/neighbors.py                                    everything: half an hour; the record goes nowhere
    python benchmarks/neighbors.py --out two-cores                    the same, kept as results/DATE-neighbors-two-cores.json and .md
    python benchmarks/neighbors.py --parts radius --sizes 100000      one part, one size
    python benchmarks/neighbors.py --quick                            tiny sizes, one round: does it run?
    python benchmarks/neighbors.py --show benchmarks/results/FILE.json

Trees are built inside the timed call, as our grid is. Contestants take turns (harness.py); all answers are held against each other.
"""
import statistics
from contextlib import suppress

import harness  # before torch: it chooses OpenBLAS's kernel
import torch
from harness import Stopwatch, preamble, ratios, spread, table
from torch import Generator, Tensor

from clusterlab.neighbors import nearest_neighbors, radius_counts, radius_neighbors

PARTS = {"nearest": "Ten nearest neighbours of all points", "radius": "Points within a radius of each point", "wide": "Ten nearest of 5,000 queries, many dimensions",
         "choice": "The choice of method, ten nearest of all points", "growth": "Growth with n, ten nearest and within a radius"}
K = 10


# ---- data

def made(kind: str, n: int, d: int, seed: int = 0) -> Tensor:
    "n points, (n, d) float32, one a unit of volume where 'uniform'; 'blobs': nine tenths in n/1000 Gaussian crowds, the rest between them."
    g = Generator().manual_seed(seed)
    side = n ** (1 / d) if d <= 3 else 10.
    if kind == "uniform": return torch.rand(n, d, generator=g) * side
    crowds, noise = max(6, n // 1000), n // 10
    centres = torch.rand(crowds, d, generator=g) * side * 3
    points = centres[torch.randint(crowds, (n - noise,), generator=g)] + torch.randn(n - noise, d, generator=g) * (2 if d <= 3 else 1)
    return torch.cat([points, torch.rand(noise, d, generator=g) * side * 3])[torch.randperm(n, generator=g)]


def exact(points: Tensor, queries: Tensor, k: int) -> Tensor:
    "The distances of some queries to their k nearest in float64, (q, k)."
    return torch.cat([torch.cdist(q.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist").topk(k, 1, largest=False).values for q in queries.split(20)])


# ---- contestants

def trees(x: Tensor, k: int, threads: int) -> dict:
    from scipy.spatial import cKDTree
    from sklearn.neighbors import NearestNeighbors
    data = x.numpy()
    return {f"cKDTree, {threads} workers": lambda: torch.from_numpy(cKDTree(data).query(data, k, workers=threads)[0]),
            "cKDTree, 1 worker": lambda: torch.from_numpy(cKDTree(data).query(data, k)[0]),
            f"scikit-learn kd_tree, {threads} jobs": lambda: torch.from_numpy(NearestNeighbors(n_neighbors=k, algorithm="kd_tree", n_jobs=threads).fit(data).kneighbors(data)[0])}


def balls(x: Tensor, radius: float, threads: int) -> dict:
    from scipy.spatial import cKDTree
    data = x.numpy().astype("float64")
    return {f"cKDTree, {threads} workers": lambda: torch.from_numpy(cKDTree(data).query_ball_point(data, radius, workers=threads, return_length=True)),
            "cKDTree, 1 worker": lambda: torch.from_numpy(cKDTree(data).query_ball_point(data, radius, return_length=True))}


def nearest(o, watch: Stopwatch):
    for d, kind, n in ((d, kind, n) for d in (2, 3) for kind in ("uniform", "blobs") for n in o.sizes):
        x = made(kind, n, d)
        values, times = watch.race({"clusterlab": lambda: nearest_neighbors(x, K)[0]} | trees(x, K, o.threads), o.rounds)
        for name, found in values.items(): times[name]["largest relative difference"] = ((found.double() - values["clusterlab"].double()).abs().max() / found.max()).item()
        yield {"kind": kind, "n": n, "d": d, "contestants": times}


def radius(o, watch: Stopwatch):
    for d, kind, r, n in ((d, kind, r, n) for d, r in ((2, 0.9), (2, 3.), (3, 1.2)) for kind in ("uniform", "blobs") for n in o.sizes):
        x = made(kind, n, d)
        values, times = watch.race({"clusterlab": lambda: radius_counts(x, r)} | balls(x, r, o.threads), o.rounds)
        for name, found in values.items(): times[name]["equal"] = bool((found == values["clusterlab"]).all())
        yield {"kind": kind, "n": n, "d": d, "radius": r, "neighbours": round(values["clusterlab"].double().mean().item(), 1), "contestants": times}


def wide(o, watch: Stopwatch):
    from sklearn.neighbors import NearestNeighbors
    n, q = (2_000, 100) if o.quick else (50_000, 5_000)
    for kind, d in ((kind, d) for kind in ("uniform", "blobs, queries among them") for d in (8, 32, 64, 128)):
        x = made(kind.split(",")[0], n + q, d)
        x, queries = x[:n].contiguous(), x[n if kind == "uniform" else 0:][:q].contiguous()
        calls = {"clusterlab": lambda: nearest_neighbors(x, K, queries)[0],
                 "scikit-learn brute": lambda: torch.from_numpy(NearestNeighbors(n_neighbors=K, algorithm="brute", n_jobs=o.threads).fit(x.numpy()).kneighbors(queries.numpy())[0])}
        with suppress(ImportError):
            import faiss
            def flat():
                index = faiss.IndexFlatL2(d)
                index.add(x.numpy())
                return torch.from_numpy(index.search(queries.numpy(), K)[0]).clamp_min(0).sqrt()
            calls["FAISS flat"] = flat
        values, times = watch.race(calls, o.rounds)
        truth = exact(x, queries[:200], K)
        for name, found in values.items(): times[name]["largest error"] = (found[:200].double() - truth).abs().max().item()
        yield {"kind": kind, "n": n, "d": d, "queries": q, "contestants": times}


def choice(o, watch: Stopwatch):
    for kind, d, n in ((kind, d, n) for kind in ("uniform", "blobs") for d in (2, 3, 5, 8, 16, 64) for n in ([500] if o.quick else [1_000, 5_000, 20_000])):
        x = made(kind, n, d)
        _, times = watch.race({("clusterlab" if m == "auto" else m): lambda m=m: nearest_neighbors(x, K, method=m)[0] for m in ("auto", "grid", "brute")}, min(3, o.rounds))
        yield {"kind": kind, "n": n, "d": d, "contestants": times}


def growth(o, watch: Stopwatch):
    from scipy.spatial import cKDTree
    for n in ([1_000, 2_000] if o.quick else [1_000, 10_000, 100_000, 1_000_000]):
        x = made("uniform", n, 2)
        calls = {"clusterlab": lambda: nearest_neighbors(x, K)[0], "within 1.5": lambda: radius_counts(x, 1.5), "within 1.5, all pairs listed": lambda: radius_neighbors(x, 1.5)[0],
                 "cKDTree": lambda: cKDTree(x.numpy()).query(x.numpy(), K, workers=o.threads)[0]}
        if n <= 20_000: calls["products"] = lambda: nearest_neighbors(x, K, method="brute")[0]
        yield {"kind": "uniform", "n": n, "d": 2, "contestants": watch.race(calls, min(3, o.rounds))[1]}


MEASURED = {"nearest": nearest, "radius": radius, "wide": wide, "choice": choice, "growth": growth}


# ---- the page

def title(entry: dict) -> str: return f"{entry['kind']}, n = {entry['n']:,}, d = {entry['d']}" + "".join(f", {name} {entry[name]}" for name in ("radius", "neighbours", "queries") if name in entry)


def line(entry: dict, name: str) -> list:
    time, ours = entry["contestants"][name], entry["contestants"]["clusterlab"]
    if "left_out" in time: return [name, time["left_out"], "", ""]
    agree = next((f"{key}: {value:.1e}" if isinstance(value, float) else f"{key}: {value}" for key, value in time.items() if key not in ("seconds", "others")), "")
    return [name, f"{statistics.median(time['seconds']) * 1e3:.3g}", spread(ratios(time["seconds"], ours["seconds"])) if "seconds" in ours else "", agree]


def section(part: str, entries: list[dict]) -> str:
    return f"## {PARTS[part]}\n\n" + "\n".join(f"{title(e)}\n\n{table(['', 'ms', 'over ours', 'answer'], [line(e, name) for name in e['contestants']])}" for e in entries)


def page(record: dict) -> str: return preamble(record) + "\n" + "\n".join(section(part, entries) for part, entries in record["parts"].items())


# ---- the command

def options(words=None):
    p = harness.parser(__doc__, PARTS)
    p.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="of parts nearest and radius")
    o = harness.parse(p, words, PARTS)
    if o.quick: o.sizes, o.rounds = [1_000], 1
    return o


def main(words=None) -> dict | None:
    o = options(words)
    if o.show: return harness.show(o.show, page)
    harness.limit_threads(o.threads, ["sklearn", "faiss"])
    run = harness.Run("neighbors", o, ["torch", "numpy", "scipy", "scikit-learn", "faiss-cpu"], ("rounds", "threads", "quick"), page)
    for part in o.parts:
        for entry in MEASURED[part](o, run.watch): run.keep(part, entry, title(entry))
        print(section(part, run.record["parts"][part]), flush=True)
    return run.record


if __name__ == "__main__": main()
