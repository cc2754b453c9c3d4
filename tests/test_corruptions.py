"""Fifty wrongs are planted in copies of the course's notebooks: the notebook check must find each, and nothing else.

The wrongs and their places are drawn from a seed. All that sit in one notebook, each in a cell of its own, are found by executing its
copy once; a dropped cell is found in a copy of its own, without executing it.
"""

import base64
import io
import random
import re
from collections import Counter
from typing import NamedTuple

import nbformat
import numpy as np
from PIL import Image
from test_nbcheck import ROOT, course, run

import nbcheck

SEED = 42
NAMES = "00_data 02_einsum 04_kmeans_v1 05_kmeans_animation 06_batching 09_three_dimensions tools/plots".split()     # quick ones
TOTAL = 50


class Wrong(NamedTuple):
    kind: str
    notebook: str
    cell: int

    def __str__(self): return f"{self.kind} in cell {self.cell} of {self.notebook}"


def code_cells(notebook) -> list: return [c for c in notebook.cells if c.cell_type == "code"]


def stored_pictures(cell) -> list: return [o.data for o in cell.outputs if "image/png" in o.get("data", {})]


# ---- wrongs: each changes one cell, or answers False where it cannot

def change_text(cell, rng, pattern, change) -> bool:
    "Replace one match of `pattern` in the cell's printed text by what `change` makes of it."
    places = [(holder, key, m) for o in cell.outputs for holder, key in [(o, "text") if "text" in o else (o.get("data", {}), "text/plain")] if key in holder
              for m in re.finditer(pattern, holder[key])]
    if not places: return False
    holder, key, m = rng.choice(places)
    holder[key] = holder[key][:m.start()] + change(m[0], rng) + holder[key][m.end():]
    return True


def other_number(number: str, rng) -> str:
    "The number with one of its digits changed, by more than the tolerance."
    while True:
        i = rng.choice([i for i, c in enumerate(number) if c.isdigit()])
        changed = number[:i] + rng.choice("0123456789".replace(number[i], "")) + number[i + 1:]
        if "." not in number or abs(float(changed) - float(number)) > 1.5 * nbcheck.tolerance(number): return changed


def whole_number(cell, rng, stored): return change_text(cell, rng, r"(?<![\w.])(?<!e[-+])\d+(?![\w.])", other_number)
def decimal_number(cell, rng, stored): return change_text(cell, rng, r"(?<![\w.])\d+\.\d{1,3}(?![\w.])", other_number)
def word(cell, rng, stored): return change_text(cell, rng, r"[A-Za-z]{3,}", lambda w, rng: w[:-1] + ("x" if w[-1] != "x" else "y"))


def dropped_output(cell, rng, stored) -> bool:
    if not cell.outputs: return False
    del cell.outputs[rng.randrange(len(cell.outputs))]
    return True


def swapped_picture(cell, rng, stored) -> bool:
    "In place of a picture another notebook's, of the same size if there is one."
    if not (mine := stored_pictures(cell)): return False
    size = lambda data: Image.open(io.BytesIO(base64.b64decode(data))).size
    data = rng.choice(mine)
    others = [p for p in stored if p != data["image/png"]]
    data["image/png"] = rng.choice([p for p in others if size(p) == size(data["image/png"])] or others)
    return True


def recoloured(png: str, rng) -> str:
    "A picture (base64) in which one of its colours, with all its shades toward white, is another."
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), float)
    colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    strong = colors[(np.ptp(colors, axis=1) > 80) & (counts >= 20)]
    ink = 255 - (strong[rng.randrange(len(strong))] if len(strong) else np.zeros(3))
    new_ink = np.roll(ink, 1) if len(strong) else np.array([0, 160, 255])
    absorbed = 255 - pixels
    amount = absorbed @ ink / (ink @ ink)
    of_this_color = (np.abs(absorbed - amount[..., None] * ink).max(-1) < 12) & (amount > 0.05)
    pixels[of_this_color] = 255 - np.minimum(amount[of_this_color], 1)[:, None] * new_ink
    buffer = io.BytesIO()
    Image.fromarray(pixels.round().astype(np.uint8)).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def changed_color(cell, rng, stored) -> bool:
    if not (mine := stored_pictures(cell)): return False
    data = rng.choice(mine)
    data["image/png"] = recoloured(data["image/png"], rng)
    return True


def changed_color_in_the_source(cell, rng, stored) -> bool:
    "The first thing drawn becomes black just before the figure is shown."
    if not stored_pictures(cell) or not re.search(r"plot_(data|clusters)\(|\.scatter\(", cell.source) or not re.search("^show\\(", cell.source, re.M): return False
    black = "__import__('matplotlib.pyplot').pyplot.gcf().axes[0].collections[0].set_color('black')\n"
    cell.source = re.sub("^show\\(", lambda m: black + m[0], cell.source, count=1, flags=re.M)
    return True


def changed_frame(cell, rng, stored) -> bool:
    pages = [o.data for o in cell.outputs if nbcheck.FRAME.search(o.get("data", {}).get("text/html", ""))]
    if not pages: return False
    data = rng.choice(pages)
    frame = rng.choice(nbcheck.FRAME.findall(data["text/html"]))
    data["text/html"] = data["text/html"].replace(frame, recoloured(frame, rng), 1)
    return True


# The rarest places are filled first; decimals are nearly everywhere, and make up for what found no place.
WRONGS = {changed_frame: 2, changed_color_in_the_source: 3, changed_color: 4, swapped_picture: 4, dropped_output: 6, word: 7, whole_number: 6, decimal_number: 8}
DROPPED_CELLS = TOTAL - sum(WRONGS.values())


def plant(notebooks: dict, rng) -> list[Wrong]:
    "Change the notebooks in place; at most one wrong a cell, none in cells that are not compared."
    free = [(name, i) for name, nb in notebooks.items() for i, c in enumerate(code_cells(nb)) if not nbcheck.is_ignored(nbcheck.options_of(c))]
    stored = {name: [d["image/png"] for c in code_cells(nb) for d in stored_pictures(c)] for name, nb in notebooks.items()}
    planted = []

    def fill(wrong, n):
        rng.shuffle(free)
        for name, i in list(free):
            if not n: return
            others = [p for other, ps in stored.items() if other != name for p in ps]
            if wrong(code_cells(notebooks[name])[i], rng, others):
                planted.append(Wrong(wrong.__name__, name, i))
                free.remove((name, i))
                n -= 1

    for wrong, n in WRONGS.items(): fill(wrong, n)
    fill(decimal_number, sum(WRONGS.values()) - len(planted))
    return planted


def drop_cells(notebooks: dict, rng, n: int) -> dict:
    "n copies, each of a notebook without one of its code cells."
    places = [(name, i) for name, nb in notebooks.items() for i in range(len(code_cells(nb)))]
    copies = {}
    for k, (name, i) in enumerate(rng.sample(places, n)):
        copy = nbformat.from_dict(notebooks[name])
        gone = code_cells(copy)[i]
        copy.cells = [c for c in copy.cells if c is not gone]
        copies[f"dropped_{k:02d}"] = (Wrong("dropped_cell", name, i), copy)
    return copies


def notebooks() -> dict:
    return {name: nbformat.read(ROOT / "nbs" / f"{name}.ipynb", as_version=4) for name in NAMES}


def test_fifty_corruptions_are_caught_and_nothing_else(tmp_path):
    rng, corrupted, intact = random.Random(SEED), notebooks(), notebooks()
    planted = plant(corrupted, rng)
    dropped = drop_cells(intact, rng, DROPPED_CELLS)
    assert len(planted) + len(dropped) == TOTAL
    assert Counter(w.kind for w in planted).keys() == {w.__name__ for w in WRONGS}

    executed = course(tmp_path / "executed", **{name.replace("/", "__"): nb for name, nb in corrupted.items()})
    status, printed, verdicts = run(executed, "nbs", "-n", "2")
    failed = {place for place, passed in verdicts.items() if not passed}
    wanted = {(w.notebook.replace("/", "__"), f"Cell {w.cell}"): w for w in planted}
    assert len(wanted) == len(planted)
    assert not [str(w) for place, w in wanted.items() if place not in failed], "not caught"
    assert not failed - wanted.keys(), f"false alarms\n{printed}"
    assert printed.count("Cell outputs differ") == len(planted), "a corrupted cell did not run"
    assert len(verdicts) == sum(len(code_cells(nb)) + 1 for nb in corrupted.values())

    shortened = course(tmp_path / "shortened", **{name: nb for name, (_, nb) in dropped.items()}, **{n.replace("/", "__"): nb for n, nb in intact.items()})
    status, printed, verdicts = run(shortened, "nbs", "-k", "order")
    assert verdicts == {(name, "order"): True for name in (n.replace("/", "__") for n in intact)} | {(name, "order"): False for name in dropped}
    for wrong, copy in dropped.values():
        assert f"There are {len(code_cells(copy))} code cells, wanted {len(code_cells(copy)) + 1}" in printed
        assert wrong.cell == len(code_cells(copy)) or f"Cell {wrong.cell} has execution count {wrong.cell + 2}, wanted {wrong.cell + 1}" in printed
