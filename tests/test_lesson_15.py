"Lesson 15: the lines of APL against a slow loop, the two places where the short one fails, and the notebook without an interpreter."
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import numpy as np
import pytest

NOTEBOOK = Path(__file__).parents[1] / "nbs/15_apl.ipynb"


def run(monkeypatch=None, absent=()):
    "The names that the notebook's code leaves behind, where the modules in `absent` cannot be imported."
    matplotlib.use("Agg")
    for name in absent: monkeypatch.setitem(sys.modules, name, None)
    names = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code": exec("".join(cell["source"]), names)
    return names


@pytest.fixture(scope="module")
def lesson():
    pytest.importorskip("jay")
    return run()


def loop(points, centers, steps):
    "k-means as the tool promises it: the first of equally near centers, and a center without points stays."
    for _ in range(steps):
        labels = [min(range(len(centers)), key=lambda j: ((p - centers[j]) ** 2).sum()) for p in points]
        centers = np.array([points[np.equal(labels, j)].mean(0) if j in labels else c for j, c in enumerate(centers)])
    return centers


def steps(lesson, line, points, centers, n=1): return lesson["apl"](lesson[line] + f" ⋄ {{p}} step⍣{n}⊢{{c}}", p=points, c=centers)


@pytest.mark.parametrize("line", ["STEP", "MENDED"])
@pytest.mark.parametrize("n, d, k", [(1, 1, 1), (7, 1, 1), (40, 2, 3), (60, 5, 6)])
def test_equals_the_loop(lesson, line, n, d, k):
    g = np.random.default_rng(n)
    points = g.normal(size=(n, d))
    centers = points[g.choice(n, k, replace=False)]
    assert lesson["agree"](steps(lesson, line, points, centers, 4), loop(points, centers, 4))


def test_ties_and_empty_clusters_equal_the_loop(lesson):
    g = np.random.default_rng(0)
    for _ in range(60):
        points, centers = g.integers(0, 4, (9, 2)).astype(float), g.integers(0, 6, (4, 2)).astype(float)
        assert lesson["agree"](steps(lesson, "MENDED", points, centers), loop(points, centers, 1))


def test_a_tie_is_not_counted_twice(lesson):
    points, centers = np.array([[0.0], [1], [2]]), np.array([[0.0], [2]])
    assert steps(lesson, "STEP", points, centers).tolist() == [[0.5], [1.5]] and steps(lesson, "MENDED", points, centers).tolist() == [[0.5], [2]]


def test_an_empty_cluster_is_not_at_one(lesson):
    points, centers = np.array([[3.0], [4]]), np.array([[3.0], [90]])
    assert steps(lesson, "STEP", points, centers).tolist() == [[3.5], [1]] and steps(lesson, "MENDED", points, centers).tolist() == [[3.5], [90]]


def test_three_languages_agree_to_the_last_bit(lesson):
    assert np.array_equal(lesson["found"], lesson["expected"].numpy()) and np.array_equal(lesson["by_numpy"](lesson["P"].numpy(), lesson["C"].numpy()), lesson["found"])
    pytest.importorskip("basedpl")
    assert np.array_equal(lesson["by_basedpl"](lesson["P"], lesson["C"]), lesson["found"])


@pytest.mark.parametrize("absent", [("jay",), ("basedpl",), ("jay", "basedpl")], ids="-".join)
def test_the_cells_run_without_an_interpreter(monkeypatch, capsys, absent):
    names = run(monkeypatch, absent)
    said = capsys.readouterr().out
    assert ("pip install libjay==" in said) == ("jay" in absent) == (names["found"] is None)
    assert ("BasedPL" in names["contestants"]) == (find_spec("basedpl") is not None and "basedpl" not in absent) and names["expected"].shape == (6, 2)


def test_the_pinned_version_is_the_one_the_notebook_names():
    pins = (NOTEBOOK.parents[1] / "constraints.txt").read_text(encoding="utf-8")
    for pin in ("libjay==0.4.99", "basedpl==0.1.75"): assert pin in NOTEBOOK.read_text(encoding="utf-8") and pin in pins
