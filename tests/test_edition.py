"The instructor's side: notebooks are executed in place, whole or not at all, and twice gives the same bytes."
import subprocess
import sys
from base64 import b64encode
from io import BytesIO

import nbformat
import numpy as np
import pytest
from matplotlib.image import imsave
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import nbcheck
from clusterlab import edition
from clusterlab.edition import EditionError, alike, clean_notebook, execute_notebook, lessons, main, notebooks, problems

IGNORED = "nbval-ignore-output"
SETTINGS = "[DEFAULT]\nrepo = clusterlab\nuser = us\nauthor = us\nbranch = main\nversion = 1.0\nupdate_pyproject = False\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "nbs/tools").mkdir(parents=True)
    (tmp_path / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


def code(source, i=0, *tags):
    return new_code_cell(source, id=f"c{i}", metadata={"tags": list(tags)} if tags else {})


def write(project, name, *cells):
    "A notebook of code cells, each a source or a tuple of source and tags."
    path = project / "nbs" / f"{name}.ipynb"
    cells = [code(c, i) if isinstance(c, str) else code(c[0], i, *c[1:]) for i, c in enumerate(cells)]
    nbformat.write(new_notebook(cells=[new_markdown_cell("# A title", id="title"), *cells]), path)
    return path


def png(value=1.0, shade=0.0):
    square, file = np.full((16, 16), 0.5), BytesIO()
    square[4, 4] = value
    imsave(file, square + shade, vmin=0, vmax=1, cmap="gray", format="png")
    return b64encode(file.getvalue()).decode()


def output(mime, value, **metadata):
    return new_output("display_data", data={mime: value}, metadata=metadata)


# ---- whole or not at all

def test_failures_name_notebook_and_cell_leave_the_bytes_and_spare_the_others(project, capsys):
    paths = [write(project, "00_good", "1 + 1"),
             write(project, "01_bad", "x = 1\nx", "# so far\nx / 0"),
             write(project, "02_dead", "import os", "os._exit(1)"),
             write(project, "tools/good", "2 + 2")]
    before = [p.read_bytes() for p in paths]
    failures = lessons(root=project)
    assert [p.read_bytes() == b for p, b in zip(paths, before)] == [False, True, True, False]
    assert len(failures) == 2 and all("left as it was" in f for f in failures)
    assert failures[0].startswith("nbs/01_bad.ipynb, cell 1 ") and "x / 0" in failures[0] and "ZeroDivisionError: division by zero" in failures[0]
    assert failures[1].startswith("nbs/02_dead.ipynb, cell 1 ") and "os._exit(1)" in failures[1] and "the kernel died" in failures[1]
    assert sorted(p.name for p in (project / "nbs").iterdir()) == ["00_good.ipynb", "01_bad.ipynb", "02_dead.ipynb", "tools"]
    assert "4 executed: 2 failed, 2 changed: 00_good good" in capsys.readouterr().out


def test_a_cell_that_never_ends(project):
    path = write(project, "00", "while True: pass")
    before = path.read_bytes()
    with pytest.raises(EditionError, match=r"(?s)^cell 0 .*while True.*no answer within 1 s"): execute_notebook(path, timeout=1)
    assert path.read_bytes() == before


@pytest.fixture
def no_kernel(monkeypatch):
    "Cells that give 1 without a kernel, and an export that does nothing."
    def run_cells(nb, folder, timeout):
        for i, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), 1):
            cell.execution_count, cell.outputs = i, [new_output("execute_result", data={"text/plain": "1"}, execution_count=i)]
    monkeypatch.setattr(edition, "run_cells", run_cells)
    monkeypatch.setattr(edition, "export", lambda root: None)
    return monkeypatch


def test_interrupted(project, no_kernel, capsys):
    def interrupt(*args): raise KeyboardInterrupt
    no_kernel.setattr(edition, "run_cells", interrupt)
    no_kernel.chdir(project)
    path = write(project, "00", "1")
    before = path.read_bytes()
    assert main(["lessons"]) == 1 and "Stopped" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_old_file_and_no_other(project, no_kernel):
    def full(*args): raise OSError("no space left")
    no_kernel.setattr(edition.os, "replace", full)
    path = write(project, "00", "1")
    before = path.read_bytes()
    assert "no space left" in lessons(root=project)[0]
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir() if p.is_file()] == ["00.ipynb"]


def test_what_someone_else_wrote_meanwhile_is_kept(project, no_kernel):
    path = write(project, "00", "1")
    run_cells = edition.run_cells
    def slow(*args):
        run_cells(*args)
        path.write_text("theirs", encoding="utf-8")
    no_kernel.setattr(edition, "run_cells", slow)
    with pytest.raises(EditionError, match="someone else"): execute_notebook(path)
    assert path.read_text(encoding="utf-8") == "theirs"


def test_an_outcome_that_is_not_fit_is_not_stored(project, no_kernel):
    path = write(project, "00", ("1", "raises-exception"))
    with pytest.raises(EditionError, match="cell 0 .* does not raise"): execute_notebook(path)
    assert path.read_bytes() == write(project, "00", ("1", "raises-exception")).read_bytes()


# ---- twice is once

def test_twice_gives_the_same_bytes_and_force_takes_new_timings(project):
    path = write(
        project, "00", "import time\nimport matplotlib.pyplot as plt\nfrom IPython.display import display",
        "for i in range(3): print(i / 3, flush=True); time.sleep(0.02)",
        "fig = plt.figure(figsize=(2, 2))\nfig.add_subplot().plot([1, 2])\ndisplay(fig, metadata={'image/png': {'alt': 'a line'}})\nplt.close()",
        ("# not compared: a time\ntime.perf_counter_ns()", IGNORED), "from ipywidgets import IntSlider\nIntSlider(3)", ("1 / 0", "raises-exception"))
    assert execute_notebook(path)
    first, nb = path.read_bytes(), nbformat.read(path, as_version=4)
    assert not execute_notebook(path) and path.read_bytes() == first
    outputs = [c.outputs for c in nb.cells if c.cell_type == "code"]
    assert [c.execution_count for c in nb.cells if c.cell_type == "code"] == [1, 2, 3, 4, 5, 6]
    assert [o.text.count("\n") for o in outputs[1]] == [3]
    assert outputs[2][0].metadata["image/png"] == {"alt": "a line"}
    assert list(outputs[4][0].data) == ["text/plain"] and set(nb.metadata) == {"kernelspec", "code_cells"}
    assert execute_notebook(path, force=True)
    forced = nbformat.read(path, as_version=4)
    assert [a == b for a, b in zip(nb.cells, forced.cells)] == [True] * 4 + [False] + [True] * 2


def test_a_stored_timing_is_kept_until_its_source_is_another_than_git_knows(project, no_kernel):
    def git(*args): subprocess.run(["git", *args], cwd=project, check=True, capture_output=True)
    def timing(source, stored):
        path = write(project, "00", (source, IGNORED))
        nb = nbformat.read(path, as_version=4)
        nb.cells[1].outputs = [new_output("execute_result", data={"text/plain": stored}, execution_count=9)]
        nbformat.write(nb, path)
        return path
    def shown(path):
        execute_notebook(path)
        cell = nbformat.read(path, as_version=4).cells[1]
        assert cell.execution_count == cell.outputs[0].execution_count == 1
        return cell.outputs[0].data["text/plain"]
    assert shown(timing("clock()", "17 ms")) == "17 ms"
    git("init")
    assert shown(timing("clock()", "17 ms")) == "17 ms"
    git("add", "nbs")
    assert shown(timing("clock()", "17 ms")) == "17 ms"
    assert shown(timing("other_clock()", "17 ms")) == "1"
    git("add", "nbs")
    assert shown(timing("other_clock()", "18 ms")) == "18 ms"


def test_clean_drops_what_is_not_for_a_reader():
    traceback = ["File \x1b[32m~/a/.venv/lib/python3.11/site-packages/torch/x.py:1\x1b[39m", "File \x1b[32m/home/ann/clusterlab/clusterlab/data.py:2\x1b[39m",
                 r"File C:\Users\ann\clusterlab\data.py:3", "Cell In[1], line 1"]
    cell = new_code_cell("x", metadata={"scrolled": True, "tags": ["t"]}, outputs=[
        new_output("stream", name="stdout", text="a"), new_output("stream", name="stdout", text="b"), new_output("stream", name="stderr", text="c"),
        new_output("stream", name="stdout", text="d"), output("application/vnd.jupyter.widget-view+json", {"model_id": "7"}),
        new_output("error", ename="E", evalue="e", traceback=traceback)])
    nb = new_notebook(cells=[new_markdown_cell("m", metadata={"collapsed": True}), cell], metadata={"widgets": {}, "language_info": {"name": "python"}})
    clean_notebook(nb)
    assert [c.metadata for c in nb.cells] == [{}, {"tags": ["t"]}] and set(nb.metadata) == {"kernelspec", "code_cells"}
    assert [o.get("text") for o in nb.cells[1].outputs] == ["ab", "c", "d", None, None]
    assert nb.cells[1].outputs[3].data == {}
    assert nb.cells[1].outputs[4].traceback == ["File \x1b[32mtorch/x.py:1\x1b[39m", "File \x1b[32mclusterlab/data.py:2\x1b[39m",
                                                r"File clusterlab\data.py:3", "Cell In[1], line 1"]


# ---- what counts as the same

TEXTS = [("tensor([0.576, 1.])", "tensor([0.576, 1.])", True), ("0.57682", "0.57683", True), ("[-0.0000, 1.0]", "[ 0.0000, 1.0]", True), ("1.5e-05", "1.6e-05", True),
         ("0.5768", "0.5778", False), ("0.57682", "0.576820", False), ("1.0e-03", "1.0e-05", False), ("3", "4", False), ("[1., 2.]", "[1., 3.]", False),
         ("1000000", "1000001", False), ("See 20000.", "See 20001.", False), ("v1.00001", "v1.00002", False), ("1.0 a", "1.0 b", False), ("a b", "a  b", False),
         ("1.0", "nan", False), ("1.0 2.0", "1.0", False), ("a\n", "a", False)]
FILM = '<img id="{id}" src="data:image/png;base64,{png}">'


@pytest.mark.parametrize("old, new, same", TEXTS)
def test_texts_alike(old, new, same):
    assert alike(output("text/plain", old), output("text/plain", new)) == same
    assert alike(new_output("stream", text=old), new_output("stream", text=new)) == same
    assert not same or nbcheck.same_text(old, new)


@pytest.mark.parametrize("new, same", [(png(), True), (png(0.997), True), (png(0.9), False), (png(shade=1 / 255), False), (png()[:-8] + "AAAAAAA=", True)])
def test_pictures_alike(new, same):
    def film(picture, i): return output("text/html", FILM.format(id=f"{i:032x}", png=picture))
    assert alike(output("image/png", png()), output("image/png", new)) == same
    assert alike(film(png(), 1), film(new, 2)) == same
    assert not same or not nbcheck.picture_faults(*(nbcheck.pictures([output("image/png", p)]) for p in (png(), new)))


@pytest.mark.parametrize("old, new", [
    (output("text/plain", "1"), new_output("stream", text="1")), (new_output("stream", name="stdout", text="1"), new_output("stream", name="stderr", text="1")),
    (output("text/html", "1.00001"), output("text/html", "1.00002")), (output("text/html", FILM.format(id="", png=png())), output("text/html", png() * 2)),
    (output("image/png", png(), **{"image/png": {"alt": "a"}}), output("image/png", png(), **{"image/png": {"alt": "b"}})),
    ([output("text/plain", "1")], []), ([], [output("text/plain", "1")])])
def test_not_alike(old, new):
    assert not alike(old, new)


def test_problems():
    error, picture = new_output("error", ename="E", evalue="e", traceback=[]), output("image/png", png())
    cells = [("", (), None, []), ("a", (), 1, [error]), ("b", ("raises-exception",), 2, []), ("c", (), 3, [picture]), ("d", ("skip-execution",), None, [])]
    nb = new_notebook(cells=[new_code_cell(s, id=s or "none", metadata={"tags": list(t)}, execution_count=n, outputs=o) for s, t, n, o in cells])
    found = problems(nb)
    assert [p.split(" ")[1] for p in found] == ["1", "2", "3"]
    assert "raises an exception" in found[0] and "does not raise" in found[1] and "without alt text" in found[2]
    picture.metadata["image/png"] = {"alt": "a square"}
    nb.cells[3].execution_count = 4
    assert [p for p in problems(nb) if p not in found] == ["the execution counts are not 1, 2, 3 and so on"]
    nb.cells[0].pop("outputs")
    assert problems(nb)[0].startswith("not a valid notebook")


# ---- which notebooks

def test_reading_order_and_names(project, no_kernel, capsys):
    for name in "01_b", "00_a", "index", "tools/zoo", "tools/ark", "_draft": write(project, name, "1")
    stems = lambda *names: [p.stem for p in notebooks(names, project)]
    assert stems() == ["index", "00_a", "01_b", "ark", "zoo"]
    assert stems("zoo", "0") == ["00_a", "01_b", "zoo"] and stems("01_b.ipynb") == ["01_b"]
    no_kernel.chdir(project)
    assert main(["lessons", "7", "01"]) == 1
    assert "no notebook begins with 7. There are: index 00_a 01_b ark zoo" in capsys.readouterr().err
    assert main(["lessons", "--force", "01"]) == main(["lessons", "01", "--force"]) == 0
    no_kernel.chdir(project / "nbs/tools")
    assert main(["lessons"]) == 1 and "in the project's folder" in capsys.readouterr().err


def test_missing_tools_are_named(project, monkeypatch):
    write(project, "00", "1")
    monkeypatch.setattr(edition, "find_spec", lambda name: None if name == "nbclient" else name)
    with pytest.raises(EditionError, match=r"nbclient not found: .*\[dev\]"): lessons(root=project)


def test_import_needs_the_standard_library_only():
    script = "import sys; before = set(sys.modules); import clusterlab.edition; print({m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "{'clusterlab'}"
