"The paper's figures, as SVG that is the same in every build."
import itertools
import re
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from record import LESSON, MESH, NEAR, OURS, QUADRATIC, SERIES, Node, growth, middle, timed, times

STYLE = {"svg.fonttype": "path", "svg.hashsalt": "clusterlab", "font.family": "STIXGeneral", "mathtext.fontset": "stix", "font.size": 8.5, "axes.linewidth": .6,
         "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.1, "lines.markersize": 3.5, "legend.frameon": False, "legend.fontsize": 7.5}
LINES = {OURS: ("#0072B2", "o-"), "MeanShift++": ("#E69F00", "s-"), "GridShift": ("#009E73", "^-"), "scikit-learn": ("#D55E00", "D-"),
         MESH: ("#56B4E9", "o--"), NEAR: ("#CC79A7", "v--"), QUADRATIC: ("#000000", "x--"), LESSON: ("#888888", "+--")}


def draw(record: Node, folder: Path, names: dict[str, str]):
    "growth.svg and error.svg; names: how contestants are called."
    with matplotlib.rc_context(STYLE):
        for name, fill, height in ("growth", growth_figure, 3.0), ("error", error_figure, 2.5):
            fig = Figure(figsize=(7.0, height), layout="constrained")
            fill(record, fig, names)
            FigureCanvasSVG(fig).print_svg(folder / f"{name}.svg", metadata={"Date": None})


def growth_figure(record: Node, fig: Figure, names: dict[str, str]):
    axes = fig.subplots(1, 2, sharey=True)
    for ax, (series, title) in zip(axes, SERIES.items()):
        entries = growth(record, series, OURS)
        n = [e["n"] for e in entries]
        for name, (colour, style) in LINES.items():
            mine = [e for e in entries if timed(e, name)]
            if not mine: continue
            mids = [middle(e, name) for e in mine]
            reach = [[abs(end(times(e, name)) - mid) for e, mid in zip(mine, mids)] for end in (min, max)]
            ax.errorbar([e["n"] for e in mine], mids, reach, fmt=style, color=colour, label=names.get(name, name), capsize=1.5, elinewidth=.6)
        least = min(min(times(entries[0], name)) for name in LINES if timed(entries[0], name)) / 3
        for exponent, label in (1, "$n$"), (2, "$n^2$"):
            guide = [least * (m / n[0]) ** exponent for m in n]
            ax.plot(n, guide, ":", color="#999999", lw=.8)
            ax.annotate(label, (n[-1], guide[-1]), color="#777777", xytext=(4, -3), textcoords="offset points")
        ax.set(xscale="log", yscale="log", xlabel="points", title=title, xlim=(n[0] / 1.5, n[-1] * 2.2))
    axes[0].set_ylabel("seconds")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)


def error_figure(record: Node, fig: Figure, names: dict[str, str]):
    left, right = fig.subplots(1, 2)
    styles = [(colour, style) for colour, style in LINES.values() if style.count("-") == 1]
    for e, (colour, style) in zip(record["parts"]["mesh"], itertools.cycle(styles)):
        h, error = [1 / int(spacing.split("/")[1]) for spacing in e["error"]], [e["error"][spacing] for spacing in e["error"]]
        left.loglog(h, error, style, color=colour, label=f"order {e['order']}")
        left.loglog(h, [error[-1] * (x / h[-1]) ** e["order"] for x in h], ":", color=colour, lw=.8)
    left.set(xlabel="spacing $h$, in bandwidths", ylabel="largest error, in bandwidths", title="five steps; dotted: $h^q$", xticks=h, xticklabels=list(e["error"]))
    left.minorticks_off()
    left.legend()
    lonely = list(record["parts"]["lonely"])
    away = [e["away"] for e in lonely]
    for way, (colour, style) in zip(lonely[0]["error"], itertools.cycle(styles)):
        label = re.sub(r"mesh (\S+), order (\d)", r"$h$ = \1, order \2", way).replace("near", "closest points")
        right.semilogy(away, [e["error"][way] for e in lonely], style, color=colour, label=label)
    right.semilogy(away, [e["moves"] for e in lonely], "k:", lw=.9, label="how far it moves")
    right.set(xlabel="distance of the lonely point from the crowd's middle", title=f"beside a crowd of {lonely[0]['n']:,}")
    right.set_ylim(top=300)
    right.legend(ncols=2, loc="upper center")
