"The paper says what its record says: numbers are computed, comparisons in words are checked, and what is missing or no longer holds is named."
import importlib.util
import json
import math
import re
import sys
from pathlib import Path

import pytest

PAPER = Path(__file__).parents[1] / "paper"
sys.path.insert(0, str(PAPER))
spec = importlib.util.spec_from_file_location("paper_build", PAPER / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
from claims import claims  # noqa: E402
from record import LESSON, MESH, NEAR, OURS, QUADRATIC, Node, Wrong, newest, power, rounded  # noqa: E402

TEXT = (PAPER / "paper.typ").read_text(encoding="utf-8")
BODY = TEXT[TEXT.index("*Abstract.*"):]
NUMBER_WORDS = r"\b(hundred|thousand|million|billion|dozen|twice|tenfold|percent|per cent)\w*"
COMPARISONS = r"\b(faster|slower|quicker|fewer|linearly|less than|more than|at least|at most|below|above|outperform\w*|beats?|wins?|better|worse|exceeds?)\b"


# ---- a record as the benchmark makes it, with times from formulas

SECONDS = {OURS: (4e-3, .6), "MeanShift++": (2e-3, .9), "GridShift": (1.5e-3, .7), "scikit-learn": (.1, .8), MESH: (5e-3, .8), NEAR: (.015, 2.0), QUADRATIC: (.015, 2.0), LESSON: (.15, 2.0)}


def entry(series, d, n):
    contestants = {}
    for name, (first, slope) in SECONDS.items():
        if n > 15_000 and name in (QUADRATIC, LESSON): contestants[name] = {"left_out": "more than 15,000 points"}; continue
        if series == "density" and name == NEAR: slope = 1.0
        if d == 3 and name == MESH: first, slope = .1, .3
        seconds = first * (n / 1500) ** slope
        contestants[name] = {"seconds": [seconds, 1.1 * seconds], "others": [0., 0.]}
        if name in (OURS, "MeanShift++", "GridShift", "scikit-learn"):
            contestants[name] |= {"steps": 4 if series == "extent" else 9, "clusters": 15 if name in ("MeanShift++", "GridShift") else 6, "ari": 1.0}
    return {"series": series, "n": n, "d": d, "contestants": contestants}


def slopes(entries):
    found = []
    for series, d in dict.fromkeys((e["series"], e["d"]) for e in entries):
        mine = [e for e in entries if (e["series"], e["d"]) == (series, d)]
        for name in SECONDS:
            rows = [(e["n"], e["contestants"][name]["seconds"][0]) for e in mine if "seconds" in e["contestants"][name]]
            decades = [[n, m, math.log(b / a, m / n), 0., 0.] for (n, a), (m, b) in zip(rows, rows[1:])]
            found.append({"series": series, "d": d, "name": name, "sizes": [n for n, _ in rows], "medians": [s for _, s in rows], "all": [decades[0][2], .01], "decades": decades})
    return found


def synthetic():
    growth = [entry(series, d, n) for d in (2, 3) for series in ("extent", "density") for n in (1500, 15_000, 150_000)]
    five = {OURS: 1e-5, "mesh, not merged": 2e-6, "near, not merged": 1e-5, "quadratic": 1e-5, "lesson 3": 2e-5, "lesson 1": 1e-6, "MeanShift++": 5.8, "GridShift": 6.2}
    run = {"median": 1e-5, "largest": 1e-3, "other labels": 0, "ari": 1.0}
    ways = "mesh 1/4, order 4", "mesh 1/2, order 6"
    high = {OURS: {"seconds": [.01], "steps": 3, "clusters": 6, "ari": 1.0}, "landmarks": {"seconds": [.02], "steps": 3, "clusters": 6, "ari": 1.0}, "scikit-learn": {"left_out": "why"}}
    return {"subject": "meanshift", "date": "2026-01-02", "commit": "0" * 40, "changed since": False, "python": "3.11", "versions": {"torch": "2.0", "numpy": "2.0", "scikit-learn": "1.0"},
            "machine": {"processor": "Abacus", "usable cores": 2, "gpu": None}, "parameters": {"rounds": 2, "threads": 2, "quick": False},
            "parts": {"growth": growth, "slopes": slopes(growth), "steps": [{"n": 1500, "d": 2, "contestants": {name: {"seconds": [.01], "others": [0.], "error": e} for name, e in five.items()}}],
                      "mesh": [{"order": q, "error": {f"1/{m}": .5 * m ** -(q + .5) for m in (2, 3, 4, 8, 16)} | ({"1/2": 2e-4} if q == 6 else {"1/4": 5e-5} if q == 4 else {}), "slope": q + .5}
                               for q in (2, 4, 6)],
                      "whole": [{"series": "extent", "n": 6000, "d": d, "clusters": 6, "steps": 4, "runs": {name: dict(run) for name in build.WHOLE}} for d in (2, 3)],
                      "lonely": [{"n": 1_000_000, "away": a, "moves": 2.3, "error": dict.fromkeys(ways, 1e-3)} for a in (4.5, 5.5)],
                      "high": [{"series": "high", "n": 1500, "d": d, "contestants": high} for d in (8, 32)]}}


@pytest.fixture
def record(): return synthetic()


def kept(record, folder):
    path = folder / "synthetic-meanshift.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def of(record, part, **wanted): return [e for e in record["parts"][part] if all(e[k] == v for k, v in wanted.items())]


# ---- building

def test_the_paper_is_built_from_a_record_and_the_same_each_time(record, tmp_path):
    typst = pytest.importorskip("typst", reason="typst, which sets the paper, is not installed: pip install typst")
    path = kept(record, tmp_path)
    assert build.built(path, tmp_path / "a", tmp_path / "a.pdf") == []
    assert (tmp_path / "a.pdf").read_bytes()[:5] == b"%PDF-"
    made = json.loads((tmp_path / "a" / "numbers.json").read_text(encoding="utf-8"))
    assert made["v"]["largest"] == "150,000" and made["v"]["lonely"] == power(1e-3) and not made["draft"]
    assert 4 <= len(typst.compile(tmp_path / "a" / "paper.typ", root=tmp_path / "a", ignore_system_fonts=True, format="svg")) <= 6
    build.built(path, tmp_path / "b", tmp_path / "b.pdf")
    for name in "growth.svg", "error.svg", "numbers.json": assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_draft_may_say_what_does_not_hold_and_a_paper_may_not(record, tmp_path):
    of(record, "growth", series="extent", d=2)[0]["contestants"]["scikit-learn"]["seconds"] = [1e-3, 1e-3]
    with pytest.raises(Wrong, match="the claim 'scikit-learn' does not hold"): build.content(kept(record, tmp_path))
    made = build.content(kept(record, tmp_path), draft=True)
    assert len(made["broken"]) == 1 and not made["held"]["scikit-learn"] and made["held"]["fitted"]


def test_a_quick_record_makes_no_paper(record, tmp_path):
    record["parameters"]["quick"] = True
    with pytest.raises(Wrong, match="quick"): build.content(kept(record, tmp_path))


def test_the_newest_full_record_of_a_cpu_is_taken(record, tmp_path):
    with pytest.raises(Wrong, match="no full record"): newest(tmp_path)
    for name, changes in {"a": {}, "b": {"date": "2026-02-01"}, "c": {"date": "2026-03-01", "parameters": record["parameters"] | {"quick": True}},
                          "d": {"date": "2026-03-01", "machine": record["machine"] | {"gpu": "one"}}}.items():
        (tmp_path / f"{name}-meanshift.json").write_text(json.dumps(record | changes), encoding="utf-8")
    assert newest(tmp_path).name == "b-meanshift.json"


def test_the_kept_record_carries_the_paper():
    try: path = newest()
    except Wrong: pytest.skip("no full record of the mean shift's benchmark is kept")
    assert build.content(path)["broken"] == []


# ---- what is missing is named

MISSING = {"growth": lambda r: r["parts"].pop("growth"), "slopes": lambda r: r["parts"].pop("slopes"), "lonely": lambda r: r["parts"].pop("lonely"), "processor": lambda r: r["machine"].pop("processor"),
           "threads": lambda r: r["parameters"].pop("threads"), "error": lambda r: r["parts"]["steps"][0]["contestants"]["GridShift"].pop("error"), "1/4": lambda r: r["parts"]["mesh"][1]["error"].pop("1/4"),
           "other labels": lambda r: r["parts"]["whole"][0]["runs"][OURS].pop("other labels"), "clusters": lambda r: r["parts"]["growth"][2]["contestants"]["GridShift"].pop("clusters"),
           "quadratic, 5 steps": lambda r: r["parts"].update(slopes=[s for s in r["parts"]["slopes"] if s["name"] != QUADRATIC]),
           "near, 5 steps, not merged": lambda r: [e["contestants"].pop(NEAR) for e in of(r, "growth", d=3)], "date": lambda r: r.pop("date")}


@pytest.mark.parametrize("key", MISSING)
def test_a_missing_key_is_named(record, tmp_path, key):
    MISSING[key](record)
    with pytest.raises(Wrong, match=f"missing in the record: .*{re.escape(key)}"): build.content(kept(record, tmp_path))


# ---- every claim can fail, and is named when it does

def slope_of(record, name, value, series="extent"): of(record, "slopes", series=series, d=2, name=name)[0]["decades"][-1][2] = value


def timed(record, name, seconds, d=2):
    for e in of(record, "growth", d=d): e["contestants"][name]["seconds"] = [seconds(e), seconds(e)]


BREAKING = {
    "fitted": lambda r: of(r, "slopes", series="density", d=2, name=OURS)[0].update(all=[.99, .01]), "decades": lambda r: slope_of(r, OURS, 1.4),
    "mesh linear": lambda r: slope_of(r, MESH, 1.4), "square": lambda r: slope_of(r, QUADRATIC, 1.2), "near": lambda r: slope_of(r, NEAR, 1.7, "density"),
    "pairs": lambda r: of(r, "growth", d=2, n=15_000)[0]["contestants"][QUADRATIC].update(seconds=[.02, .02]), "scikit-learn": lambda r: timed(r, "scikit-learn", lambda e: 1e-2),
    "small": lambda r: timed(r, "MeanShift++", lambda e: 1.), "grid faster": lambda r: timed(r, "GridShift", lambda e: 1.),
    "splits": lambda r: of(r, "growth", d=2, n=150_000)[0]["contestants"]["GridShift"].update(clusters=6), "merging": lambda r: timed(r, MESH, lambda e: 1e-3),
    "more steps": lambda r: of(r, "growth", series="density", d=2)[-1]["contestants"][OURS].update(steps=4), "flat": lambda r: r["parts"]["growth"][0]["contestants"]["scikit-learn"].update(clusters=7),
    "cpu": lambda r: r["machine"].update(gpu="one"), "space": lambda r: timed(r, "scikit-learn", lambda e: 1e-3, 3), "space grid": lambda r: timed(r, "GridShift", lambda e: 1., 3),
    "space late": lambda r: timed(r, NEAR, lambda e: 1., 3), "order": lambda r: r["parts"]["mesh"][1].update(slope=2.), "small error": lambda r: r["parts"]["mesh"][1]["error"].update({"1/4": 1e-3}),
    "lonely": lambda r: r["parts"]["lonely"][1]["error"].update({"mesh 1/2, order 6": .1}), "far": lambda r: r["parts"]["steps"][0]["contestants"]["GridShift"].update(error=.1),
    "median": lambda r: r["parts"]["whole"][1]["runs"][OURS].update(median=.01), "labels": lambda r: r["parts"]["whole"][0]["runs"][OURS].update({"other labels": 50})}


def test_all_claims_hold_in_the_synthetic_record_and_each_is_broken_below(record):
    held = claims(Node(record, "it"))
    assert all(holds for _, holds in held.values()) and set(held) == set(BREAKING)


@pytest.mark.parametrize("claim", BREAKING)
def test_a_broken_claim_is_named(record, tmp_path, claim):
    BREAKING[claim](record)
    with pytest.raises(Wrong, match=f"the claim '{claim}' does not hold in synthetic-meanshift.json"): build.content(kept(record, tmp_path))


# ---- the text

def without(text, *patterns):
    for pattern in patterns: text = re.sub(pattern, " ", text, flags=re.S)
    return text


def unguarded(text):
    "The text without what stands in #held(...)[...], brackets matched."
    while found := re.search(r'#held\("[^"]+"\)\[', text):
        depth, end = 1, found.end()
        while depth: depth += {"[": 1, "]": -1}.get(text[end], 0); end += 1
        text = text[:found.start()] + text[end:]
    return text


def prose(text):
    "Text without settings, labels, references, raw text, and names of numbers."
    return without(text, r"#set \w+\([^)]*\)", r"#std\.v\([^)]*\)", r"#pad\([^)]*\)", r"image\(\"[^\"]*\"", r"width: \d+%", r"#bibliography\([^)]*\)", r'grid-of\("[^"]*"\)', r"#v\.\w+", r"@[\w-]+", r"<[\w-]+>", r"`[^`]*`")


def test_no_digit_is_typed_outside_formulas():
    typed = re.findall(r".{0,30}\d.{0,30}", without(prose(BODY), r"\$[^$]*\$"))
    assert typed == []


def test_no_semicolon_ends_an_expression_and_is_lost():
    assert re.findall(r"#v\.\w+;.{0,20}|\];.{0,20}", BODY) == []


def test_formulas_hold_small_whole_numbers_only():
    for formula in re.findall(r"\$([^$]*)\$", prose(BODY)):
        assert not re.search(r"\d\s*[.,]\s*\d|\d{3,}", formula), formula
        assert all(int(n) <= 10 for n in re.findall(r"\d+", formula)), formula


def test_numbers_in_words_and_comparisons_are_guarded():
    "In what is measured; the prior art quotes others, and the method argues."
    measured = BODY[:BODY.index("= Introduction")] + BODY[BODY.index("= Experiments"):BODY.index("= Reproduction")]
    for words in NUMBER_WORDS, COMPARISONS: assert re.findall(rf".{{0,40}}{words}.{{0,20}}", unguarded(measured)) == []


def test_everything_made_is_used_and_everything_used_is_made(record):
    node = Node(record, "it")
    for pattern, made in (r"(?:#|\()v\.(\w+)", build.numbers(node)), (r'#held\("([^"]+)"\)', claims(node)), (r'grid-of\("([^"]+)"\)', build.tables(node)):
        assert set(re.findall(pattern, TEXT)) == set(made)


def test_what_is_cited_is_in_the_bibliography_and_the_other_way_round():
    entries = re.findall(r"^@\w+\{([\w-]+),", (PAPER / "references.bib").read_text(encoding="utf-8"), re.M)
    labels = set(re.findall(r"<([\w-]+)>", TEXT))
    assert len(entries) == len(set(entries)) and set(re.findall(r"(?<!\w)@([\w-]+)", TEXT)) - labels == set(entries)
    assert {label for label in labels if label[:4] in ("fig-", "tab-")} <= set(re.findall(r"@([\w-]+)", TEXT)), "a figure or table is referred to"


@pytest.mark.parametrize("x, text", [(4.631e-3, "0.00463"), (104.6, "105"), (1527.6, "1,530"), (0, "0"), (-.076, "−0.0760")])
def test_rounded(x, text): assert rounded(x) == text


def test_power():
    assert power(1.64e-5) == "1.6\u202f×\u202f10⁻⁵" and power(.0213) == "0.021" and power(5.84) == "5.8"
    assert power(0) == "0"
