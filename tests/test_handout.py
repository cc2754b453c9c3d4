"The editions: a student gets stubs and no solution, wherever one was planted; the same course gives the same bytes; what is malformed is said, and nothing is replaced by less."
import base64
import gzip
import html
import io
import json
import py_compile
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from clusterlab import handout, leaks
from clusterlab.edition import EditionError, run_cells

ROOT = Path(__file__).parents[1]
EXTRA = "setup.py", "settings.ini", "constraints.txt", "LICENSE", "STUDENT.md"
DISTANCE = '''def root_distance(x, X):
    "The distances (n,) of x (d,) to all of X (n, d)."
    ### BEGIN SOLUTION one einsum, then the root
    dif = X - x  # broadcast
    return torch.einsum("ij,ij->i", dif, dif).sqrt()
    ### END SOLUTION'''
SHAPE = "### BEGIN SOLUTION the shape of x[:, None] * X, a tuple\nshape_seen = (1500, 7)\n### END SOLUTION"
WHOLE = '''### BEGIN SOLUTION twice its argument
def doubled_up(x: float, *, times=2):
    "Twice x."
    return times * x
### END SOLUTION'''
KNOWN = {"root_distance", "shape_seen", "doubled_up"}


def code(source, *outputs, tags=()):
    return new_code_cell(source, id=f"c{abs(zlib.crc32(source.encode()))}", metadata={"tags": list(tags)} if tags else {}, outputs=list(outputs), execution_count=1)


def said(text): return new_output("stream", name="stdout", text=text)


def answer(source): return code(source, said("an answer's output"), tags=["exercise"])


def check(name): return code(f"check.{name}({name})", said(f"{name}: right."))


def lesson(*cells): return new_notebook(cells=[new_markdown_cell("# A title, with [tools](tools/edition.ipynb) and [one](tools/plots.ipynb)", id="title"), *cells])


def write(root, notebook, name="01_first"): nbformat.write(notebook, root / "nbs" / f"{name}.ipynb")


@pytest.fixture
def course(tmp_path):
    root = tmp_path / "course"
    for folder in "nbs/tools", "clusterlab/exercises", "tests", "benchmarks": (root / folder).mkdir(parents=True)
    for name in EXTRA: shutil.copy(ROOT / name, root)
    for name in "__init__.py", "edition.py", "grading.py", "_modidx.py", "data.py", "py.typed", "exercises/__init__.py": (root / "clusterlab" / name).write_text("", encoding="utf-8")
    plain = code("import torch\nfrom clusterlab import check\n1 + 1", new_output("execute_result", data={"text/plain": "2"}, execution_count=1))
    write(root, lesson(plain, answer(DISTANCE), check("root_distance"), answer(SHAPE), check("shape_seen"), answer(WHOLE), check("doubled_up")))
    for tool in "plots", "edition", "grading", "handout", "leaks", "exercises_first": write(root, lesson(code("2 + 2")), f"tools/{tool}")
    (root / "tests/test_it.py").write_text("", encoding="utf-8")
    return root


def read(path): return nbformat.read(path, as_version=4)


# ---- the editions

def test_the_student_edition(course):
    assert handout.edition("student", course, KNOWN) == []
    made = course / "dist/student"
    assert {p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file()} == {
        "README.md", "setup.py", "settings.ini", "constraints.txt", "LICENSE", "nbs/01_first.ipynb", "nbs/tools/plots.ipynb",
        "clusterlab/__init__.py", "clusterlab/data.py", "clusterlab/py.typed", "clusterlab/exercises/__init__.py"}
    nb = read(made / "nbs/01_first.ipynb")
    nbformat.validate(nb)
    assert nb.cells[0].source == "# A title, with tools and [one](tools/plots.ipynb)"
    assert nb.cells[1].outputs[0].data["text/plain"] == "2" and not any(c.outputs or c.execution_count for c in nb.cells[2:])
    assert nb.cells[2].source == ('def root_distance(x, X):\n    "The distances (n,) of x (d,) to all of X (n, d)."\n'
                                  '    raise NotImplementedError("root_distance: one einsum, then the root")')
    assert nb.cells[4].source == "shape_seen = ...  # the shape of x[:, None] * X, a tuple"
    assert nb.cells[6].source == 'def doubled_up(x: float, *, times=2):\n    """Twice x."""\n    raise NotImplementedError("doubled_up: twice its argument")'
    assert (made / "README.md").read_text(encoding="utf-8") == (ROOT / "STUDENT.md").read_text(encoding="utf-8")


def test_the_solutions_edition(course):
    assert handout.edition("solutions", course, KNOWN) == []
    nb = read(course / "dist/solutions/nbs/01_first.ipynb")
    assert nb.cells[2].source == DISTANCE.replace("    ### BEGIN SOLUTION one einsum, then the root\n", "").replace("\n    ### END SOLUTION", "")
    assert nb.cells[2].outputs and nb.cells[3].outputs[0].text == "root_distance: right."
    assert sorted(p.name for p in (course / "dist/solutions").iterdir()) == ["README.md", "nbs"]


def test_the_same_course_gives_the_same_bytes_and_the_zip_holds_the_folder(course):
    zips = []
    for _ in range(2):
        handout.edition("student", course, KNOWN)
        zips.append((course / "dist/student.zip").read_bytes())
        for p in course.rglob("*.ipynb"): p.touch()
    assert zips[0] == zips[1]
    with zipfile.ZipFile(io.BytesIO(zips[0])) as z:
        assert {n.removeprefix("clusterlab-student/"): z.read(n) for n in z.namelist()} == {
            p.relative_to(course / "dist/student").as_posix(): p.read_bytes() for p in (course / "dist/student").rglob("*") if p.is_file()}
        assert {i.date_time for i in z.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_edition_that_cannot_be_made_leaves_the_old_one(course, monkeypatch, capsys):
    handout.edition("student", course, KNOWN)
    state = lambda: {p.relative_to(course): p.read_bytes() for p in (course / "dist").rglob("*") if p.is_file()}
    before = state()
    write(course, lesson(answer(SHAPE)), "02_second")
    with pytest.raises(EditionError, match=r"^nbs/02_second\.ipynb, cell 1 .*no check"): handout.edition("student", course, KNOWN)
    write(course, lesson(code("shape_seen = (1500, 7)")), "02_second")
    found = handout.edition("student", course, KNOWN)
    assert "nbs/02_second.ipynb, cell 1, source: the solution of shape_seen" in found[0] and "left as it was" in found[-1] and "(1500, 7)" not in "".join(found)
    (course / "nbs/02_second.ipynb").unlink()
    monkeypatch.setattr(handout, "zipped", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError): handout.edition("student", course, KNOWN)
    assert state() == before


def test_the_command_line(course, monkeypatch, capsys):
    monkeypatch.chdir(course)
    monkeypatch.setattr(handout, "_known", lambda known: KNOWN)
    assert [handout.main([c]) for c in ("student", "solutions", "scan")] == [0, 0, 0]
    assert "No solution found." in capsys.readouterr().out
    (course / "notes.txt").write_text("shape_seen = (1500, 7)", encoding="utf-8")
    assert handout.main(["scan", "notes.txt"]) == 1 and "notes.txt, text: the solution of shape_seen" in capsys.readouterr().err
    assert handout.main(["scan", "nowhere"]) == 1 and "nowhere: no such file" in capsys.readouterr().err
    assert handout.main(["scan", "dist/solutions.zip"]) == 1 and capsys.readouterr().err.count("the solution of") >= 3


# ---- what is malformed

BAD = {
    "BEGIN SOLUTION without END": [answer(DISTANCE.replace("    ### END SOLUTION", "")), check("root_distance")],
    "END SOLUTION without BEGIN": [answer(SHAPE.split("\n", 1)[1]), check("shape_seen")],
    "END SOLUTION before BEGIN": [answer("### END SOLUTION\nx = 1\n### BEGIN SOLUTION"), check("shape_seen")],
    "two solutions": [answer(SHAPE + "\n" + SHAPE), check("shape_seen")],
    "nothing in it": [answer("### BEGIN SOLUTION\n# later\n### END SOLUTION"), check("shape_seen")],
    "misspelt": [answer(SHAPE.replace("### END", "## end")), check("shape_seen")],
    "not the tag": [code(SHAPE), check("shape_seen")],
    "no solution between": [answer("shape_seen = 1"), check("shape_seen")],
    "no answer cell comes before": [check("shape_seen")],
    "no check follows": [answer(SHAPE)],
    "has no check": [answer(SHAPE), answer(DISTANCE), check("root_distance")],
    "does not know": [answer(SHAPE.replace("seen", "heard")), check("shape_heard")],
    "defines no such name": [answer(SHAPE), check("root_distance")],
    "cell of its own": [answer(SHAPE + "\ncheck.shape_seen(shape_seen)")],
    "is not code": [new_markdown_cell(SHAPE)],
    "neither at the top": [answer("def root_distance(x, X):\n    for p in X:\n        ### BEGIN SOLUTION\n        return p\n        ### END SOLUTION"), check("root_distance")],
    "middle of a statement": [answer("### BEGIN SOLUTION\nshape_seen = (1,\n### END SOLUTION\n2)"), check("shape_seen")],
    "does not define shape_seen": [answer("shape_seen = 1\n### BEGIN SOLUTION\nother = 2\n### END SOLUTION"), check("shape_seen")],
    "so does nbs/01_first": [answer(SHAPE), check("shape_seen")],
}


@pytest.mark.parametrize("why", BAD)
def test_what_is_malformed_is_said_with_notebook_and_cell(course, why):
    write(course, lesson(code("3 + 3"), *BAD[why]), "02_bad")
    with pytest.raises(EditionError, match=rf"^nbs/02_bad\.ipynb, cell [1-9].*{why}"): handout.answers(course, KNOWN)


# ---- 30 planted leaks

LINE = 'torch.einsum("ij,ij->i", dif, dif).sqrt()'
BODY = f"dif = X - x\nreturn {LINE}"
FULL = f"def root_distance(x, X):\n    dif = X - x\n    return {LINE}\n"


def png(text):
    "A picture with a compressed description."
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text.encode())) + \
        chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def b64(data): return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def cell(new, **metadata):
    "A way to plant a cell at the end of the first lesson."
    def plant(made):
        nb = read(made / "nbs/01_first.ipynb")
        nb.cells += new if isinstance(new, list) else [new]
        nb.metadata.update(metadata)
        nbformat.write(nb, made / "nbs/01_first.ipynb")
    return plant


def file(name, content):
    def plant(made):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return plant


def pyc(made):
    source = made / "planted.py"
    source.write_text("import torch\n" + FULL, encoding="utf-8")
    (made / "clusterlab/__pycache__").mkdir()
    py_compile.compile(str(source), cfile=str(made / "clusterlab/__pycache__/data.cpython-311.pyc"))
    source.unlink()


def stored(mime, value, **metadata): return cell(code("1 + 1", new_output("display_data", data={mime: value}, metadata=metadata)))


def attached(made):
    c = new_markdown_cell("![](a.png)")
    c["attachments"] = {"a.png": {"image/png": b64(png(BODY))}}
    cell(c)(made)


def put_back(made):
    nb = read(made / "nbs/01_first.ipynb")
    nb.cells[2].source = DISTANCE
    nbformat.write(nb, made / "nbs/01_first.ipynb")


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in files.items(): z.writestr(name, text)
    return buffer.getvalue()


PLANTS = {
    "the region put back": put_back,
    "a cell copied": cell(code(FULL)),
    "other white space, quotes, brackets and comments": cell(code("def f(x, X):\n  dif = (X-x)\n  return (torch.einsum( # so\n    'ij,ij->i',\n dif, dif,).sqrt( ))")),
    "one line of it, under another name": cell(code(f"def other(x, X):\n    dif = x - X\n    answer = {LINE}\n    return answer")),
    "commented out": cell(code("# dif = X - x\n# return torch.einsum('ij,ij->i',\n#                     dif, dif).sqrt()")),
    "a docstring": cell(code(f"def hint():\n    '''As follows:\n\n    >>> dif = X - x\n    >>> {LINE}\n    '''")),
    "a fenced block": cell(new_markdown_cell(f"So:\n\n```python\n{FULL}```")),
    "prose": cell(new_markdown_cell(f"Take `{LINE}` and be done.")),
    "a quoted list": cell(new_markdown_cell("> 1. dif = X - x\n> 2. return torch.einsum('ij,ij->i',\n>    dif, dif).sqrt()")),
    "spread over cells": cell([code("dif = X - x; out = torch.einsum("), code("'ij,ij->i', dif, dif).sqrt()")]),
    "a small function": cell(code("def doubled_up(x, times=2): return times*x")),
    "a lambda": cell(code("doubled_up = lambda x, times=2: times * x")),
    "a value": cell(code("shape_seen=( 1500,7 )")),
    "a value in the check": cell(code("check.shape_seen([1500, 7])")),
    "a value in a table": cell(new_markdown_cell("| exercise | answer |\n|---|---|\n| `shape_seen` | `(1500, 7)` |")),
    "printed": cell(code("1 + 1", said(FULL))),
    "printed in two pieces": cell(code("1 + 1", said("dif = X - x\ntorch.einsum('ij,"), new_output("stream", name="stderr", text="ij->i', dif, dif).sqrt()"))),
    "a traceback": cell(code("1 / 0", new_output("error", ename="E", evalue="", traceback=[f"\x1b[32m----> 2 \x1b[39m    return {LINE}"]))),
    "highlighted HTML": stored("text/html", "<pre><span>dif</span> = X <b>-</b> x<br>return torch.<i>einsum</i>(&quot;ij,ij-&gt;i&quot;, dif, dif).sqrt()</pre>"),
    "escaped twice in a script": stored("text/html", f"<script>let s = {json.dumps(json.dumps(BODY))}</script>"),
    "base64 in HTML": stored("text/html", f'<img src="data:text/plain;base64,{b64(BODY)}">'),
    "a picture's bytes": stored("image/png", b64(png(BODY))),
    "alt text": stored("image/png", b64(png("a dot")), **{"image/png": {"alt": f"the answer is {LINE}"}}),
    "a cell's metadata": cell(new_code_cell("1 + 1", metadata={"answer": {"was": BODY}})),
    "the notebook's metadata": cell([], solutions={"shape_seen": [1500, 7]}),
    "an attachment": attached,
    "a progress file": file("nbs/progress.json", json.dumps({"root_distance": {"state": "right", "answer": FULL}})),
    "the package": file("clusterlab/data.py", "import torch\n\n\n" + FULL),
    "a compiled file": pyc,
    "a stray compressed file": file("clusterlab/.cache/x.bin", zlib.compress(FULL.encode())),
    "a gzip in base64 in a string": cell(code(f"exec(open_({b64(gzip.compress(FULL.encode()))!r}))")),
    "hex digits": file("nbs/data.txt", FULL.encode().hex()),
    "UTF-16": file("notes.txt", FULL.encode("utf-16")),
    "a checkpoint": file("nbs/.ipynb_checkpoints/01-checkpoint.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": FULL.splitlines(True)}]})),
    "truncated JSON": file("nbs/02.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": FULL}]})[:-4]),
    "a file's name": file("shape_seen = (1500, 7).txt", ""),
    "a link": cell(new_markdown_cell(f"[see](https://play/?code={quote(BODY)})")),
    "invisible letters": cell(new_markdown_cell(BODY.replace("e", "e\u200b"))),
    "an archive in an archive": file("data.zip", zipped({"inner.zip": zipped({"a.txt": BODY})})),
    "entities in markdown": cell(new_markdown_cell(html.escape(LINE).replace("(", "&#40;"))),
}


def found(folder, answers): return {leak.name for leak in leaks.Scanner(answers).folder(folder)}


@pytest.fixture
def edition(course):
    handout.edition("student", course, KNOWN)
    return course / "dist/student", handout.answers(course, KNOWN)


def test_thirty_ways(): assert len(PLANTS) >= 30


@pytest.mark.parametrize("way", PLANTS)
def test_a_planted_leak_is_found_and_named_in_the_folder_and_in_the_zip(edition, way, tmp_path):
    made, answers = edition
    assert found(made, answers) == set()
    PLANTS[way](made)
    want = "shape_seen" if "value" in way or way in ("a file's name", "the notebook's metadata") else "doubled_up" if way in ("a small function", "a lambda") else "root_distance"
    assert found(made, answers) == {want}
    handout.zipped(made, tmp_path / ".student.zip")
    assert found(tmp_path / ".student.zip", answers) == {want}


CLEAN = {
    "the same words, another line": code("dif = X - x\nreturn_value = (dif * dif).sum(1).sqrt()"),
    "another value": code("shape_seen = (1500, 70)\nshape = (1500, 7)"),
    "a small line far from its name": code("def tripled(x, times=3): return times * x"),
    "a question": new_markdown_cell("Which is `shape_seen`, if `X` is (1500, 7)? `doubled_up` gives twice its argument."),
    "part of the line": code('torch.einsum("ij,ij->i", X, X)'),
}


@pytest.mark.parametrize("what", CLEAN)
def test_no_false_alarm(edition, what):
    made, answers = edition
    cell(CLEAN[what])(made)
    assert found(made, answers) == set()


def test_a_bug_hunt_shares_lines_with_the_function_to_mend_and_the_whole_still_counts(course):
    buggy = code("def broken(x, X):\n    dif = X - x\n    return torch.einsum('ij,ij->i', dif, dif).sqrt().exp().log().abs().neg()")
    write(course, lesson(buggy, answer(DISTANCE.replace(".sqrt()", ".sqrt()\n    # mended")), check("root_distance")))
    assert handout.edition("student", course, {"root_distance"})  # the whole stands in the cell above
    mended = DISTANCE.replace("dif).sqrt()", "dif).relu().sqrt()").replace("dif = X - x  # broadcast", "difference_of_all = torch.sub(X, x).contiguous()")
    given = code("def broken(x, X):\n    difference_of_all = torch.sub(X, x).contiguous()\n    return difference_of_all.sum(1)")
    write(course, lesson(given, answer(mended), check("root_distance")))
    assert handout.edition("student", course, {"root_distance"}) == []


def test_a_compiled_file_of_another_python_is_not_passed_over(edition):
    made, answers = edition
    file("clusterlab/x.pyc", b"\0" * 40)(made)
    assert "cannot be read" in str(leaks.Scanner(answers).folder(made)[0])


def test_the_report_gives_no_more_than_a_few_words(edition):
    made, answers = edition
    cell(code(FULL))(made)
    [leak] = leaks.Scanner(answers).folder(made)
    assert str(leak) == "nbs/01_first.ipynb, cell 8, source: the solution of root_distance (dif = X ...)"


# ---- the course itself

@pytest.fixture(scope="module")
def real(tmp_path_factory):
    root = tmp_path_factory.mktemp("real") / "course"
    root.mkdir()
    for name in "nbs", "clusterlab": shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in EXTRA: shutil.copy(ROOT / name, root)
    assert handout.edition("student", root) == []
    return root / "dist/student"


def test_the_course_has_a_student_edition(real):
    stems = {p.stem for p in (real / "nbs").rglob("*.ipynb")}
    assert {p.stem for p in (ROOT / "nbs").glob("*.ipynb")} <= stems and not stems & set(handout.LEFT_OUT) and not any(s.startswith("exercises_") for s in stems)
    assert not {p.stem for p in (real / "clusterlab").rglob("*.py")} & set(handout.LEFT_OUT)
    assert "SOLUTION" not in "".join(p.read_text(encoding="utf-8") for p in (real / "nbs").rglob("*.ipynb"))


def test_the_students_package_imports_alone(real):
    modules = ["clusterlab." + ".".join(p.relative_to(real / "clusterlab").with_suffix("").parts).removesuffix(".__init__") for p in (real / "clusterlab").rglob("*.py") if p.stem != "__init__"]
    done = subprocess.run([sys.executable, "-c", f"import clusterlab, importlib; print(clusterlab.__file__)\nfor m in {modules}: importlib.import_module(m)"],
                          cwd=real, env={"PYTHONPATH": str(real), "PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0 and str(real) in done.stdout, done.stderr


@pytest.mark.parametrize("name", ["00_data", "02_einsum"])
def test_a_student_notebook_runs_from_top_to_bottom(real, name, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(real))
    monkeypatch.chdir(real)
    nb = read(real / f"nbs/{name}.ipynb")
    run_cells(nb, real / "nbs")
    for c in nb.cells:
        if "check" in c.metadata.get("tags", []): assert "not answered yet" in "".join(o.get("text", "") for o in c.outputs)
