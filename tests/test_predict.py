"Predictions: no answer before the commit, feedback after it, a page without a kernel, silence under test."
import sys
from html.parser import HTMLParser

import pytest

from clusterlab import predict as module
from clusterlab.predict import eval_number, folded_html, predict, prediction
from clusterlab.progress import load


@pytest.fixture(autouse=True)
def questions(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_registry", {})
    monkeypatch.setenv("CLUSTERLAB_PROGRESS", str(tmp_path / "mine.json"))
    prediction("01_x", "t_choice", "Is a < b & c?", {"<b>": "No & no.", "c": "It is."}, "c")
    prediction("01_x", "t_number", "How many?", {8.0: "Eight it is.", 10.0: "The name says so."}, 8.0, other="Count.")


def live(name, monkeypatch):
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    monkeypatch.delenv("IN_TEST", raising=False)
    return predict(name)


def test_the_folded_page_is_sound_and_escaped():
    open_tags = []
    class Sound(HTMLParser):
        def handle_starttag(self, tag, attrs): open_tags.append(tag)
        def handle_endtag(self, tag): assert open_tags.pop() == tag
    for name in "t_choice", "t_number":
        page = folded_html(predict(name).prediction)
        Sound().feed(page)
        assert not open_tags and "<details open" not in page and page.count("<summary") >= 2
    assert "&lt;b&gt;" in folded_html(predict("t_choice").prediction) and "a &lt; b &amp; c" in folded_html(predict("t_choice").prediction)


def test_quiet_under_test(monkeypatch):
    monkeypatch.setenv("IN_TEST", "1")
    assert set(predict("t_choice")._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_the_live_view_and_the_page_come_together(monkeypatch):
    bundle = live("t_choice", monkeypatch)._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= set(bundle) and "It is" not in bundle["text/plain"]


def test_a_commit_is_answered_and_recorded(monkeypatch):
    box = live("t_choice", monkeypatch).box
    assert box.said.value == "" and load()["predictions"] == {}
    choices = [button.description for button in box.fields]
    box.fields[choices.index("<b>")].click()
    assert "No &amp; no." in box.said.value
    box.fields[choices.index("c")].click()
    assert "Right. It is." in box.said.value and load()["predictions"]["t_choice"]["state"] == "wrong"


def test_the_same_answer_twice_is_one_try(monkeypatch):
    box = live("t_choice", monkeypatch).box
    for _ in range(2): box.fields[0].click()
    first = load()["predictions"]["t_choice"]
    box.fields[1].click()
    assert load()["predictions"]["t_choice"] != first and 1 in first.values() and 2 not in first.values()


def test_a_number_by_return(monkeypatch):
    box = live("t_number", monkeypatch).box
    for text, said in (("eight", "Type a number"), ("8.05", "Eight it is."), ("20/2", "The name says so."), ("7", "Count.")):
        box.fields[0].value = text
        assert said in box.said.value
    assert load()["predictions"]["t_number"]["state"] == "right"


def test_without_ipywidgets_the_page_is_shown(monkeypatch):
    monkeypatch.delenv("IN_TEST", raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert set(predict("t_choice")._repr_mimebundle_()) == {"text/plain", "text/html"}


@pytest.mark.parametrize("text", ["", "x", "1/0", "1/2/3", "%"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError): eval_number(text)


def test_what_is_refused():
    with pytest.raises(ValueError, match="right: got 'd'"): prediction("01_x", "t", "?", {"a": "", "b": ""}, "d")
    with pytest.raises(TypeError, match="all text"): prediction("01_x", "t", "?", {"a": "", 1: ""}, "a")
    with pytest.raises(ValueError, match="2 to 4"): prediction("01_x", "t", "?", {"a": ""}, "a")
    with pytest.raises(ValueError, match="t_choice"): predict("t_choise")
