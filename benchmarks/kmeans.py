"""k-means: clusterlab against the libraries that people use, and against the lesson's own versions.

    python benchmarks/kmeans.py                                              everything: an hour or more; the record goes nowhere
    python benchmarks/kmeans.py --out cpu                                    the same, kept as results/DATE-kmeans-cpu.json and .md
    python benchmarks/kmeans.py --parts iteration --rows 100000,16,64,20 --only faiss sklearn-lloyd
    python benchmarks/kmeans.py --quick                                      tiny sizes, one round: does it run?
    python benchmarks/kmeans.py --show benchmarks/results/FILE.json          the page of a record

README.md, beside this file, says what is measured and how to read it.
"""
import math
import warnings
from contextlib import suppress
from importlib.util import find_spec
from typing import NamedTuple

import harness  # before torch: it chooses OpenBLAS's kernel
import torch
from harness import Stopwatch
from kmeans_pages import PAGES, page, title
from kmeans_peers import CONTESTANTS, FITS, first_centroids
from torch import Generator, Tensor

from clusterlab.kmeans import k_means_cluster, k_means_plus_plus

ROWS = ["1500,2,6,10", "100000,2,6,20", "1000000,2,8,20", "100000,16,64,20", "1000000,32,100,10", "100000,128,256,10", "1000000,128,1024,2"]
QUICK = ["300,2,4,3", "500,4,6,2"]
PARTS = ["iteration", "fit", "seeding", "memory", "limits", "gpu"]
ROOM = 12e9
ON_A_GPU = ["clusterlab", "fast-pytorch-kmeans", "flash-kmeans"]
EVENTS = {"cuda": {"launches": "(cuda|cu)(LaunchKernel.*|GraphLaunch)", "copies": "cudaMem(cpy|set)Async", "synchronisations": "cuda(Stream|Device|Event)Synchronize|cudaMemcpy"},
          "cpu": {"operations": "aten::.*", "scalars read": "aten::_local_scalar_dense"}}


class Row(NamedTuple):
    n: int
    d: int
    k: int
    iterations: int


# ---- data, and the specification

def blobs(n: int, d: int, k: int) -> Tensor:
    "n points of k blobs that touch, (n, d) float32, the same in every run."
    g = Generator().manual_seed(0)
    centres = torch.rand(k, d, generator=g) * 70 - 35
    points = torch.randn(n, d, generator=g).mul_({2: 5., 16: 14., 32: 16., 128: 18.}.get(d, 10.))
    return points.add_(centres[torch.randint(0, k, (n,), generator=g)])


def nearest(points: Tensor, centroids: Tensor):
    "Chunk by chunk in float64: points, squared distances to the nearest centroid, and its number."
    centroids = centroids.to(points.device).double()
    for x in points.split(max(1, 2**23 // len(centroids))):
        x = x.double()
        scores, labels = torch.addmm(centroids.square().sum(1), x, centroids.T, alpha=-2).min(1)
        yield x, (scores + x.square().sum(1)).clamp_min(0), labels


def inertia(points: Tensor, centroids: Tensor) -> float:
    "Sum of squared distances to the nearest centroid, in float64."
    return sum(squares.sum().item() for _, squares, _ in nearest(points, centroids))


def specification(points: Tensor, centroids: Tensor, iterations: int) -> tuple[list[float], int]:
    "Lloyd's algorithm in float64. -> the inertia of its centroids after 0, 1, ... iterations + 1 updates; in how many updates a cluster was empty (it keeps its centroid)."
    trace, empty, centroids = [], 0, centroids.double()
    for _ in range(iterations + 2):
        sums, counts, total = torch.zeros_like(centroids), centroids.new_zeros(len(centroids)), 0.
        for x, squares, labels in nearest(points, centroids):
            sums.index_add_(0, labels, x)
            counts += labels.bincount(minlength=len(centroids))
            total += squares.sum().item()
        trace.append(total)
        if len(trace) <= iterations: empty += bool((counts == 0).any())
        centroids = torch.where(counts[:, None] > 0, sums / counts[:, None], centroids)
    return trace, empty


def work(found: float, trace: list[float], iterations: int, empty: int = 0) -> str:
    """How the inertia found compares with the specification's: 'equal'; 'as 9 iterations', if it lies nearer to another of its updates; or how far off it is.
    Where clusters went empty, libraries differ in what they do with them, and so in where they arrive."""
    wanted = trace[iterations]
    if not math.isfinite(found): return "not a number"
    gap = min(abs(wanted - other) for other in (trace[iterations - 1], trace[iterations + 1]))
    if abs(found - wanted) <= max(1e-6 * wanted, 0 if empty else gap / 2): return "equal"
    if empty: return f"{found / wanted - 1:+.2%}, empty clusters"
    if min(trace) <= found <= max(trace): return f"as {min(range(len(trace)), key=lambda i: abs(trace[i] - found))} iterations"
    return f"{found / wanted - 1:+.2%}"


# ---- parts: each measures one row, and answers what the record keeps

def reason_to_leave_out(name: str, row: Row) -> str | None:
    "Why a contestant cannot run at all, in words."
    one = CONTESTANTS[name]
    if find_spec(one.module) is None: return "not installed"
    if (need := 4 * one.floats(*row[:3])) > ROOM: return f"would need about {need / 1e9:.0f} GB; the limit is {ROOM / 1e9:.0f}"
    return None


def too_slow(name: str, row: Row, points: Tensor, limit: float) -> str | None:
    "Why it is left out, after a trial on one point in 32."
    if row.n < 50_000: return None
    few = points[: max(row.n // 32, 2 * row.k)]
    seconds = Stopwatch().seconds(lambda: CONTESTANTS[name].run(few, first_centroids(few, row.k), row.iterations))[1] * row.n / len(few)
    return f"a call would take about {seconds:.0f} s; the limit is {limit:.0f}" if seconds > limit else None


def wanted(names, row: Row, points: Tensor, limit: float) -> tuple[list[str], dict]:
    "Those of the contestants that can run, and for the others {name: {left_out: why}}."
    run, left = [], {}
    for name in names:
        try: why = reason_to_leave_out(name, row) or too_slow(name, row, points, limit)
        except Exception as error: why = harness.in_words(error)
        if why: left[name] = {"left_out": why}
        else: run.append(name)
    return run, left


def iteration(row: Row, o, watch: Stopwatch) -> dict:
    "Lloyd's iterations from the same start; each contestant's inertia is held against the specification's."
    points = blobs(*row[:3])
    start = first_centroids(points, row.k)
    trace, empty = specification(points, start, row.iterations)
    settled = next((i for i in range(1, row.iterations) if trace[i] == trace[i - 1]), row.iterations)
    names, left = wanted([name for name in o.only if name != "flash-kmeans"], row, points, o.limit)
    values, times = watch.race({name: lambda run=CONTESTANTS[name].run: run(points, start, row.iterations) for name in names}, o.rounds)
    for name, (centroids, iterations) in values.items():
        found = inertia(points, centroids)
        times[name] |= {"iterations": int(iterations or settled), "labels": CONTESTANTS[name].labels, "inertia": found, "work": work(found, trace, row.iterations, empty)}
    return {"specification": {"inertia": trace, "updates with an empty cluster": empty, "settled after": settled}, "contestants": times | left}


def fit(row: Row, o, watch: Stopwatch) -> dict:
    "Whole fits with each library's own seeding, one a seed."
    points, found, left = blobs(*row[:3]), {}, {}
    for name, (contestant, settings, _) in FITS.items():
        if contestant not in o.only: continue
        if why := reason_to_leave_out(contestant, row): left[name] = {"left_out": why}
        else: found[name] = {"settings": settings, "seconds": [], "others": [], "inertia": [], "iterations": []}
    for seed in range(o.fits):
        values, times = watch.race({name: lambda run=FITS[name][2]: run(row.k, points, seed) for name in found}, 1, seed)
        for name, time in times.items():
            if "left_out" in time: left[name] = time; del found[name]; continue
            centroids, iterations = values[name]
            more = {"seconds": time["seconds"][0], "others": time["others"][0], "inertia": inertia(points, centroids), "iterations": iterations and int(iterations)}
            for key, value in more.items(): found[name][key].append(value)
    return {"contestants": found | left}


def seeding(row: Row, o, watch: Stopwatch) -> dict:
    "k-means++ of ours and of scikit-learn: the time, and the inertia before and after the same Lloyd iterations (ours) from both."
    from sklearn.cluster import kmeans_plusplus
    points = blobs(*row[:3])
    found = {name: {"seconds": [], "others": [], "seeding inertia": [], "inertia": []} for name in ("clusterlab", "scikit-learn")}
    for seed in range(o.seeds):
        values, times = watch.race({
            "clusterlab": lambda: k_means_plus_plus(row.k, points, generator=Generator().manual_seed(seed)),
            "scikit-learn": lambda: torch.from_numpy(kmeans_plusplus(points.numpy(), row.k, random_state=seed)[0])}, 1, seed)
        for name, start in values.items():
            final = k_means_cluster(row.k, points, 300, 1e-4, init=start)[0]
            more = {"seconds": times[name]["seconds"][0], "others": times[name]["others"][0], "seeding inertia": inertia(points, start), "inertia": inertia(points, final)}
            for key, value in more.items(): found[name][key].append(value)
    return {"contestants": found}


def remembered(name: str, n: int, d: int, k: int):
    "The call whose memory is measured, after a small one that loads what it needs: seeding (where it is the library's default) and three iterations."
    def run(points, k):
        if name == "clusterlab": return k_means_cluster(k, points, 3, 0.)
        if name == "sklearn-lloyd":
            from sklearn.cluster import KMeans
            return KMeans(k, max_iter=3, n_init=1, tol=0).fit(points.numpy())
        from fast_pytorch_kmeans import KMeans
        return KMeans(k, max_iter=3, tol=-1.).fit_predict(points)
    warnings.simplefilter("ignore")
    run(blobs(100, d, 2), 2)
    points = torch.randn(n, d)
    return lambda: run(points, k)


def memory(o):
    "Entries, one by one: peak beyond the input: n fixed, n * k fixed, k fixed."
    series = {"n fixed": [(100_000, k) for k in (8, 32, 128, 512, 1024)], "n k fixed": [(100_000 * m, 1024 // m) for m in (1, 2, 4, 8, 16)],
              "k fixed": [(100_000 * m, 64) for m in (1, 2, 4, 8)]}
    if o.quick: series = {"n fixed": [(2000, 64)]}
    names = [name for name in ("clusterlab", "sklearn-lloyd", "fast-pytorch-kmeans") if name in o.only]
    for fixed, sizes in series.items():
        for n, k in sizes:
            left = {name: {"left_out": why} for name in names if (why := reason_to_leave_out(name, Row(n, 16, k, 3)))}
            yield {"series": fixed, "n": n, "d": 16, "k": k,
                   "contestants": {name: left.get(name) or harness.peak_memory(__file__, "remembered", name=name, n=n, d=16, k=k) for name in names}}


def limits(row: Row, o, watch: Stopwatch) -> dict:
    "clusterlab beside the machine's product and copy, which take turns with it. Its call makes one pass more than iterations: the labels are those of the centroids returned."
    points, size, length = blobs(*row[:3]), 256 if o.quick else 3072, 2**16 if o.quick else 2**26
    start, A, source = first_centroids(points, row.k), torch.randn(size, size), torch.zeros(length)
    product, target = torch.empty(size, size), torch.empty(length)
    _, times = watch.race({"clusterlab": lambda: CONTESTANTS["clusterlab"].run(points, start, row.iterations),
                           "sgemm": lambda: torch.mm(A, A, out=product), "copy": lambda: target.copy_(source)}, o.rounds)
    times["clusterlab"] |= {"passes": row.iterations + 1, "flops a pass": 2 * row.n * row.d * row.k, "bytes a pass": 4 * row.n * row.d}
    return {"contestants": times | {"sgemm": times["sgemm"] | {"flops": 2 * size**3}, "copy": times["copy"] | {"bytes": 8 * length}}}


def gpu(row: Row, o, watch: Stopwatch) -> dict:
    "On the device: times by its own events, float32, the points there already; launches and synchronisations an iteration, from the difference of two numbers of iterations."
    points, few = blobs(*row[:3]).to(o.device), max(1, row.iterations // 2)
    start = first_centroids(points, row.k)
    watch.device = o.device
    names, left = wanted([name for name in ON_A_GPU if name in o.only], row, points, o.limit)
    def call(name, iterations): return lambda: CONTESTANTS[name].run(points, start, iterations)
    for name in names:  # what compiles itself does so now
        with suppress(Exception): call(name, 1)()
    values, times = watch.race({name: call(name, row.iterations) for name in names}, o.rounds)
    for name in values:
        more, less = (harness.count_events(call(name, iterations), EVENTS[o.device], o.device) for iterations in (row.iterations, few))
        times[name] |= {"iterations": row.iterations, "inertia": inertia(points, values[name][0]), "labels": CONTESTANTS[name].labels,
                        "an iteration": {what: (more[what] - less[what]) / max(1, row.iterations - few) for what in more}}
    watch.device = "cpu"
    return {"device": o.device, "float32 products": torch.get_float32_matmul_precision(), "contestants": times | left}


# ---- the command

MEASURED = {"iteration": iteration, "fit": fit, "seeding": seeding, "limits": limits, "gpu": gpu}  # row by row; memory has sizes of its own


def options(words=None):
    p = harness.parser(__doc__, PARTS)
    p.set_defaults(parts=None)
    p.add_argument("--rows", nargs="+", metavar="n,d,k,iterations", default=ROWS)
    p.add_argument("--only", nargs="+", choices=CONTESTANTS, metavar="NAME", default=list(CONTESTANTS), help=f"contestants beside clusterlab, of {', '.join(CONTESTANTS)}")
    p.add_argument("--fits", type=int, default=5, help="seeds of part fit")
    p.add_argument("--seeds", type=int, default=20, help="seeds of part seeding")
    p.add_argument("--most", type=float, default=4e9, help="parts fit and seeding leave out rows with n d k above this")
    p.add_argument("--limit", type=float, default=300, help="leave out contestants whose call would take more seconds")
    p.add_argument("--device", choices=EVENTS, default="cuda" if torch.cuda.is_available() else "cpu", help="of part gpu (left out where there is none, unless --parts names it); with cpu it counts operations")
    o = harness.parse(p, words, PARTS)
    if o.quick: o.rows, o.rounds, o.fits, o.seeds = QUICK if o.rows is ROWS else o.rows, 1, 2, 2
    o.parts = o.parts or [part for part in PARTS if part != "gpu" or o.device == "cuda"]
    o.only = list(dict.fromkeys(["clusterlab", *o.only]))
    return o


def measure(part: str, o, watch: Stopwatch):
    "The entries of one part, one by one."
    if part == "memory": yield from memory(o); return
    for row in (Row(*map(int, words.split(","))) for words in o.rows):
        too_much = part in ("fit", "seeding") and row.n * row.d * row.k > o.most
        yield row._asdict() | ({"left_out": f"n d k is above {o.most:.0e}"} if too_much else MEASURED[part](row, o, watch))


def main(words=None) -> dict | None:
    o = options(words)
    if o.show: return harness.show(o.show, page)
    warnings.filterwarnings("ignore")
    harness.limit_threads(o.threads, [CONTESTANTS[name].module for name in o.only])
    packages = ["torch", "numpy", *dict.fromkeys(c.package for c in CONTESTANTS.values())]
    run = harness.Run("kmeans", o, packages, ("rounds", "fits", "seeds", "most", "limit", "threads", "quick"), page)
    for part in o.parts:
        print(f"\n## {PAGES[part][0]}\n", flush=True)
        for entry in measure(part, o, run.watch): run.keep(part, entry, title(entry))
        print(PAGES[part][1](run.record["parts"][part]).strip(), flush=True)
    return run.record


if __name__ == "__main__": main()
