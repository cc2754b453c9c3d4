"""The neighbours of all points in many dimensions: clusterlab's cells and hashes beside exact search, FAISS and pynndescent, by recall and time.

    python benchmarks/lsh.py                          both sets of 100,000 points, about half an hour; the record goes nowhere
    python benchmarks/lsh.py --out two-cores          the same, kept as results/DATE-lsh-two-cores.json and .md
    python benchmarks/lsh.py --only cells exact ivf   these families of contestants alone
    python benchmarks/lsh.py --quick                  tiny sizes, one round: does it run?
    python benchmarks/lsh.py --show FILE.json         the page of a record

A call builds its index and asks for the k nearest others of every point. Recall is the share of the true ones, those of a search in float64, that it finds, over 2,000 of the points.
"""
import statistics
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import NamedTuple

import harness  # before torch: it chooses OpenBLAS's kernel
import torch
from harness import Stopwatch
from torch import Generator, Tensor

from clusterlab.lsh import LSH, approximate_neighbors
from clusterlab.neighbors import nearest_neighbors

BASE = "cells, 8 probed"
RULERS = {"clustered": 12.0, "uniform": 4.0}


class Contestant(NamedTuple):
    "package: what pip calls it; run(points, k, name of the set, threads) -> indices (n, k), the point itself among them."
    package: str
    run: Callable

    @property
    def family(self): return self.run.family


CONTESTANTS: dict[str, Contestant] = {}


def contestants(family: str, package: str, *settings):
    "Register run(points, k, data, threads, *setting) for each (name, *setting)."
    def register(run):
        for name, *setting in settings:
            def bound(points, k, data, threads, setting=setting): return torch.as_tensor(run(points, k, data, threads, *setting))
            bound.family = family
            CONTESTANTS[name] = Contestant(package, bound)
        return run
    return register


def seeded(): return Generator().manual_seed(0)


# ---- contestants

@contestants("cells", "clusterlab", *((f"cells, {p} probed", p) for p in (2, 4, 8, 16, 64)))
def _(points, k, data, threads, n_probe): return approximate_neighbors(points, k, n_probe=n_probe, generator=seeded())[1]


@contestants("exact", "clusterlab", ("exact",))
def _(points, k, data, threads): return nearest_neighbors(points, k, method="brute")[1]


@contestants("hashes", "clusterlab", ("planes, 12 hashes, 16 tables", 12, False), ("planes, 16 hashes, 16 tables", 16, False), ("rulers, 8 hashes, 16 tables", 8, True))
def _(points, k, data, threads, hashes, rulers): return LSH(points, hashes, 16, RULERS[data] if rulers else None, generator=seeded()).neighbors(k)[1]


def faiss(threads):
    import faiss
    faiss.omp_set_num_threads(threads)
    return faiss


@contestants("flat", "faiss-cpu", ("faiss flat (exact)",))
def _(points, k, data, threads):
    index = faiss(threads).IndexFlatL2(points.shape[1])
    index.add(points.numpy())
    return index.search(points.numpy(), k)[1]


@contestants("ivf", "faiss-cpu", *((f"faiss IVF, {p} probed", p) for p in (4, 8, 16, 32)))
def _(points, k, data, threads, n_probe):
    d, lists, module = points.shape[1], max(1, round(1.25 * len(points)**0.5)), faiss(threads)
    quantizer = module.IndexFlatL2(d)
    index = module.IndexIVFFlat(quantizer, d, lists)
    index.train(points.numpy())
    index.add(points.numpy())
    index.nprobe = n_probe
    return index.search(points.numpy(), k)[1]


@contestants("hnsw", "faiss-cpu", ("faiss HNSW, ef 16", 16), ("faiss HNSW, ef 64", 64))
def _(points, k, data, threads, ef):
    index = faiss(threads).IndexHNSWFlat(points.shape[1], 16)
    index.hnsw.efConstruction, index.hnsw.efSearch = 40, ef
    index.add(points.numpy())
    return index.search(points.numpy(), k)[1]


@contestants("pynndescent", "pynndescent", ("pynndescent",))
def _(points, k, data, threads):
    from pynndescent import NNDescent
    return NNDescent(points.numpy(), n_neighbors=k, n_jobs=threads, random_state=0).neighbor_graph[0]


# ---- data, the truth, the measurement

def draw(data: str, n: int, d: int) -> Tensor:
    "n points: a hundred clusters, or uniform in the cube; (n, d) float32, the same in every run."
    g = seeded()
    if data == "uniform": return torch.rand(n, d, generator=g)
    return 2 * torch.randn(100, d, generator=g)[torch.randint(0, 100, (n,), generator=g)] + 0.7 * torch.randn(n, d, generator=g)


def true_neighbors(points: Tensor, asked: Tensor, k: int) -> Tensor:
    "The k nearest others of the asked rows by differences in float64, (len(asked), k)."
    found = []
    for rows in asked.split(50):
        squared = torch.cdist(points[rows].double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")
        squared[torch.arange(len(rows)), rows] = torch.inf
        found.append(squared.topk(k, 1, largest=False).indices)
    return torch.cat(found)


def recall(found: Tensor, true: Tensor) -> float:
    "The share of the true neighbours, (q, k), that are among the found, (q, any)."
    return (found[:, :, None] == true[:, None]).any(1).double().mean().item()


def compare(data: str, o, watch: Stopwatch) -> dict:
    "All contestants on one set: seconds and recall."
    points, names, left = draw(data, o.n, o.d), [], {}
    asked = torch.randperm(o.n, generator=seeded())[:o.asked]
    true = true_neighbors(points, asked, o.k)
    for name, one in CONTESTANTS.items():
        if one.family not in o.only: continue
        if find_spec(one.package.replace("-cpu", "")) is None:
            left[name] = {"left_out": "not installed"}
            continue
        with suppress(Exception): one.run(points[:2000], o.k + 1, data, o.threads)  # what compiles itself does so now
        names.append(name)
    values, times = watch.race({name: lambda run=CONTESTANTS[name].run: run(points, o.k + 1, data, o.threads) for name in names}, o.rounds)
    for name, found in values.items(): times[name] |= {"recall": recall(found[asked], true)}
    for name, c in left.items(): print(f"{name}: {c['left_out']}; it does not take part", file=sys.stderr)
    return {"data": data, "n": o.n, "d": o.d, "k": o.k, "contestants": times | left}


# ---- the page and the command

def table(entry: dict) -> str:
    rows, contestants = [], entry["contestants"]
    base = contestants.get(BASE, {}).get("seconds")
    for name, c in contestants.items():
        if "left_out" in c: rows.append([name, c["left_out"], "", "", ""]); continue
        disturbed = sum(others > harness.DISTURBED for others in c["others"])
        over = harness.spread(harness.ratios(c["seconds"], base)) if base else ""
        rows.append([name, f"{c['recall']:.3f}", f"{statistics.median(c['seconds']):.3g}", over, f"{len(c['seconds'])}" + (f" ({disturbed} disturbed)" if disturbed else "")])
    return f"## {entry['n']:,} points, {entry['d']} features, {entry['data']}\n\n" + harness.table(["contestant", f"recall of {entry['k']}", "seconds", f"over {BASE}", "rounds"], rows)


def page(record: dict) -> str:
    words = f"The {record['parameters']['k']} nearest others of every point, index included. Over: their time divided by that of `{BASE}`, round by round; more than 1: slower than that.\n"
    return "\n".join([harness.preamble(record), words, *(table(e) for entries in record["parts"].values() for e in entries)])


def options(words=None):
    families = list(dict.fromkeys(c.family for c in CONTESTANTS.values()))
    p = harness.parser(__doc__)
    p.add_argument("--only", nargs="+", choices=families, metavar="FAMILY", default=families, help=f"of {', '.join(families)}")
    p.add_argument("--data", nargs="+", choices=["clustered", "uniform"], default=["clustered", "uniform"])
    p.add_argument("--n", type=int, default=100_000)
    p.add_argument("--d", type=int, default=32)
    p.add_argument("--k", type=int, default=10)
    p.add_argument("--asked", type=int, default=2000, help="points over which recall is measured")
    o = harness.parse(p, words)
    if o.quick: o.n, o.d, o.asked, o.rounds = 2000, 16, 200, 1
    return o


def main(words=None) -> dict | None:
    o = options(words)
    if o.show: return harness.show(o.show, page)
    harness.limit_threads(o.threads)
    packages = ["torch", "numpy", *dict.fromkeys(c.package for c in CONTESTANTS.values() if c.package != "clusterlab")]
    run = harness.Run("lsh", o, packages, ("n", "d", "k", "asked", "rounds", "threads", "quick"), page)
    for data in o.data:
        run.keep(data, entry := compare(data, o, run.watch), f"{o.n:,} points")
        print(table(entry), flush=True)
    return run.record


if __name__ == "__main__": main()
