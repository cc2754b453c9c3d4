"""Mean shift: how time grows with the number of points, for clusterlab and for what a user would pick instead; and how far each step is from the exact one.

    python benchmarks/meanshift.py                       everything, 1,500 to 1,500,000 points: an hour on two quiet cores; the record goes nowhere
    python benchmarks/meanshift.py --out two-cores       the same, kept as results/DATE-meanshift-two-cores.json and .md
    python benchmarks/meanshift.py --quick               1,500 and 15,000 points, one round: does it run?
    python benchmarks/meanshift.py --parts growth --out growth
    python benchmarks/meanshift.py --show FILE.json      the page of a record

The record's parts, lists of entries:

growth   an entry for each (series, d, n). series: "extent", six ever denser clusters in the same box; "density", 250 points a cluster, the box grows.
         contestants: {name: {seconds: [a round each], others: [...], steps, clusters, ari}} or {left_out: why}; ari is the adjusted Rand index to how the data were made.
slopes   an entry for each (series, d, name): sizes, medians, "all" (slope and its standard error of log time on log n over all rounds), "decades" (a list of
         [n, 10 n, slope from medians, lowest, highest slope from rounds]).
steps    seconds of five steps of the lesson's data, and `error`, the largest distance to five exact steps in float64, in bandwidths.
mesh     error: {spacing "1/4": the largest distance after any of five steps of float64 points, in bandwidths}, by `order`; slope: log2 of its fall from 1/8 to 1/16.
whole    the whole against the exact algorithm in float64, to convergence: n, clusters, steps, median and largest distance in bandwidths, points with another label, ari.
lonely   the worst case found: a point `away` standard deviations from a crowd of `n`, the error of each step, how far the exact step moves it.
high     d = 8, 32, as growth. Bandwidth 2.5 sqrt(d / 2).

All bandwidths are 2.5 (the lesson's) for the Gaussian, 5 for scikit-learn's flat kernel, which finds the same six clusters on the lesson's data.
"""
import math
import statistics

import harness  # before torch: it chooses OpenBLAS's kernel
import torch
from harness import Stopwatch, ratios, spread, table
from torch import Generator, Tensor

from clusterlab.closest_points import Mesh, exact_step, near_step
from clusterlab.lesson.mean_shift import meanshift as lesson_loop
from clusterlab.lesson.mean_shift_batched import meanshift as lesson_batches
from clusterlab.mean_shift import _fit, modes_of, shift

BANDWIDTH, FLAT = 2.5, 5.0
PARTS = ["growth", "steps", "mesh", "whole", "lonely", "high"]
OURS = "clusterlab"


# ---- data

def lesson(each: int = 250, k: int = 6, d: int = 2, side: float = 70., seed: int = 42) -> tuple[Tensor, Tensor]:
    "k clusters of variance 5 in a box, (k * each, d), and their labels; with the defaults the lesson's data."
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        middles = torch.rand(k, d) * side - side / 2
        normal = torch.distributions.MultivariateNormal
        return torch.cat([normal(m, torch.diag(torch.full((d,), 5.))).sample((each,)) for m in middles]), torch.arange(k).repeat_interleave(each)


def grown(n: int, series: str, d: int = 2) -> tuple[Tensor, Tensor]:
    times = n // 1500
    return lesson(250 * times, 6, d) if series == "extent" else lesson(250, 6 * times, d, 70. * times ** (1 / d))


def high_data(n: int, d: int) -> tuple[Tensor, Tensor]:
    return lesson(n // 6, 6, d)


def ari(a: Tensor, b: Tensor) -> float:
    from sklearn.metrics import adjusted_rand_score
    return round(float(adjusted_rand_score(a.cpu().numpy(), b.cpu().numpy())), 5)


# ---- relatives that let cells stand for points, in plain torch, from their papers

def cell_keys(points: Tensor, side: float) -> tuple[Tensor, list[int]]:
    "The number of each point's cell, and the offsets of the 3^d cells of a neighbourhood."
    cells = ((points - points.amin(0)) / side).floor().long() + 1
    sizes, key, offsets = (cells.amax(0) + 2).tolist(), cells[:, 0], [0]
    for j in range(1, len(sizes)): key = key * sizes[j] + cells[:, j]
    for j in range(len(sizes)): offsets = [o + k * math.prod(sizes[j + 1:]) for o in offsets for k in (-1, 0, 1)]
    return key, offsets


def around(keys: Tensor, offsets: list[int], mass: Tensor, sums: Tensor) -> Tensor:
    "The mean of what is in the cells around each of the occupied cells, sorted by key."
    m, s = torch.zeros_like(mass), torch.zeros_like(sums)
    for o in offsets:
        at = torch.searchsorted(keys, keys + o).clamp_(max=len(keys) - 1)
        there = keys[at] == keys + o
        m += torch.where(there, mass[at], 0.)
        s += torch.where(there[:, None], sums[at], 0.)
    return s / m[:, None]


def mean_shift_plus_plus(points: Tensor, bandwidth: float, max_iters: int = 50, tol: float = 1e-3) -> tuple[Tensor, Tensor, int]:
    "MeanShift++ (Jang & Jiang 2021): a point moves to the mean of the points in the 3^d cells of side `bandwidth` around it. -> points, labels, steps."
    for step in range(1, max_iters + 1):
        key, offsets = cell_keys(points, bandwidth)
        keys, group = torch.unique(key, return_inverse=True)
        mass = torch.zeros(len(keys)).scatter_add_(0, group, torch.ones(len(points)))
        moved = around(keys, offsets, mass, torch.zeros(len(keys), points.shape[1]).index_add_(0, group, points))[group]
        far, points = (moved - points).norm(dim=1).max().item(), moved
        if far < tol * bandwidth: break
    return points, torch.unique(cell_keys(points, bandwidth)[0], return_inverse=True)[1], step


def grid_shift(points: Tensor, bandwidth: float, max_iters: int = 50, tol: float = 1e-3) -> tuple[Tensor, Tensor, int]:
    "GridShift (Kumar et al. 2022): cells move instead of points, and cells that meet are merged. -> points, labels, steps."
    left, mass, group, far = points, torch.ones(len(points)), torch.arange(len(points)), math.inf
    for step in range(1, max_iters + 1):
        keys, inside = torch.unique(cell_keys(left, bandwidth)[0], return_inverse=True)
        total = torch.zeros(len(keys)).scatter_add_(0, inside, mass)
        means = torch.zeros(len(keys), points.shape[1]).index_add_(0, inside, left * mass[:, None]) / total[:, None]
        group, stop = inside[group], step > 1 and len(keys) == len(mass) and far < tol * bandwidth
        key, offsets = cell_keys(means, bandwidth)
        key, order = key.sort()
        place = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order)))
        group, means, mass = place[group], means[order], total[order]
        if stop: break
        left = around(key, offsets, mass, means * mass[:, None])
        far = (left - means).norm(dim=1).max().item()
    return means[group], group, step


def exact_float64(points: Tensor, steps: int = 5) -> Tensor:
    "The specification: all pairs, by differences, in float64; points in bandwidths."
    points = points.double()
    for _ in range(steps):
        weights = (torch.exp(-0.5 * (x[:, None] - points[None]).square().sum(-1)) for x in points.split(256))
        points = torch.cat([w @ points / w.sum(1, keepdim=True) for w in weights])
    return points


def five(method: str, points: Tensor) -> Tensor:
    "Five steps, nothing merged."
    return shift(points / BANDWIDTH, torch.ones(len(points)), method=method, merge=0, tol=0, max_iters=5).points


# ---- growth

def scikit_learn(points: Tensor, bandwidth: float) -> tuple:
    from sklearn.cluster import MeanShift
    fit = MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(points.numpy())
    return fit.cluster_centers_, torch.from_numpy(fit.labels_), int(fit.n_iter_)


def ours(points: Tensor, bandwidth: float, method: str = "auto") -> tuple:
    modes, labels, steps = _fit(points, bandwidth, "gaussian", method, 50, 1e-3, None)
    return modes, labels, len(steps)


def contestants(points: Tensor, o) -> tuple[dict, dict]:
    "{name: call} of those that can run on so many points, and {name: {left_out: why}} for the others."
    n, d = points.shape
    calls = {OURS: (lambda: ours(points, BANDWIDTH), math.inf), "MeanShift++": (lambda: mean_shift_plus_plus(points, BANDWIDTH), math.inf),
             "GridShift": (lambda: grid_shift(points, BANDWIDTH), math.inf), "scikit-learn": (lambda: scikit_learn(points, FLAT), o.peers),
             "mesh, 5 steps, not merged": (lambda: five("mesh", points), o.peers), "near, 5 steps, not merged": (lambda: five("near", points), o.pairs * 10),
             "quadratic, 5 steps": (lambda: [five_exact(points)], o.pairs), "lesson 3, 5 steps": (lambda: lesson_batches(points), o.pairs)}
    return ({name: call for name, (call, most) in calls.items() if n <= most},
            {name: {"left_out": f"more than {most:,.0f} points"} for name, (_, most) in calls.items() if n > most})


def five_exact(points: Tensor) -> Tensor:
    points = points / BANDWIDTH
    for _ in range(5): points = exact_step(points, torch.ones(len(points)))
    return points


def measured(calls: dict, left: dict, truth: Tensor, o, watch: Stopwatch) -> dict:
    values, times = watch.race(calls, o.rounds)
    for name, value in values.items():
        if isinstance(value, tuple): times[name] |= {"steps": value[2], "clusters": len(value[1].unique()), "ari": ari(truth, value[1])}
    return times | left


def growth(o, watch: Stopwatch):
    for series, d, largest in (("extent", 2, 1_500_000), ("density", 2, 1_500_000), ("extent", 3, 150_000), ("density", 3, 150_000)):
        for n in (n for n in (1500, 15_000, 150_000, 1_500_000) if n <= min(largest, o.most)):
            points, truth = grown(n, series, d)
            yield {"series": series, "n": n, "d": d, "contestants": measured(*contestants(points, o), truth, o, watch)}


def fitted(sizes: list[int], seconds: list[list[float]]) -> tuple[float, float]:
    "Least-squares slope of log time on log n over all rounds, and its standard error."
    xy = [(math.log(n), math.log(s)) for n, all_ in zip(sizes, seconds) for s in all_]
    mx, my = (statistics.fmean(v) for v in zip(*xy))
    sxx = sum((x - mx) ** 2 for x, _ in xy)
    slope = sum((x - mx) * (y - my) for x, y in xy) / sxx
    rest = sum((y - my - slope * (x - mx)) ** 2 for x, y in xy)
    return slope, math.sqrt(rest / max(1, len(xy) - 2) / sxx)


def slopes(entries: list[dict]) -> list[dict]:
    "How time grows, from the times of part growth."
    found = []
    for series, d in dict.fromkeys((e["series"], e["d"]) for e in entries):
        mine = [e for e in entries if (e["series"], e["d"]) == (series, d)]
        for name in mine[0]["contestants"]:
            rows = [(e["n"], e["contestants"][name]["seconds"]) for e in mine if "seconds" in e["contestants"].get(name, {})]
            if len(rows) < 2: continue
            decades = []
            for (n, a), (m, b) in zip(rows, rows[1:]):
                scale = math.log(m / n)
                decades.append([n, m, *(math.log(q) / scale for q in (statistics.median(b) / statistics.median(a), min(b) / max(a), max(b) / min(a)))])
            found.append({"series": series, "d": d, "name": name, "sizes": [n for n, _ in rows], "medians": [statistics.median(s) for _, s in rows],
                          "all": list(fitted(*map(list, zip(*rows)))), "decades": decades})
    return found


# ---- errors

def steps(o, watch: Stopwatch):
    points, _ = lesson()
    exact = exact_float64(points / BANDWIDTH)
    calls = {"clusterlab": lambda: (lambda run: run.points[run.group])(shift(points / BANDWIDTH, torch.ones(1500), tol=0, max_iters=5)),
             "mesh, not merged": lambda: five("mesh", points), "near, not merged": lambda: five("near", points), "quadratic": lambda: five_exact(points),
             "lesson 3": lambda: lesson_batches(points) / BANDWIDTH, "lesson 1": lambda: lesson_loop(points) / BANDWIDTH,
             "MeanShift++": lambda: mean_shift_plus_plus(points, BANDWIDTH, 5, 0)[0] / BANDWIDTH, "GridShift": lambda: grid_shift(points, BANDWIDTH, 5)[0] / BANDWIDTH}
    values, times = watch.race(calls, o.rounds)
    for name, moved in values.items(): times[name]["error"] = (moved.double() - exact).norm(dim=1).max().item()
    yield {"n": 1500, "d": 2, "contestants": times}


def mesh(o, watch: Stopwatch):
    start = points = lesson()[0].double() / BANDWIDTH
    ones, low, high = torch.ones(1500, dtype=torch.float64), points.amin(0) - 0.01, points.amax(0) + 0.01
    exact = [points := exact_float64(points, 1) for _ in range(5)]
    for order in 2, 4, 6:
        errors = {}
        for parts in 2, 3, 4, 8, 16:
            moved, taking, errors[f"1/{parts}"] = start, Mesh(low, high, 1 / parts, order), 0.
            for truth in exact:
                moved = taking.step(moved, ones)
                errors[f"1/{parts}"] = max(errors[f"1/{parts}"], (moved - truth).norm(dim=1).max().item())
        yield {"order": order, "error": errors, "slope": math.log(errors["1/8"] / errors["1/16"], 2)}


def whole(o, watch: Stopwatch):
    for n, series, d in ((1500, "extent", 2), (1500, "extent", 3), (6000, "extent", 2), (6000, "density", 2), (15_000, "density", 2))[: 2 if o.quick else 5]:
        points = grown(n, series, d)[0] / BANDWIDTH
        ones = torch.ones(n)
        exact = shift(points.double(), ones.double(), method="exact", merge=0)
        truth, runs = modes_of(exact), {}
        for name, options in {"clusterlab": {}, "near": {"method": "near"}, "mesh, not merged": {"method": "mesh", "merge": 0}, "quadratic in float32": {"method": "exact", "merge": 0}}.items():
            found = shift(points, ones, tol=0, max_iters=len(exact.steps), **options)
            far, labels = (found.points[found.group].double() - exact.points).norm(dim=1), modes_of(found)[1]
            runs[name] = {"median": far.median().item(), "largest": far.max().item(), "other labels": int((labels != truth[1]).sum()), "ari": ari(truth[1], labels)}
        yield {"series": series, "n": n, "d": d, "clusters": len(truth[0]), "steps": len(exact.steps), "runs": runs}


def lonely(o, watch: Stopwatch):
    n = 15_000 if o.quick else 1_000_000
    crowd = torch.randn(n, 2, generator=Generator().manual_seed(0))
    for away in 4.5, 5.0, 5.5, 6.0, 6.5:
        points = torch.cat([crowd, torch.tensor([[away, 0.]])])
        wide, ones, low, high = points.double(), torch.ones(n + 1), points.amin(0) - 0.01, points.amax(0) + 0.01
        weights = torch.exp(-0.5 * (wide[-1] - wide).square().sum(1))
        truth = (weights[:, None] * wide).sum(0) / weights.sum()
        error = {f"mesh 1/{1 / h:.0f}, order {p}": (Mesh(low, high, h, p).step(points, ones)[-1] - truth).norm().item() for h, p in ((1 / 4, 4), (1 / 2, 6))}
        yield {"n": n, "away": away, "moves": (truth - wide[-1]).norm().item(), "error": error | ({} if n > 20_000 else {"near": (near_step(points, ones)[-1] - truth).norm().item()})}


def high(o, watch: Stopwatch):
    for d in 8, 32:
        bandwidth = BANDWIDTH * math.sqrt(d / 2)
        for n in [1500] if o.quick else [1500, 15_000, 150_000]:
            points, truth = high_data(n, d)
            calls = {OURS: (lambda: ours(points, bandwidth), o.pairs), "landmarks": (lambda: ours(points, bandwidth, "landmarks"), math.inf),
                     "scikit-learn": (lambda: scikit_learn(points, 2 * bandwidth), o.pairs)}
            left = {name: {"left_out": f"more than {most:,.0f} points"} for name, (_, most) in calls.items() if n > most}
            yield {"series": "high", "n": n, "d": d, "contestants": measured({name: call for name, (call, most) in calls.items() if n <= most}, left, truth, o, watch)}


# ---- the page

def times_page(entries: list[dict]) -> str:
    text = ""
    for e in entries:
        base = e["contestants"].get(OURS, {}).get("seconds")
        lines = []
        for name, c in e["contestants"].items():
            if "left_out" in c: lines.append([name, c["left_out"], *[""] * 5]); continue
            over = spread(ratios(c["seconds"], base)) if base else ""
            lines.append([name, f"{1000 * statistics.median(c['seconds']):.4g}", over, c.get("steps", ""), c.get("clusters", ""), c.get("ari", ""), f"{c['error']:.1e}" if "error" in c else ""])
        title = f"{e['n']:,} points, {e['d']} features" + (f", {e['series']}" if "series" in e else "")
        text += f"\n### {title}\n\n" + table(["contestant", "ms", "over ours", "steps", "clusters", "ARI", "error"], lines)
    return text


def slopes_page(entries: list[dict]) -> str:
    return table(["series", "contestant", "slope ± error, all sizes", "decade by decade [range over rounds]"],
                 [[f"{e['series']}, {e['d']}-D", e["name"], f"{e['all'][0]:.2f} ± {e['all'][1]:.2f}", "; ".join(f"{s:.2f} [{low:.2f}, {high:.2f}]" for _, _, s, low, high in e["decades"])]
                  for e in entries])


def mesh_page(entries: list[dict]) -> str:
    return table(["order", *entries[0]["error"], "slope, 1/8 to 1/16"], [[e["order"], *(f"{x:.1e}" for x in e["error"].values()), f"{e['slope']:.1f}"] for e in entries])


def whole_page(entries: list[dict]) -> str:
    return table(["data", "clusters", "steps", "run", "median distance", "largest", "other labels", "ARI to exact"],
                 [[f"{e['n']:,}, {e['d']}-D, {e['series']}", e["clusters"], e["steps"], name, f"{r['median']:.1e}", f"{r['largest']:.1e}", r["other labels"], r["ari"]]
                  for e in entries for name, r in e["runs"].items()])


def lonely_page(entries: list[dict]) -> str:
    return table(["n", "away", "moves", *entries[0]["error"]], [[f"{e['n']:,}", e["away"], f"{e['moves']:.3g}", *(f"{x:.1e}" for x in e["error"].values())] for e in entries])


PAGES = {"growth": ("Growth, to convergence with labels", times_page), "slopes": ("Slopes: time ~ n^slope", slopes_page), "steps": ("Five steps of the lesson's data", times_page),
         "mesh": ("Largest error in five mesh steps, in bandwidths", mesh_page), "whole": ("Against the exact algorithm in float64", whole_page),
         "lonely": ("A lonely point beside a crowd", lonely_page), "high": ("Many features", times_page)}


def page(record: dict) -> str:
    return harness.preamble(record) + "".join(f"\n## {PAGES[part][0]}\n\n{PAGES[part][1](entries).strip()}\n" for part, entries in record["parts"].items() if entries)


# ---- the command

MEASURED = {"growth": growth, "steps": steps, "mesh": mesh, "whole": whole, "lonely": lonely, "high": high}


def options(words=None):
    p = harness.parser(__doc__, PARTS)
    p.add_argument("--most", type=int, default=1_500_000, help="points, at most, of part growth")
    p.add_argument("--peers", type=int, default=150_000, help="points, at most, for scikit-learn and for unmerged mesh steps")
    p.add_argument("--pairs", type=int, default=15_000, help="points, at most, for what looks at all pairs")
    o = harness.parse(p, words, PARTS)
    if o.quick: o.rounds, o.most, o.pairs = 1, min(o.most, 15_000), min(o.pairs, 1500)
    return o


def main(words=None) -> dict | None:
    o = options(words)
    if o.show: return harness.show(o.show, page)
    harness.limit_threads(o.threads, ["sklearn"])
    run = harness.Run("meanshift", o, ["torch", "numpy", "scikit-learn"], ("rounds", "most", "peers", "pairs", "threads", "quick"), page)
    for part in o.parts:
        for entry in MEASURED[part](o, run.watch):
            if part == "growth": run.record["parts"]["slopes"] = slopes([*run.record["parts"].get("growth", []), entry])
            run.keep(part, entry, ", ".join(f"{k} {v}" for k, v in entry.items() if isinstance(v, (str, int, float))))
    print(page(run.record))
    return run.record


if __name__ == "__main__": main()
