"Grading: a pile of damaged notebooks is graded or explained, and what someone else's code does stays in its folder."
import csv
import json
import os
import re
import sys
from pathlib import Path
from unittest.mock import patch

import damage
import pytest
from clusterlab import feedback, grading, sandbox
from clusterlab.submissions import Unreadable, plan, read_cells

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the fences of Linux's kernel")


@pytest.fixture(scope="module", autouse=True)
def own_environment():
    "What grading sets for its processes ends with these tests."
    with patch.dict(os.environ): yield


@pytest.fixture(scope="module")
def small():
    damage.register()
    return {n: e for n, e in grading._prepare().items() if e[0] == "99_small"}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    "One of each family of damage, graded; CLUSTERLAB_DAMAGE=300 for as many."
    folder = tmp_path_factory.mktemp("grading")
    expected = damage.make(folder, int(os.environ.get("CLUSTERLAB_DAMAGE", len(damage.FAMILIES))), seed=0)
    return folder, expected, grading.grade(folder / "pile", folder / "grades", seed=5, seconds=5, root=folder / "root", quiet=True)


def one(small, tmp_path, *sources, **options):
    "The verdicts on a notebook with the small lesson's cells, some of them replaced: name -> its answer's source."
    path = tmp_path / "99_small.ipynb"
    path.write_text(json.dumps({"cells": [damage.code(s) for s in ("import torch\nimport math\nimport os\nscale = 2.0\ndata = torch.ones(3, 2)", *sources)]}), encoding="utf-8")
    return grading.grade_notebook(str(path), small, 7, **{"seconds": 2, **options})["exercises"]


def answer(body): return "def small_mean(t):\n    " + body.replace("\n", "\n    ")


def rows(path): return list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))


def test_each_damage_has_the_verdict_it_deserves(graded):
    assert not damage.surprises(graded[1], graded[2])


def test_nothing_outside_was_deleted(graded): assert (graded[0] / "canary/file").read_text() == "whole"


def test_every_student_has_a_row_and_a_page(graded):
    folder, expected, _ = graded
    table = rows(folder / "grades/grades.csv")
    assert len(table) == 1 + len(expected) and all(len(row) == len(table[0]) and row[-1] == "5" for row in table[1:])
    pages = [(folder / "grades" / row[-3]).read_text(encoding="utf-8") for row in table[1:]]
    assert all("<h1>" in p and not re.search(r"<(script|link|img|iframe|a)\b", p) for p in pages)


def test_a_seed_repeats_a_grading_and_what_is_expected_can_be_missed(graded):
    folder, expected, grades = graded
    again = damage.make(folder / "again", 3, seed=0, root=folder / "root")
    assert all((folder / "pile" / f).read_bytes() == (folder / "again/pile" / f).read_bytes() for f in again if "deletes" not in f)
    worse = {f: ({"exercises": {n: {**e, "state": "right"} for n, e in r["exercises"].items()}} if "exercises" in r else r) for f, r in grades.items()}
    assert len(damage.surprises(expected, worse)) > 10


@pytest.mark.parametrize("body", ["return t.double().mean()", "return sum(t.tolist()) / len(t)", "return t.numpy().sum() / t.numel()", "return [t.mean()][0].item()", "return helper(t) if False else torch.einsum('i->', t) / t.shape[0]"])
def test_right_answers_of_any_form(small, tmp_path, body): assert one(small, tmp_path, answer(body))["small_mean"]["state"] == "right"


def test_a_lambda_and_an_alias(small, tmp_path):
    assert one(small, tmp_path, "mine = lambda t: t.mean()\nsmall_mean = mine")["small_mean"]["state"] == "right"


def test_the_name_of_a_misconception_is_told(small, tmp_path):
    found = one(small, tmp_path, "def small_distance(x, X): return ((X - x) ** 2).sum(1)")["small_distance"]
    assert found["state"] == "misconception" and found["misconception"] == "root forgotten"


@pytest.mark.parametrize("value, state", [("(3, 1, 2)", "right"), ("data[:, None].shape", "right"), ("torch.Size([3, 1, 2])", "right"), ("(3, 2)", "wrong"), ("...", "unanswered")])
def test_values(small, tmp_path, value, state): assert one(small, tmp_path, f"small_shape = {value}")["small_shape"]["state"] == state


def test_only_what_an_answer_needs_is_run(small, tmp_path):
    found = one(small, tmp_path, "while True: pass", "open('seen', 'w')", "parts = []", "parts.append(3); parts += [1]", "parts[0] = 3", "parts.append(2)", "exit()", "small_shape = tuple(parts)")
    assert found["small_shape"]["state"] == "right"


def test_a_cell_above_what_it_needs_runs_later_and_in_its_order(small, tmp_path):
    found = one(small, tmp_path, "parts = [3]\nfor n in below: parts.append(n)\nsmall_shape = tuple(parts)", "below = 1, 2")
    assert found["small_shape"]["state"] == "right"


def test_a_step_that_ends_the_run_stops_only_what_needs_it(small, tmp_path):
    found = one(small, tmp_path, "k = os._exit(3)", answer("return t.mean() + 0 * k"), "small_shape = (3, 1, 2)", "def small_distance(x, X): return k")
    assert {n: e["state"] for n, e in found.items()} == {"small_mean": "error", "small_shape": "right", "small_distance": "error"}
    assert any("cell 2, line 1" in e["text"].lower() and "exit code 3" in e["text"] for e in found.values())


def test_hidden_inputs_and_the_message_of_an_exception_stay_hidden(small, tmp_path):
    text = one(small, tmp_path, answer("raise ValueError('inputs', t.tolist())"))["small_mean"]["text"]
    assert "ValueError" in text and "tensor" not in text and not re.search(r"\d\.\d", text)


def test_a_line_that_loops_is_told(small, tmp_path):
    assert re.search("cell 2, line [34]", one(small, tmp_path, answer("i = 0\nwhile i < 3:\n    i -= 1"), seconds=1)["small_mean"]["text"])


def test_a_changed_judge_grades_nothing(small, tmp_path):
    for body in "import gc\nreturn gc.get_objects()", "from clusterlab import check\nreturn check.exercises()['small_mean'].spec(t)", "import builtins\nbuiltins.abs = lambda x: 0\nreturn t.mean()", "from clusterlab import compare\ncompare.plain = lambda v: 0\nreturn t.mean()":
        assert one(small, tmp_path, answer(body))["small_mean"]["state"] == "error"


def test_others_submissions_cannot_be_read(small, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x.ipynb").write_text("secret")
    assert one(small, tmp_path, answer(f"return len(open({str(tmp_path / 'other/x.ipynb')!r}).read()) * 0 + t.mean()"), closed=(str(tmp_path),))["small_mean"]["state"] == "error"


@linux
def test_the_kernel_refuses_where_the_hook_does_not_look(tmp_path):
    import ctypes
    if ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) < 1: pytest.skip("this kernel has no Landlock")
    (tmp_path / "file").write_text("whole")
    def attempt(send, path):
        def tried(f, *args):
            try: return f(*args) and "done"
            except OSError as e: return type(e).__name__
        import _posixsubprocess, _socket
        ctypes.CDLL(None, use_errno=True).unlink(str(path).encode())
        send({"socket": tried(_socket.socket, 2, 1), "unlink": tried(os.unlink, path), "fork": tried(os.fork)})
    keep = sandbox._fence
    sandbox._fence = lambda *a: None
    try: said, how = sandbox.run(attempt, str(tmp_path / "file"), seconds=3)
    finally: sandbox._fence = keep
    assert said == [{"socket": "PermissionError", "unlink": "PermissionError", "fork": "PermissionError"}] and not how
    assert (tmp_path / "file").read_text() == "whole"


@linux
def test_memory_is_limited(): assert "MemoryError" in sandbox.run(hungry, seconds=5, memory=1 << 28)[0][-1]["error"]


def hungry(send): return bytearray(1 << 29)


def test_a_full_disk_is_prevented():
    def fills(send):
        for i in range(10**6): Path(f"{i}").write_bytes(b"1" * (1 << 23))
    assert "folder" in sandbox.run(fills, seconds=8, disk=1 << 24)[1]


def test_what_can_be_no_notebook_is_explained(tmp_path):
    for raw in b"", b"\xff\xfe", b"{", b"[]", b"null", b'{"cells": 3}', b'{"cells": [3, {"source": [4]}]}', b'{"worksheets": [3]}', b"[" * 100_000:
        (tmp_path / "a.ipynb").write_bytes(raw)
        with pytest.raises(Unreadable): read_cells(tmp_path / "a.ipynb")


def test_no_exercise_is_explained(tmp_path, small):
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [damage.code("x = 1")]}))
    with pytest.raises(Unreadable, match="no exercise"): plan(str(tmp_path / "a.ipynb"), small)


def test_tables_and_pages_take_no_orders(tmp_path):
    evil = {"lesson": "99", "notes": ["=1+1"], "exercises": {"a": {"state": "wrong", "text": "@SUM(1)\n<script>alert(1)</script>", "notes": ["<b>"]}}}
    names = ["=cmd|' /C calc'!A0", "../../up", "<img src=x>", "CON", "con"]
    feedback.write(tmp_path / "out", {n: [("-1.ipynb", evil)] for n in names}, {"a": ("99", False)}, 1)
    table = rows(tmp_path / "out/grades.csv") + rows(tmp_path / "out/details.csv")
    assert not any(field[:1] in set("=+-@") and field for row in table for field in row)
    files = list((tmp_path / "out/feedback").iterdir())
    assert len({f.name.lower() for f in files}) == 5 and not any("<script>" in f.read_text() or "<img" in f.read_text() or "<b>" in f.read_text() for f in files)


def test_earlier_grades_stay_until_the_new_are_whole(tmp_path, monkeypatch):
    results, exercises = {"ann": [("a.ipynb", {"unreadable": "no"})]}, {"a": ("99", False)}
    feedback.write(tmp_path / "out", results, exercises, 1)
    with monkeypatch.context() as m:
        m.setattr(feedback, "page", lambda *a: 1 / 0)
        with pytest.raises(ZeroDivisionError): feedback.write(tmp_path / "out", results, exercises, 2)
    assert rows(tmp_path / "out/grades.csv")[1][-1] == "1" and [p.name for p in tmp_path.iterdir()] == ["out"]
    feedback.write(tmp_path / "out", results, exercises, 2)
    assert rows(tmp_path / "out/grades.csv")[1][-1] == "2" and [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError): feedback.write(tmp_path, {}, {}, 1)


def test_the_pile(tmp_path):
    for name in "ann/a.ipynb", "ann/deep/b.ipynb", "bob.ipynb", "ann/.ipynb_checkpoints/a.ipynb", "notes.txt":
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    students, ignored = feedback.collect(tmp_path)
    assert {s: len(p) for s, p in students.items()} == {"ann": 2, "bob": 1} and [p.name for p in ignored] == ["notes.txt"]
    with pytest.raises(NotADirectoryError): feedback.collect(tmp_path / "bob.ipynb")


def test_the_better_of_two_answers_counts():
    assert feedback.merge([("a", {"exercises": {"x": {"state": "right"}}}), ("b", {"exercises": {"x": {"state": "wrong"}}})])["x"]["file"] == "a"


def test_the_command(tmp_path, capsys):
    (tmp_path / "pile").mkdir()
    (tmp_path / "pile/ann.ipynb").write_text("{")
    assert grading.main([str(tmp_path / "pile"), "--out", str(tmp_path / "out"), "--seed", "9"]) == 0
    assert "1 explained" in capsys.readouterr().out and rows(tmp_path / "out/grades.csv")[1][-1] == "9"
    assert grading.main([str(tmp_path / "nowhere")]) == 1 and "wanted a folder" in capsys.readouterr().err
