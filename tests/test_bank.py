"Every exercise against the answers in tests/bank: the right ones pass, the wrong ones do not and are told their mistake by name; each exercise and prediction stands in its lesson once."
import ast
import importlib.util
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from clusterlab.check import KINDS, exercises, judge
from clusterlab.predict import predictions

ROOT = Path(__file__).parents[1]
BANK = Path(__file__).parent / "bank"
SEEDS = 0, 1, 2
LESSONS = sorted(p.stem for p in (ROOT / "nbs").glob("[0-9]*.ipynb"))


def answers(lesson):
    "RIGHT and WRONG of a lesson's bank, by the name of the exercise."
    path = BANK / f"{lesson}.py"
    if not path.exists(): return {}, {}
    spec = importlib.util.spec_from_file_location(f"bank_{lesson}", path)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module.RIGHT, module.WRONG


def of(lesson, content): return {name: c for name, c in content().items() if c.lesson == lesson}


def told(name, answer, failures):
    "The verdicts for each seed, none without such an exercise (the first test says so); an engine that raises is a failure too."
    if name not in exercises(): return []
    try: return [judge(name, answer, seed=seed) for seed in SEEDS]
    except Exception as e:
        failures.append(f"{name}: judge raised {type(e).__name__}: {e}")
        return []


def fail_with(failures): assert not failures, "\n" + "\n".join(failures)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_bank_is_full(lesson):
    right, wrong = answers(lesson)
    names = set(of(lesson, exercises))
    failures = [f"{n}: has no exercise" for n in sorted({*right, *wrong} - names)]
    failures += [f"{n}: {len(right.get(n, []))} right answers, wanted 3 or more" for n in sorted(names) if len(right.get(n, [])) < 3]
    failures += [f"{n}: {len(wrong.get(n, []))} wrong answers, wanted 5 or more" for n in sorted(names) if len(wrong.get(n, [])) < 5]
    fail_with(failures)


@pytest.mark.parametrize("lesson", LESSONS)
def test_right_answers_are_accepted(lesson):
    failures = []
    for name, right in answers(lesson)[0].items():
        for i, answer in enumerate(right):
            failures += [f"RIGHT[{name!r}][{i}], seed {seed}: {v.text}" for seed, v in zip(SEEDS, told(name, answer, failures)) if v.state != "right"][:1]
    fail_with(failures)


@pytest.mark.parametrize("lesson", LESSONS)
def test_wrong_answers_are_rejected_and_named(lesson):
    failures, misnamed, named = [], [], 0
    for name, wrong in answers(lesson)[1].items():
        for i, (answer, mistake) in enumerate(wrong):
            verdicts = told(name, answer, failures)
            failures += [f"WRONG[{name!r}][{i}], seed {seed}: {v.state}" for seed, v in zip(SEEDS, verdicts) if v.state in ("right", "unanswered")][:1]
            if mistake is None: continue
            named += 1
            misnamed += [f"WRONG[{name!r}][{i}], seed {seed}: wanted {mistake!r}, told {v.misconception!r}: {v.text}" for seed, v in zip(SEEDS, verdicts) if v.misconception != mistake][:1]
    fail_with(failures + (misnamed if len(misnamed) > 0.05 * named else []))


def test_at_most_one_wrong_answer_in_ten_has_no_name():
    mistakes = [mistake for lesson in LESSONS for wrong in answers(lesson)[1].values() for _, mistake in wrong]
    assert mistakes.count(None) <= 0.1 * len(mistakes), f"{mistakes.count(None)} of {len(mistakes)}"


def test_sixty_exercises_of_five_kinds():
    kinds = Counter(e.kind for e in exercises().values())
    assert kinds.total() >= 60 and set(kinds) == set(KINDS), kinds


def code_cells(lesson):
    nb = json.loads((ROOT / "nbs" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
    return [("".join(c["source"]), c["metadata"].get("tags", [])) for c in nb["cells"] if c["cell_type"] == "code"]


def uses(cells, pattern): return Counter(m[1] for source, _ in cells if (m := re.fullmatch(pattern, source.strip())))


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_exercise_and_prediction_stands_in_its_lesson_once(lesson):
    cells = code_cells(lesson)
    checked, asked = uses(cells, r"check\.(\w+)\((?:\w+)\)"), uses(cells, r'predict\("(\w+)"\)')
    failures = [f"{lesson}: {call} stands {found[name]} times, wanted once" for found, content, text in ((checked, exercises, "check.{0}({0})"), (asked, predictions, 'predict("{0}")'))
                for name in sorted({*found, *of(lesson, content)}) for call in [text.format(name)] if found[name] != 1 or name not in of(lesson, content)]
    answered = Counter(name for source, tags in cells if "exercise" in tags for name in defined(source))
    failures += [f"{lesson}: {n} has {answered[n]} answer cells, wanted one" for n in sorted(of(lesson, exercises)) if answered[n] != 1]
    fail_with(failures)


def defined(source):
    "Names of functions and variables that a cell makes at its top level."
    tree = ast.parse(source).body
    return {n.name for n in tree if isinstance(n, ast.FunctionDef)} | {t.id for n in tree if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_prediction_for_every_eight_code_cells(lesson):
    cells = code_cells(lesson)
    asked = uses(cells, r'predict\("(\w+)"\)').total()
    plain = sum("exercise" not in tags and not re.fullmatch(r'(check\.\w+\(\w+\)|predict\("\w+"\))', source.strip()) for source, tags in cells)
    assert asked >= plain // 8, f"{lesson}: {asked} predictions for {plain} code cells, wanted {plain // 8}"
