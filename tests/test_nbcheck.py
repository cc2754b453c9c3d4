"The notebook check itself: what it lets pass, what it does not."

import base64
import io
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

import nbcheck
from nbcheck import Picture, agreeing, notebook_faults, picture_fault, picture_faults, pictures, same_text

ROOT = Path(__file__).resolve().parents[1]


# ---- text

@pytest.mark.parametrize("stored, new", [
    ("1.41421", "1.4142135"), ("0.00001", "-0.00002"), ("12345.6", "12346.5"), ("1.5e+10", "1.50001e+10"), ("1e-05", "1e-06"),
    ("tensor([0.1234, 1.0000])", "tensor([0.1235, 0.9999])"),
    ("tensor([[ 0.000, 1.000],\n        [-2.500, 3.000]])", "tensor([[-0.000,  1.000],\n        [-2.500,  3.000]])"),
    ("tensor([1., 2.])", "tensor([1.0000, 2.0001])"), ("tensor([nan, 1.000])", "tensor([  nan,  1.000])"),
    ("loss 2.50001, 3 steps", "loss 2.50002, 3 steps"), ("12.5001ms", "12.5ms"),
])
def test_same_text(stored, new):
    assert same_text(stored, new) and same_text(new, stored)


@pytest.mark.parametrize("stored, new", [
    ("1.41", "1.51"), ("0.160", "0.162"), ("0.16", "0.17"), ("0.001", "-0.001"), ("1e10", "2e10"), ("tensor([0, 1])", "tensor([0, 2])"),
    ("150000 points", "150001 points"), ("There are 150000.", "There are 150001."), ("1500", "1500.0"), ("torch.Size([3, 5])", "torch.Size([3, 5, 1])"),
    ("tensor(nan)", "tensor(0.500)"), ("tensor(inf)", "tensor(0.500)"), ("tensor(inf)", "tensor(-inf)"), ("tensor(inf)", "tensor(nan)"),
    ("#0e1234", "#0e9999"), ("six 1.5", "five 1.5"), ("1.5", "1.5 1.5"), ("1.5 #", "# 1.5"), ("a b", "a  b"), ("True", "False"), ("", "0.0"),
])
def test_other_text(stored, new):
    assert not same_text(stored, new) and not same_text(new, stored)


# ---- pictures

def dots(color, at=(40, 40), size=(96, 80), background="white") -> np.ndarray:
    "A square of 12 x 12 pixels on a page."
    image = Image.new("RGB", size, background)
    image.paste(color, (*at, at[0] + 12, at[1] + 12))
    return np.asarray(image)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def fault(stored: np.ndarray, new: np.ndarray) -> str:
    return picture_fault(Picture("picture 1", "", png(stored)), Picture("picture 1", "", png(new)))


def test_pictures_that_look_the_same():
    page = dots("#0072B2")
    grainy = page + np.random.default_rng(0).integers(0, 2, page.shape, dtype=np.uint8) * (page < 255)
    transparent = np.concatenate([page, np.where(page.min(-1, keepdims=True) < 255, 255, 0).astype(np.uint8)], -1)
    assert not fault(page, page) and not fault(page, grainy) and not fault(page, transparent)


@pytest.mark.parametrize("new, words", [
    (dots("#009E73"), "largest difference"), (dots("#0072B2", at=(40, 41)), "at x = 40, y = 40"), (dots("#0072B2", background="#FEFEFE"), "mean difference 0.0038"),
    (dots("#0072B2", size=(96, 81)), "its size was 96 x 80 pixels, is now 96 x 81"),
], ids=["colour", "place", "tint", "size"])
def test_pictures_that_look_different(new, words):
    said = fault(dots("#0072B2"), new)
    assert words in said and ("limit 0.005" in said or "size" in said)


def test_the_limits_on_the_plots_of_the_course():
    "Redrawn, or with data moved within the tolerance: the same. A colour, a centroid, a word: not."
    plt, torch = pytest.importorskip("matplotlib.pyplot"), pytest.importorskip("torch")
    from clusterlab.data import lesson_data
    from clusterlab.plots import plot_centroids

    centroids, data = lesson_data()
    slices = data.reshape(6, 250, 2)

    def draw(slices=slices, centroids=centroids, title="Six clusters", odd=None, **figure):
        fig, ax = plt.subplots(**{"figsize": (5, 4), "layout": "constrained", **figure})
        for i, s in enumerate(slices): ax.scatter(*s.T, s=1, color="#8C6D31" if i == odd else f"C{i}")
        plot_centroids(centroids, ax, numbered=False)
        ax.set_title(title)
        buffer = io.BytesIO()
        fig.savefig(buffer)
        plt.close(fig)
        return Picture("picture 1", "", buffer.getvalue())

    stored, moved = draw(), centroids + torch.tensor([0.5, 0.0]) * (torch.arange(6)[:, None] == 2)
    for same in (draw(), draw(slices * (1 + 1e-4), centroids * (1 - 1e-4))): assert not picture_fault(stored, same)
    for other in (*(draw(odd=i) for i in range(6)), draw(centroids=moved), draw(title="Sir clusters"), draw(title="")): assert picture_fault(stored, other)
    small = dict(figsize=(3, 3), dpi=60)
    assert picture_fault(draw(title="Update 4", **small), draw(title="Update 5", **small))


def test_another_alt_text_or_number_of_pictures():
    one = Picture("picture 1", "a square", png(dots("red")))
    assert "is now 'a disc'" in picture_fault(one, one._replace(alt="a disc"))
    assert picture_faults([one], [one]) == {}
    assert picture_faults([one], []) == {-1: "pictures stored: picture 1; pictures now: none"}
    assert list(picture_faults([one, one], [one, one._replace(data=png(dots("blue")))])) == [1]


def film(*colors, id="0" * 32, name="film") -> str:
    "HTML as of matplotlib's players: frames in base64 with broken lines, a random id."
    frames = [base64.b64encode(png(dots(c))).decode() for c in colors]
    return f'<div role="img" aria-label="{name}"><img id="_anim_img{id}">' + "\n".join(f'frames[{i}] = "data:image/png;base64,{f[:70]}\\\n{f[70:]}\\\n"' for i, f in enumerate(frames))


def test_animations():
    "Frames are pictures; what is left of the HTML is text; ids do not count."
    stored, new, other = ([new_output("display_data", {"text/html": film("red", "blue", **kw)})] for kw in ({}, {"id": "0123456789abcdef" * 2}, {"name": "flim"}))
    assert [p.name for p in pictures(stored)] == ["frame 1 of animation 1", "frame 2 of animation 1"]
    assert picture_faults(pictures(stored), pictures(new)) == {}
    ref, test = agreeing(stored, new)
    assert ref == test and "base64" not in ref[0].data["text/html"] and "base64" in stored[0].data["text/html"]
    ref, test = agreeing(stored, other)
    assert ref != test
    assert list(picture_faults(pictures(stored), pictures([new_output("display_data", {"text/html": film("red", "green")})]))) == [1]
    assert -1 in picture_faults(pictures(stored), pictures([new_output("display_data", {"text/html": film("red")})]))


# ---- the notebook as stored

def notebook(*cells) -> nbformat.NotebookNode:
    "A notebook of (source, outputs, tag ...), its cells counted 1, 2, 3 ..."
    return new_notebook(cells=[new_code_cell(source, outputs=outputs, execution_count=i, metadata={"tags": tags} if tags else {})
                               for i, (source, outputs, *tags) in enumerate(cells, 1)])


def result(text): return [new_output("execute_result", {"text/plain": text})]
def stream(text): return [new_output("stream", name="stdout", text=text)]
def error(name, value): return [new_output("error", ename=name, evalue=value, traceback=[])]
def html(text): return [new_output("display_data", {"text/html": text, "text/plain": "<film>"})]


def picture(array, alt="a square"):
    return [new_output("display_data", {"image/png": base64.b64encode(png(array)).decode(), "text/plain": "<picture>"}, metadata={"image/png": {"alt": alt}} if alt else {})]


def faults(*cells, n_bytes=1000): return "\n".join(notebook_faults(notebook(*cells), n_bytes))


def test_a_notebook_without_fault():
    assert not faults(("1", result("1")), ("1/0", error("ZeroDivisionError", "division by zero"), "raises-exception"), ("show()", picture(dots("red"))),
                      ("# not compared: a timing\ntime()", result("3"), "nbval-ignore-output"), ("film()", html(film("red"))))


def test_one_in_the_last_of_three_decimals_is_rounding():
    assert same_text("tensor([0.160, 26.759])", "tensor([0.161, 26.758])")


def test_a_dropped_last_cell():
    complete = notebook(("1", result("1")), ("2", result("2")))
    complete.metadata.code_cells = 2
    assert not notebook_faults(complete, 0)
    del complete.cells[1]
    assert notebook_faults(complete, 0) == ["There are 1 code cells, wanted 2: one is missing or was added. Execute the notebook: `make lessons`"]


def test_a_dropped_cell():
    complete = notebook(*[("1", result("1"))] * 5)
    for i in range(4):
        dropped = notebook()
        dropped.cells = complete.cells[:i] + complete.cells[i + 1:]
        assert f"Cell {i} has execution count {i + 2}, wanted {i + 1}" in notebook_faults(dropped, 0)[0]


def test_cells_never_run_or_out_of_order():
    unrun, swapped, empty = (notebook(*[("1", [])] * 3) for _ in range(3))
    unrun.cells[1].execution_count = None
    swapped.cells[0].execution_count, swapped.cells[1].execution_count = 2, 1
    assert "Cell 1 has no execution count, wanted 2. Execute the notebook: `make lessons`" in notebook_faults(unrun, 0)[0]
    assert "Cell 0 has execution count 2" in notebook_faults(swapped, 0)[0]
    empty.cells[2].source, empty.cells[2].execution_count = "", None
    assert not notebook_faults(empty, 0)


def test_other_faults_of_a_stored_notebook():
    assert "without alt text" in faults(("show()", picture(dots("red"), alt="")))
    assert "without alt text" in faults(("show()", picture(dots("red"), alt=" ")))
    assert "without a description" in faults(("film()", html(film("red", name=""))))
    assert "stores the error NameError" in faults(("x", error("NameError", "x")))
    assert "1,000,000 bytes" in faults(n_bytes=1_000_000)
    for cell in ("time()", [], "nbval-ignore-output"), ("# not compared:\ntime()", [], "nbval-skip"), ("# NBVAL_IGNORE_OUTPUT", []):
        assert "does not say why" in faults(cell)


# ---- the whole of it, on small notebooks in a real run

TOOLS = """
import base64, io
from IPython.display import HTML, display
from PIL import Image
def show(color, alt="a square", n=1):
    image = Image.new("RGB", (96, 80), "white")
    image.paste(color, (40, 40, 52, 52))
    buffer = io.BytesIO()
    image.save(buffer, "png")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<picture>"}
    for _ in range(n): display(data, metadata={"image/png": {"alt": alt}}, raw=True)
def film(*colors, name="film"):
    frames = []
    for color in colors:
        image = Image.new("RGB", (96, 80), "white")
        image.paste(color, (40, 40, 52, 52))
        buffer = io.BytesIO()
        image.save(buffer, "png")
        frames.append(base64.b64encode(buffer.getvalue()).decode())
    html = f'<div role="img" aria-label="{name}"><img id="_anim_img{"f" * 32}">'
    html += "\\n".join(f'frames[{i}] = "data:image/png;base64,{f[:70]}\\\\\\n{f[70:]}\\\\\\n"' for i, f in enumerate(frames))
    display({"text/html": html, "text/plain": "<film>"}, raw=True)
"""
RAISES = "raises-exception"

GOOD = [
    (TOOLS, []), ("1 / 3", result("0.33339")), ("[1, 2]", result("[1, 2]")), ("print('six', 2.5)", stream("six 2.50001\n")), ("float('nan')", result("nan")),
    ("x = [5]\nx;", []), ("_ = 3", []), ("show('#0072B2')", picture(dots("#0073B2"))), ("film('red', 'blue')", html(film("red", "blue"))),
    ("1 / 0", error("ZeroDivisionError", "division by zero"), RAISES),
    ("import ipywidgets\nipywidgets.IntSlider(3)", result("IntSlider(value=3)")),
    ("area = ipywidgets.Output()\nwith area:\n    print('inside')\n    show('red')\nprint('outside')", stream("outside\n")),
]

BAD = [
    ("1 / 3", result("0.3335")), ("1 + 2", result("4")), ("[1, 2]", result("[1, 2, 3]")), ("print('six')", stream("sir\n")), ("float('inf')", result("nan")),
    ("None", result("5")), ("5", []), ("print(5)", result("5")), ("print(1); print(1)", stream("1\n")),
    ("show('red')", picture(dots("blue"))), ("show('red')", picture(dots("red"), alt="")), ("show('red', alt='a disc')", picture(dots("red"))),
    ("show('red', n=2)", picture(dots("red"))), ("show('red')", picture(dots("red")) * 2), ("show('red')", picture(dots("red", size=(96, 81)))),
    ("show('red')", [new_output("display_data", {"text/plain": "<picture>"})]), ("None", picture(dots("red"))),
    ("film('red', 'blue')", html(film("red", "green"))), ("film('red', 'blue')", html(film("red"))), ("film('red', 'blue')", html(film("red", "blue", name="flim"))),
    ("1 / 0", error("ZeroDivisionError", "division by one"), RAISES), ("1", error("ZeroDivisionError", "division by zero"), RAISES), ("undefined", []),
    ("import ipywidgets\nipywidgets.IntSlider(3)", result("IntSlider(value=4)")),
    ("area = ipywidgets.Output()\nwith area: undefined", []),
]


def course(folder: Path, **notebooks) -> Path:
    "A copy of the check beside these notebooks, laid out as this repository."
    (folder / "nbs").mkdir(parents=True)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests/nbcheck.py", folder / "tests")
    shutil.copy(ROOT / "nbs/conftest.py", folder / "nbs")
    for name, nb in notebooks.items(): nbformat.write(nb, folder / "nbs" / f"{name}.ipynb")
    return folder


def run(folder: Path, *options, **environment):
    "pytest in this folder: exit status, what it printed, and {(notebook, test): passed}."
    mine = {name: value for name, value in os.environ.items() if not re.match("PYTEST_|PY_COLORS|FORCE_COLOR|NBCHECK_|(CI|BUILD_NUMBER)$", name)}
    mine |= {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", **environment}
    record = folder / "junit.xml"
    command = [sys.executable, "-m", "pytest", *options, f"--junitxml={record}"]
    done = subprocess.run(command, cwd=folder, env=mine, capture_output=True, encoding="utf-8", errors="replace")
    verdicts = {(case.get("classname").split(".ipynb")[0].split(".")[-1], case.get("name")): case.find("failure") is None and case.find("error") is None
                for case in ElementTree.parse(record).iter("testcase")}
    return done.returncode, done.stdout, verdicts


def summary(printed: str) -> str: return re.search("^notebook check: .*$", printed, re.M)[0]


@pytest.fixture(scope="module")
def small_course(tmp_path_factory):
    unrun = notebook(("1 + 1", result("2")), ("1 + 1", result("3")))
    for cell in unrun.cells: cell.execution_count = None
    folder = course(tmp_path_factory.mktemp("small"), good=notebook(*GOOD), bad=notebook((TOOLS, []), *BAD), unrun=unrun)
    hidden = folder / "nbs/.ipynb_checkpoints"
    hidden.mkdir()
    shutil.copy(folder / "nbs/bad.ipynb", hidden / "bad-checkpoint.ipynb")
    return folder, *run(folder, "nbs", CLUSTERLAB_ARTIFACTS=str(folder / "artifacts"))


def test_each_right_cell_passes_and_each_wrong_one_fails(small_course):
    folder, status, printed, verdicts = small_course
    assert status == 1
    wanted = {("good", "order"): True, ("bad", "order"): False, ("unrun", "order"): False, ("unrun", "Cell 0"): True, ("unrun", "Cell 1"): False, ("bad", "Cell 0"): True}
    wanted |= {("good", f"Cell {i}"): True for i in range(len(GOOD))} | {("bad", f"Cell {i}"): False for i in range(1, len(BAD) + 1)}
    assert verdicts == wanted


def test_failures_are_told_in_plain_words(small_course):
    folder, status, printed, verdicts = small_course
    assert "\x1b" not in printed
    for words in ("'0.3335' == '0.3333333333333333'", "picture 1 looks different: largest difference", "(limit 0.005)", "frame 2 of animation 1 looks different",
                  "pictures stored: picture 1; pictures now: picture 1, picture 2", "is now 'a disc'", "Cell 11 shows a picture without alt text", "`make lessons`"):
        assert words in printed
    saved = {p.name: p.read_bytes() for p in (folder / "artifacts").iterdir()}
    assert saved["bad-Cell_10-picture_1-stored.png"] == png(dots("blue")) and saved["bad-Cell_10-picture_1-new.png"] == png(dots("red"))
    assert "bad-Cell_18-frame_2_of_animation_1-new.png" in saved and not any(name.startswith("good") for name in saved)


def test_the_summary_counts_what_was_compared(small_course):
    folder, status, printed, verdicts = small_course
    compared = [cell for cell in GOOD + BAD if not cell[0].endswith("undefined")]
    outputs, n_pictures = sum(len(c[1]) for c in compared) + 2, sum(o.get("data", {}).keys() >= {"image/png"} for c in compared for o in c[1])
    assert summary(printed) == f"notebook check: {outputs} outputs compared in {len(compared) + 3} cells ({n_pictures} pictures, 4 animations), 0 ignored (0.0 %)"


def test_more_than_two_percent_not_compared_fails_the_whole(tmp_path):
    "Here by two processes."
    ignored = ("# not compared: a timing\nimport time\ntime.time()", result("3.0"), "nbval-ignore-output")
    folder = course(tmp_path / "few", one=notebook(ignored, *[("1", result("1"))] * 8), two=notebook(("1", result("1"))))
    status, printed, verdicts = run(folder, "nbs", "-n", "2")
    assert status == 1 and len(verdicts) == 12 and all(verdicts.values())
    assert summary(printed) == "notebook check: 9 outputs compared in 9 cells (0 pictures, 0 animations), 1 ignored (10.0 %)"
    assert "FAILED: more than 2 % of the cells are not compared" in printed


def test_but_a_part_may_hold_more(monkeypatch):
    monkeypatch.setattr(nbcheck, "all_notebooks", lambda: {1, 2})
    tally = nbcheck.Tally(cells=9, ignored=1, outputs=9, pictures=0, animations=0, notebooks={1})
    assert not tally.too_many_ignored and tally._replace(notebooks={1, 2}).too_many_ignored
    assert not tally._replace(notebooks={1, 2}, cells=49).too_many_ignored


def test_a_kernel_that_does_not_start_is_tried_again(monkeypatch):
    tries = []

    def setup(self):
        tries.append(1)
        if len(tries) < nbcheck.STARTS: raise RuntimeError("Kernel died before replying to kernel_info")
        self.kernel = SimpleNamespace()
    monkeypatch.setattr(nbcheck.IPyNbFile, "setup", setup)
    notebook = object.__new__(nbcheck.Notebook)
    notebook.start_kernel()
    assert len(tries) == nbcheck.STARTS and notebook.kernel.execute_cell_input
