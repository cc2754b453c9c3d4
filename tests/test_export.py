"The package is what the notebooks export; a package that is not is refused, in words."
import shutil
from pathlib import Path

import nbformat
import pytest

from clusterlab.edition import EditionError, check_export, export, main

ROOT = Path(__file__).parents[1]


def test_the_package_is_what_the_notebooks_export():
    assert check_export(ROOT) == []


@pytest.fixture
def copy(tmp_path):
    "The project with two of its notebooks, exported."
    shutil.copy(ROOT / "settings.ini", tmp_path)
    (tmp_path / "nbs/tools").mkdir(parents=True)
    for name in "00_data.ipynb", "tools/plots.ipynb": shutil.copy(ROOT / "nbs" / name, tmp_path / "nbs" / name)
    export(tmp_path)
    (tmp_path / "clusterlab/py.typed").touch()
    (tmp_path / "clusterlab/__pycache__").mkdir()
    (tmp_path / "clusterlab/__pycache__/data.pyc").write_bytes(b"\xff")
    return tmp_path


def test_the_export_does_nothing_to_the_project_and_ignores_in_test(copy, monkeypatch):
    monkeypatch.setenv("IN_TEST", "1")
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*")}
    assert check_export(copy) == []
    assert before == {p: p.stat().st_mtime_ns for p in copy.rglob("*")}


def test_a_module_edited_by_hand(copy, monkeypatch, capsys):
    module = copy / "clusterlab/data.py"
    module.write_text(module.read_text(encoding="utf-8").replace("5.0", "6.0"), encoding="utf-8")
    words = "clusterlab/data.py is not what nbs/00_data.ipynb exports. Edit the notebook, then run `make lessons`, and commit both."
    assert check_export(copy) == [words]
    monkeypatch.chdir(copy)
    assert main(["check"]) == 1 and capsys.readouterr().err == words + "\n"
    export(copy)
    assert main(["check"]) == 0 and capsys.readouterr() == ("", "")


def test_a_forgotten_export(copy):
    path = copy / "nbs/tools/plots.ipynb"
    nb = nbformat.read(path, as_version=4)
    cell = next(c for c in nb.cells if "def plot_clusters" in c.source)
    cell.source = cell.source.replace("size: float = 5", "size: float = 6")
    nbformat.write(nb, path)
    assert check_export(copy) == ["clusterlab/plots.py is not what nbs/tools/plots.ipynb exports. Edit the notebook, then run `make lessons`, and commit both."]
    (copy / "clusterlab/plots.py").unlink()
    assert "clusterlab/plots.py is missing: nbs/tools/plots.ipynb exports it. Run `make lessons`, and commit both." in check_export(copy)


def test_a_module_that_no_notebook_makes(copy):
    (copy / "clusterlab/lesson").mkdir()
    (copy / "clusterlab/lesson/old.py").touch()
    assert check_export(copy)[0].startswith("clusterlab/lesson/old.py is extra: no notebook exports it.")


def test_an_export_that_fails_is_told(copy):
    path = copy / "nbs/00_data.ipynb"
    nb = nbformat.read(path, as_version=4)
    nb.cells = [c for c in nb.cells if "default_exp" not in c.source]
    nbformat.write(nb, path)
    with pytest.raises(EditionError, match="(?s)the export failed.*00_data.*default_exp"): check_export(copy)
    path.write_text("not a notebook", encoding="utf-8")
    with pytest.raises(EditionError, match="the export failed"): check_export(copy)
