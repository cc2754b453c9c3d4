"""The record of kmeans.py as a page of Markdown. Every figure is computed from the times in the record."""
import math
import statistics

import harness
from harness import mean_and_error, ratios, spread, table


def title(entry: dict) -> str:
    return f"{entry['n']:,} points, {entry['d']} features, {entry['k']} clusters"


def quotients(entry: dict, name: str, base="clusterlab") -> list[float]:
    "The contestant's time over ours, round by round; times an iteration where the entry has them."
    a, b = (entry["contestants"][x] for x in (name, base))
    if "left_out" in b: return []
    each = [[s / c["iterations"] for s in c["seconds"]] if isinstance(c.get("iterations"), int) else c["seconds"] for c in (a, b)]
    return ratios(*each)


def rounds(c: dict) -> str:
    "How many rounds; and in how many of them others used the machine, although the measurement was repeated."
    disturbed = sum(others > harness.DISTURBED for others in c["others"])
    return f"{len(c['seconds'])}" + (f" ({disturbed} disturbed)" if disturbed else "")


def rows_of(entry: dict, cells, width: int) -> list[list]:
    "A line of the table for each contestant; those left out say why."
    return [[name, c["left_out"], *[""] * (width - 2)] if "left_out" in c else [name, *cells(name, c)] for name, c in entry["contestants"].items()]


def iteration_page(entries: list[dict]) -> str:
    names = list(dict.fromkeys(name for entry in entries for name in entry["contestants"]))
    def short(entry, name):
        c = entry["contestants"].get(name, {})
        if "seconds" not in c or not (q := quotients(entry, name)): return "-"
        return f"{statistics.median(q):.2f}{'' if c['work'] == 'equal' else ' *'}"
    text = "Times an iteration over ours, medians; more than 1: ours is faster. - left out, * not the same work: see below.\n\n"
    text += table(["", *names], [[f"{e['n']}, {e['d']}, {e['k']} ({e['iterations']})", *(short(e, name) for name in names)] for e in entries])
    head = ["contestant", "ms an iteration", "over ours", "rounds", "labels", "iterations", "inertia / n", "work"]
    for e in entries:
        cells = lambda name, c: [f"{1000 * statistics.median(c['seconds']) / c['iterations']:.4g}", spread(quotients(e, name)), rounds(c), c["labels"], c["iterations"],
                                 f"{c['inertia'] / e['n']:.7g}", c["work"]]
        spec = e["specification"]
        text += (f"\n### {title(e)}, {e['iterations']} iterations\n\nSpecification: inertia / n {spec['inertia'][e['iterations']] / e['n']:.7g}; "
                 f"updates with an empty cluster: {spec['updates with an empty cluster']}; settled after {spec['settled after']} iterations.\n\n" + table(head, rows_of(e, cells, len(head))))
    return text


def fit_page(entries: list[dict]) -> str:
    text, head = "", ["contestant", "ms, mean", "over ours", "inertia / n, mean", "standard error", "iterations", "settings"]
    for e in entries:
        def cells(name, c):
            mean, error = mean_and_error([i / e["n"] for i in c["inertia"]])
            counts = [i for i in c["iterations"] if i]
            return [f"{1000 * statistics.fmean(c['seconds']):.4g}", spread(quotients(e, name)), f"{mean:.6g}", f"{error:.2g}",
                    f"{min(counts)} to {max(counts)}" if counts else "", c["settings"]]
        text += f"\n### {title(e)}\n\n" + (table(head, rows_of(e, cells, len(head))) if "contestants" in e else f"Left out: {e['left_out']}.\n")
    return text


def seeding_page(entries: list[dict]) -> str:
    lines = []
    for e in entries:
        if "left_out" in e: lines.append([title(e), e["left_out"], *[""] * 6]); continue
        ours, theirs = (e["contestants"][name] for name in ("clusterlab", "scikit-learn"))
        (a, da), (b, db) = (mean_and_error([i / e["n"] for i in c["inertia"]]) for c in (ours, theirs))
        lines.append([title(e), f"{1000 * statistics.median(ours['seconds']):.4g}", spread(ratios(theirs["seconds"], ours["seconds"])), f"{a:.6g} ± {da:.2g}", f"{b:.6g} ± {db:.2g}",
                      f"{(a - b) / math.hypot(da, db):+.1f}" if da or db else "0", *(f"{statistics.fmean(c['seeding inertia']) / e['n']:.6g}" for c in (ours, theirs))])
    return table(["", "ours, ms", "scikit-learn over ours", "final inertia / n, ours", "scikit-learn", "apart, in errors", "before Lloyd, ours", "scikit-learn"], lines)


def memory_page(entries: list[dict]) -> str:
    names = list(entries[0]["contestants"])
    cells = lambda e, c: [c["left_out"], ""] if "left_out" in c else [f"{'' if c['exact'] else '<= '}{c['bytes'] / 2**20:.1f}", f"{c['bytes'] / e['n']:.1f}"]
    return table(["", "n", "k", "n k 4 bytes, MiB", *(f"{name}, {unit}" for name in names for unit in ("MiB", "bytes a point"))],
                 [[e["series"], e["n"], e["k"], f"{4 * e['n'] * e['k'] / 2**20:.1f}", *(cell for name in names for cell in cells(e, e["contestants"][name]))] for e in entries])


def limits_page(entries: list[dict]) -> str:
    lines = []
    for e in entries:
        ours, sgemm, copy = (e["contestants"][name] for name in ("clusterlab", "sgemm", "copy"))
        passes, flops, rate = ([s / ours["passes"] for s in ours["seconds"]], [sgemm["flops"] / s for s in sgemm["seconds"]], [copy["bytes"] / s for s in copy["seconds"]])
        shares = [[100 * ours[f"{what} a pass"] / s / r for s, r in zip(passes, rates)] for what, rates in (("flops", flops), ("bytes", rate))]
        lines.append([title(e), f"{1000 * statistics.median(passes):.4g}", f"{statistics.median(flops) / 1e9:.0f}", spread(shares[0]), f"{statistics.median(rate) / 1e9:.1f}", spread(shares[1])])
    return table(["", "ms a pass", "sgemm, GFLOP/s", "share, %", "copy, GB/s", "share, %"], lines)


def gpu_page(entries: list[dict]) -> str:
    text = ""
    for e in entries:
        counted = list(next((c["an iteration"] for c in e["contestants"].values() if "an iteration" in c), {}))
        cells = lambda name, c: [f"{1000 * statistics.median(c['seconds']) / c['iterations']:.4g}", spread(quotients(e, name)), *(f"{c['an iteration'][what]:.3g}" for what in counted), c["labels"],
                                 f"{c['inertia'] / e['n']:.7g}"]
        head = ["contestant", "ms an iteration", "over ours", *(f"{what} an iteration" for what in counted), "labels", "inertia / n"]
        text += f"\n### {title(e)}, on {e['device']}, float32 products: {e['float32 products']}\n\n" + table(head, rows_of(e, cells, len(head)))
    return text


PAGES = {"iteration": ("An iteration", iteration_page), "fit": ("Whole fits", fit_page), "seeding": ("Seeding", seeding_page),
         "memory": ("Memory beyond the input", memory_page), "limits": ("The machine's limits", limits_page), "gpu": ("On a GPU", gpu_page)}


def page(record: dict) -> str:
    "The record as Markdown; every figure comes from the times in it."
    return harness.preamble(record) + "".join(f"\n## {PAGES[part][0]}\n\n{PAGES[part][1](entries).strip()}\n" for part, entries in record["parts"].items() if entries)


