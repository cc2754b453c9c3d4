"The progress file: kept whole, set aside when damaged, shared by notebooks, never in the way."
import json
import os
import subprocess
import sys
import warnings

import pytest

from clusterlab import check
from clusterlab.progress import KINDS, ProgressTable, load, record, show_progress, summary


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setenv("CLUSTERLAB_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


def test_done_stays_done_and_mistakes_are_counted(mine):
    for state, missed in (("misconception", "root"), ("misconception", "root"), ("right", None), ("wrong", None), ("unanswered", None)): record("exercises", "a", "01", state, missed)
    entry = load()["exercises"]["a"]
    assert (entry["state"], entry["tries"], entry["missed"]) == ("right", 4, {"root": 2})
    assert list(mine.parent.iterdir()) == [mine]


def test_of_a_prediction_the_first_answer_counts(mine):
    for state in "wrong", "right": record("predictions", "p", "01", state)
    assert load()["predictions"]["p"]["state"] == "wrong"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"clusterlab": 1}', b'{"clusterlab": 1, "exercises": {"a": 3}, "predictions": {}}', b"[" * 100_000, b'{"theirs": 1}'])
def test_a_damaged_or_foreign_file_is_set_aside(mine, content):
    mine.write_bytes(content)
    for n in 1, 2:
        with pytest.warns(UserWarning, match=f"kept as progress.damaged-{n}.json"): record("exercises", "a", "01", "right")
        assert load()["exercises"]["a"]["state"] == "right" and mine.with_name(f"progress.damaged-{n}.json").read_bytes() == content
        mine.write_bytes(content)


@pytest.mark.parametrize("name", ["missing/progress.json", "folder"])
def test_what_cannot_be_written_is_said_once(mine, monkeypatch, name):
    (mine.parent / "folder").mkdir()
    monkeypatch.setenv("CLUSTERLAB_PROGRESS", str(mine.parent / name))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        record("exercises", "a", "01", "right")
    assert said and "was not kept" in str(said[-1].message) and not [p for p in mine.parent.rglob("*") if p.suffix in (".part", ".lock")]


def test_two_notebooks_lose_nothing(mine):
    script = "import sys; from clusterlab.progress import record\nfor i in range(25): record('exercises', f'{sys.argv[1]}{i}', '01', 'right')"
    both = [subprocess.Popen([sys.executable, "-c", script, name], env=os.environ) for name in "ab"]
    assert [p.wait(120) for p in both] == [0, 0]
    assert len(load()["exercises"]) == 50 and list(mine.parent.iterdir()) == [mine]


def test_a_lock_left_behind_is_broken(mine):
    lock = mine.with_name("progress.json.lock")
    lock.touch()
    os.utime(lock, (0, 0))
    record("exercises", "a", "01", "right")
    assert load()["exercises"] and not lock.exists()


def test_a_check_is_recorded_and_never_the_answer_and_nothing_under_test(mine, monkeypatch):
    @check.exercise("99_test", "predict")
    def t_value():
        "A number."
        return 4711
    try:
        monkeypatch.setenv("IN_TEST", "1")
        check.t_value(4711)
        assert not mine.exists()
        monkeypatch.delenv("IN_TEST")
        check.t_value(4711)
        assert load()["exercises"]["t_value"]["state"] == "right" and "4711" not in mine.read_text()
    finally: del check._registry["t_value"]


def test_what_it_shows(mine, capsys):
    record("exercises", "a", "01_x", "misconception", "<root>")
    rows = summary(load(), {"01_x": (3, 2), "02_y": (1, 0)})
    assert [(r["lesson"], r["done"], r["tried"], r["exercises"]) for r in rows] == [("01_x", 0, 1, 3), ("02_y", 0, 0, 1)]
    assert "&lt;root&gt;" in ProgressTable(rows)._repr_html_() and "<root>" in repr(ProgressTable(rows))
    show_progress(totals={"01_x": (3, 2)})
    assert json.loads(mine.read_text())["clusterlab"] == 1 and set(KINDS) <= set(load())
