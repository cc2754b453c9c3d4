"""The paper from a benchmark record: figures, numbers, PDF. Every number is computed here, every comparison in words is checked against the record.

    python paper/build.py                    the newest full record benchmarks/results/*meanshift*.json -> paper/mean-shift.pdf
    python paper/build.py FILE.json          another record
    python paper/build.py FILE.json --draft  even if it is a quick one or a claim does not hold: such sentences are red; -> paper/build/draft.pdf

The text, paper.typ, takes numbers as #v.NAME, tables as #grid-of("NAME"), and puts each comparison into #held("CLAIM")[...].
"""
import argparse
import json
import re
import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path

from claims import claims
from record import (BENCHMARK, LESSON, MESH, NEAR, OURS, QUADRATIC, RIVALS, ROOT, SERIES, SKLEARN, TOOL, Node, Wrong, assigned, both, counted, decades, default, duration, fraction,
                    growth, middle, newest, power, ratio, rounded, slope, span, timed, two)

HERE = Path(__file__).resolve().parent
NAMES = {OURS: "this paper", SKLEARN: "scikit-learn, flat kernel, bin seeding", MESH: "mesh, five steps, not merged", NEAR: "closest points, five steps, not merged",
         QUADRATIC: "all pairs, five steps", LESSON: "all pairs in plain batches, five steps"}
FIVE = {OURS: "this paper, merged", "mesh, not merged": "mesh", "near, not merged": "closest points", "quadratic": "all pairs, float32", "lesson 3": "all pairs in plain batches",
        "MeanShift++": "MeanShift++", "GridShift": "GridShift"}
WHOLE = {OURS: "this paper", "near": "closest points, merged", "mesh, not merged": "mesh, not merged", "quadratic in float32": "all pairs, float32"}


# ---- numbers

def numbers(record: Node) -> dict[str, str]:
    return setting_numbers(record) | growth_numbers(record) | error_numbers(record)


def setting_numbers(record: Node) -> dict[str, str]:
    ((h4, q4), (h6, q6)), machine, used = assigned(TOOL, "MESHES"), record["machine"], record["parameters"]
    return {"record": record.name, "date": record["date"], "commit": (record["commit"] or "unknown")[:12] + (", with changes" if record["changed since"] else ""),
            "processor": machine["processor"], "cores": counted(machine["usable cores"], "core"), "threads": counted(used["threads"], "thread"), "rounds": counted(used["rounds"], "round"),
            "python": record["python"], "torch": record["versions"]["torch"], "sklearn": record["versions"][SKLEARN],
            "bandwidth": f"{assigned(BENCHMARK, 'BANDWIDTH'):g}", "flat": f"{assigned(BENCHMARK, 'FLAT'):g}", "made": str(default(BENCHMARK, "lesson", "k")),
            "each": str(default(BENCHMARK, "lesson", "each")), "side": f"{default(BENCHMARK, 'lesson', 'side'):g}", "merge": fraction(1 / default(TOOL, "shift", "merge")),
            "tol": f"{default(TOOL, 'shift', 'tol'):g}", "h_four": fraction(h4), "q_four": str(q4), "h_six": fraction(h6), "q_six": str(q6),
            "nodes": f"{assigned(TOOL, 'NODES'):,}", "landmarks": f"{assigned(TOOL, 'LANDMARKS'):,}"}


def growth_numbers(record: Node) -> dict[str, str]:
    sizes, space = ([e["n"] for e in both(record, OURS, d=d)] for d in (2, 3))
    found = {"smallest": f"{min(sizes):,}", "largest": f"{max(sizes):,}", "space_largest": f"{max(space):,}", "space_sklearn": span([ratio(e, SKLEARN) for e in both(record, OURS, SKLEARN, d=3)])}
    for series in SERIES:
        fit, last, pairs, steps = slope(record, series, OURS)["all"], growth(record, series, OURS)[-1], growth(record, series, OURS, QUADRATIC)[-1], growth(record, series, OURS, MESH)[-1]
        mine = {"time": duration(middle(last, OURS)), "slope": f"{fit[0]:.2f} ± {fit[1]:.2f}", "last": two(decades(record, series, OURS)[-1]),
                "near": two(decades(record, series, NEAR)[-1]), "square": two(decades(record, series, QUADRATIC)[-1]), "pairs_n": f"{pairs['n']:,}", "pairs": rounded(ratio(pairs, QUADRATIC), 2),
                "sklearn": span([ratio(e, SKLEARN) for e in growth(record, series, OURS, SKLEARN)]), "steps_n": f"{steps['n']:,}", "steps": rounded(5 / ratio(steps, MESH), 2)}
        found |= {f"{series}_{name}": text for name, text in mine.items()}
    for name, rival in zip(("plus", "grid"), RIVALS):
        found |= {f"{series}_{name}": span([1 / ratio(e, rival) for e in growth(record, series, OURS, rival)]) for series in SERIES}
        found[f"space_{name}"] = span([1 / ratio(e, rival) for e in both(record, OURS, rival, d=3)])
    clusters = growth(record, "extent", OURS, *RIVALS)[-1]["contestants"]
    return found | {f"{name}_found": str(clusters[who]["clusters"]) for name, who in zip(("our", "plus", "grid"), (OURS, *RIVALS))}


def error_numbers(record: Node) -> dict[str, str]:
    parts, ((h4, q4), (h6, q6)) = record["parts"], assigned(TOOL, "MESHES")
    five, mesh, whole = parts["steps"][0], {e["order"]: e for e in parts["mesh"]}, list(parts["whole"])
    worst, most = max(((e, e["error"][way]) for e in parts["lonely"] for way in e["error"]), key=lambda pair: pair[1])
    found = {f"five_{name}": write(five["contestants"][who]["error"]) for name, who, write in (("ours", OURS, power), *((n, w, lambda x: rounded(x, 2)) for n, w in zip(("plus", "grid"), RIVALS)))}
    return found | {
        "five_n": f"{five['n']:,}", "orders": ", ".join(map(str, mesh)), "slopes": ", ".join(f"{e['slope']:.1f}" for e in mesh.values()),
        "four_error": power(mesh[q4]["error"][fraction(h4)]), "six_error": power(mesh[q6]["error"][fraction(h6)]),
        "crowd": f"{worst['n']:,}", "away": f"{worst['away']:g}", "lonely": power(most), "moves": rounded(worst["moves"], 2),
        "whole_medians": span([e["runs"][OURS]["median"] for e in whole], power), "whole_largest": power(max(e["runs"][OURS]["largest"] for e in whole)),
        "single_largest": power(max(e["runs"]["quadratic in float32"]["largest"] for e in whole)),
        "other_labels": str(sum(e["runs"][OURS]["other labels"] for e in whole)), "all_labels": f"{sum(e['n'] for e in whole):,}"}


# ---- tables: a head, and rows of text; a row of one is a title

def tables(record: Node) -> dict[str, dict]:
    parts, plane = record["parts"], (OURS, *RIVALS, SKLEARN, MESH, NEAR, QUADRATIC, LESSON)
    mesh, five = list(parts["mesh"]), parts["steps"][0]
    spacings = list(mesh[0]["error"])
    return {"growth 2": growth_table(record, 2, plane), "growth 3": growth_table(record, 3, plane[:6]), "whole": whole_table(list(parts["whole"])), "high": high_table(parts["high"]),
            "mesh": {"head": ["order", *(f"h = {h}" for h in spacings), "slope"], "rows": [[str(e["order"]), *(power(e["error"][h]) for h in spacings), f"{e['slope']:.1f}"] for e in mesh]},
            "five": {"head": ["", "ms", "error"], "rows": [[text, rounded(1000 * middle(five, name)), power(five["contestants"][name]["error"])] for name, text in FIVE.items()]}}


def ms(entry: Node, name: str) -> str: return rounded(1000 * middle(entry, name)) if timed(entry, name) else "–"


def quality(entry: Node, name: str) -> list[str]:
    "Clusters found and the adjusted Rand index, where there are labels."
    c = entry["contestants"][name]
    return [f"{c['clusters']:,}", f"{c['ari']:.3f}"] if "clusters" in c else ["", ""]


def growth_table(record: Node, d: int, names: tuple) -> dict:
    sizes, rows = sorted({e["n"] for e in both(record, OURS, d=d)}), []
    for series, title in SERIES.items():
        rows.append([title])
        for name in names:
            entries = {e["n"]: e for e in growth(record, series, OURS, d=d) if timed(e, name)}
            if not entries: continue
            last = two(decades(record, series, name, d)[-1]) if len(entries) > 1 else "–"
            rows.append([NAMES.get(name, name), *(ms(entries[n], name) if n in entries else "–" for n in sizes), last, *quality(entries[max(entries)], name)])
    return {"head": ["", *(f"n = {n:,}" for n in sizes), "slope", "clusters", "ARI"], "rows": rows}


def whole_table(entries: list) -> dict:
    rows = []
    for e in entries:
        rows.append([f"{SERIES[e['series']]}, {'plane' if e['d'] == 2 else 'space'}: {e['n']:,} points, {e['clusters']} clusters, {e['steps']} steps"])
        rows += [[text, power(run["median"]), power(run["largest"]), str(run["other labels"])] for name, text in WHOLE.items() for run in [e["runs"][name]]]
    return {"head": ["", "median", "largest", "other labels"], "rows": rows}


def high_table(entries) -> dict:
    rows = []
    for e in entries:
        rows.append([f"{e['d']} features, {e['n']:,} points"])
        rows += [[NAMES[OURS] if name == OURS else name, ms(e, name), *(quality(e, name) if timed(e, name) else "––")] for name in (OURS, "landmarks", SKLEARN)]
    return {"head": ["", "ms", "clusters", "ARI"], "rows": rows}


# ---- the document

def content(path: Path, draft: bool = False) -> dict:
    "What paper.typ reads; an error if it would say what the record does not."
    record = Node(json.loads(path.read_text(encoding="utf-8")), path.name)
    if record["parameters"]["quick"] and not draft: raise Wrong(f"{path.name} is a quick record, which only shows that the benchmark runs (--draft builds a draft from it)")
    checked, text = claims(record), (HERE / "paper.typ").read_text(encoding="utf-8")
    broken = [f"the claim '{name}' does not hold in {path.name}: {claim}" for name, (claim, holds) in checked.items() if not holds]
    if broken and not draft: raise Wrong("\n".join(broken))
    made = {"draft": draft, "v": numbers(record), "tables": tables(record), "held": {name: holds for name, (_, holds) in checked.items()}, "broken": broken}
    for pattern, kind in (r"(?:#|\()v\.(\w+)", "v"), (r'#held\("([^"]+)"\)', "held"), (r'#?grid-of\("([^"]+)"', "tables"):
        if unknown := set(re.findall(pattern, text)) - set(made[kind]): raise Wrong(f"paper.typ uses what build.py does not make: {', '.join(sorted(unknown))}")
    return made


def built(path: Path, folder: Path, pdf: Path, draft: bool = False, pages: str = "") -> list[str]:
    "Build from a record: `pdf`, and in `folder` all it is made of, with pages: 'png' pictures of them. -> the claims that do not hold (of a draft)."
    try: import typst
    except ImportError: raise Wrong("typst is missing: pip install typst") from None
    from figures import draw
    made = content(path, draft)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "numbers.json").write_text(json.dumps(made, indent=1, ensure_ascii=False), encoding="utf-8")
    draw(Node(json.loads(path.read_text(encoding="utf-8")), path.name), folder, NAMES)
    for name in "paper.typ", "references.bib": shutil.copyfile(HERE / name, folder / name)
    options = {"root": folder, "ignore_system_fonts": True, "timestamp": int(datetime.fromisoformat(made["v"]["date"]).replace(tzinfo=timezone.utc).timestamp())}
    typst.compile(folder / "paper.typ", output=pdf, **options)
    if pages: typst.compile(folder / "paper.typ", output=folder / f"page-{{p}}.{pages}", format=pages, ppi=110, **options)
    return made["broken"]


def main(words=None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("record", type=Path, nargs="?", metavar="FILE.json", help="default: the newest full one under benchmarks/results")
    p.add_argument("--draft", action="store_true", help="build although claims do not hold or the record is a quick one")
    p.add_argument("--png", action="store_true", help="pages as pictures too, in paper/build")
    o = p.parse_args(words)
    pdf = HERE / "build" / "draft.pdf" if o.draft else HERE / "mean-shift.pdf"
    try:
        path = o.record or newest()
        broken = built(path, HERE / "build", pdf, o.draft, "png" if o.png else "")
    except Wrong as wrong:
        print(f"paper: {wrong}", file=sys.stderr)
        return 1
    for line in broken: print(f"draft: {line}", file=sys.stderr)
    if not o.draft: shutil.copyfile(HERE / "build" / "growth.svg", ROOT / ".github" / "growth.svg")
    print(f"{pdf.relative_to(ROOT)} from {path.name}")
    return 0


if __name__ == "__main__": sys.exit(main())
