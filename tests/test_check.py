"The engine: what it tells an answer, and that it never tells the solution."
import math
import warnings

import numpy as np
import pytest
import torch

from clusterlab import check
from clusterlab.check import exercise, exercises, judge


@pytest.fixture(scope="module", autouse=True)
def distance():
    @exercise("99_test", "no loop", loops=False, calls=("einsum|norm",), forbids=("cdist", "@"))
    def t_distance(x, X):
        "The distances (n,)."
        return [math.dist(x, row) for row in X.tolist()]

    @t_distance.inputs
    def _(g):
        yield torch.zeros(2), torch.ones(1, 2)
        for n in 1, 3, 5, 20: yield torch.randn(2, generator=g), torch.randn(n, 2, generator=g)

    @t_distance.wrong("root forgotten", "The root is outside.")
    def _(x, X): return [math.dist(x, row) ** 2 for row in X.tolist()]

    @t_distance.wrong("first row only", "All rows are wanted.")
    def _(x, X): raise IndexError

    @exercise("99_test", "measure", tol=0.05)
    def t_measured():
        "Seconds, and why."
        return 0.001, "copy"

    @t_measured.wrong("milliseconds", "A thousandth.")
    def _(): return 1.0, "copy"

    yield t_distance
    for name in [n for n, e in check._registry.items() if e.lesson == "99_test"]: del check._registry[name]


def norm(x, X): return (X - x).norm(dim=1)
def helper_loop(x, X): return torch.stack([(row - x).norm() for row in X])
def by_helper(x, X): return helper_loop(x, X)
def itself(x, X): return (X - x).norm(dim=1) if len(X) < 2 else torch.cat([itself(x, X[:1]), itself(x, X[1:])])
def fails(x, X):
    wide = torch.cat([X, X], 1)
    return (wide - x).norm(dim=1)


def test_any_style_dtype_and_type_is_right():
    styles = [norm, lambda x, X: (X - x).norm(dim=1).tolist(), lambda x, X: np.asarray((X - x).norm(dim=1)), lambda x, X: (X.double() - x).norm(dim=1), lambda x, X: tuple((X - x).norm(dim=1)), lambda x, X: (X - x).requires_grad_().norm(dim=1)]
    for f in styles:
        for _ in range(3): assert judge("t_distance", f).text == "t_distance: right, on 5 inputs."


def test_half_precision_is_right_to_its_own_tolerance():
    assert judge("t_distance", lambda x, X: (X - x).norm(dim=1).half()).state in ("right", "wrong")
    assert judge("t_measured", torch.tensor(0.001)).state == "wrong"


@pytest.mark.parametrize("f, state, told", [
    (lambda x, X: (X - x).norm(dim=1) ** 2, "misconception", "root forgotten"), (lambda x, X: X[99], "misconception", "first row only"),
    (helper_loop, "rule", "a loop"), (by_helper, "rule", "a loop"), (itself, "rule", "a loop"), (lambda x, X: (X - x).square().sum(1).sqrt(), "rule", "the call is missing"),
    (lambda x, X: torch.cdist(x[None], X)[0] + 0 * torch.norm(x), "rule", "a forbidden word"), (lambda x, X: norm(x, X) + 0 * (X @ x), "rule", "a forbidden word"),
    (lambda x, X: None, "misconception", "nothing returned"), (lambda x, X: torch.ones(1), "misconception", "hard-coded"), (lambda x, X: X.sub_(x).norm(dim=1), "misconception", "changed argument"),
    (lambda x, X: (X - x).norm(dim=1) + 7, "wrong", None), (lambda x: x, "error", None), (..., "unanswered", None), (torch.zeros(3), "wrong", None)])
def test_what_it_is_told(f, state, told):
    verdict = judge("t_distance", f)
    assert (verdict.state, verdict.misconception) == (state, told), verdict.text


def test_an_error_is_one_line_and_the_learners_own():
    text = judge("t_distance", fails).text
    assert "RuntimeError: The size of tensor a" in text and "return (wide - x).norm(dim=1)" in text and "Traceback" not in text and len(text.splitlines()) < 8


def test_shapes_come_first():
    assert "got shape (1, 1), wanted shape (1,)" in judge("t_distance", lambda x, X: (X - x).norm(dim=1, keepdim=True)).text


def test_the_smallest_input_is_shown_and_in_grading_none():
    wrong = lambda x, X: (X - x).norm(dim=1) + 7
    assert "X = shape (1, 2)" in judge("t_distance", wrong, seed=3).text and "got" in judge("t_distance", wrong).text
    hidden = judge("t_distance", wrong, hidden=True).text
    assert "got" not in hidden and "shape" not in hidden and "[" not in hidden
    def tells(x, X): raise ValueError(f"{X.tolist()}")
    assert "[" not in judge("t_distance", tells, hidden=True).text.replace("[{X", "").split("in your line")[0]


def test_a_stub_is_not_answered_and_torchs_own_error_is_one():
    def stub(x, X):
        "The docstring."
        raise NotImplementedError("t_distance: one norm")
    assert judge("t_distance", stub).text == "t_distance: not answered yet. To write: one norm."
    def still(x, X): ...
    assert judge("t_distance", still).state == "unanswered"
    def torchs(x, X): return torch.zeros(2, dtype=torch.int64).to_sparse().logdet()
    assert judge("t_distance", torchs).state != "unanswered"


def test_exit_is_an_error_and_an_interrupt_goes_through():
    assert judge("t_distance", lambda x, X: exit()).state == "error"
    def stop(x, X): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): judge("t_distance", stop)


def test_a_source_that_cannot_be_read_is_said():
    space = {}
    exec("def f(x, X): return (X - x).norm(dim=1)", space)
    verdict = judge("t_distance", space["f"])
    assert verdict.state == "rule" and "source cannot be read" in verdict.text


def test_a_value_is_never_told():
    assert judge("t_measured", (0.00102, " Copy")).state == "right"
    assert judge("t_measured", (1.0, "copy")).misconception == "milliseconds"
    text = judge("t_measured", (0.5, "copy")).text
    assert "first part" in text and "0.001" not in text
    assert judge("t_measured", (0.0, "copy")).state == "wrong" and judge("t_measured", (..., "copy")).state == "unanswered"


def test_inputs_are_fresh_and_a_seed_holds_them():
    seen = []
    def look(x, X): seen.append(X.sum().item()); return (X - x).norm(dim=1)
    for seed in None, None, 5, 5: judge("t_distance", look, seed=seed)
    a, b, c, d = (seen[i:i + 5] for i in (0, 5, 10, 15))
    assert a != b and c == d


def test_the_random_state_does_not_move():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    judge("t_distance", lambda x, X: torch.rand(len(X)))
    assert torch.equal(before, torch.get_rng_state())


def test_the_module_asks(capsys):
    check.t_distance(norm)
    assert capsys.readouterr().out == "t_distance: right, on 5 inputs.\n"
    assert check.t_distance.__doc__ == "The distances (n,)." and "t_distance" in dir(check)
    with pytest.raises(AttributeError, match="t_distance"): check.t_distanse
    with pytest.raises(ValueError, match="t_distance"): judge("t_distanse", norm)


def test_every_module_of_exercises_loads():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(exercises()) == sorted(exercises(), key=lambda n: exercises()[n].lesson)


class Hostile:
    "An object that objects to being looked at."
    def no(self, *args, **kwargs): raise RuntimeError("no")
    __eq__ = __ne__ = __len__ = __bool__ = __iter__ = __array__ = __repr__ = __float__ = no
    __hash__ = object.__hash__


class HostileName(Hostile):
    __name__ = property(Hostile.no)


class HostileKind(Hostile):
    __class__ = property(Hostile.no)


class HostileTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *args, **kwargs): raise RuntimeError("no")


class HostileError(Exception):
    def __str__(self): raise RuntimeError("no")
    __bool__ = __len__ = __str__


class Exits:
    @property
    def __class__(self): raise SystemExit


def endless():
    own = []
    own.append(own)
    return own


def of_objects():
    a = np.empty(1, object)
    a[0] = Hostile()
    return a


HOSTILE = [lambda: torch.ones(3, device="meta"), lambda: [torch.ones(3, device="meta")], Hostile, HostileName, HostileKind, Exits, lambda: [Hostile()], lambda: {Hostile(): 1}, lambda: {1: Hostile()}, lambda: {Hostile()}, lambda: {1j, 2j}, lambda: iter([Hostile()]),
           lambda: torch.ones(3).as_subclass(HostileTensor), of_objects, lambda: HostileError(), endless, lambda: (1 / x for x in [1, 0]), lambda: torch.nn.Module(), lambda: object, lambda: 10**400, lambda: 1j, lambda: b"\xff", lambda: memoryview(b"x")]


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("make", HOSTILE)
def test_whatever_an_answer_returns_is_a_verdict(make, hidden):
    for name, answer in ("t_distance", lambda x, X: make()), ("t_distance", lambda x, X: [make()] * len(X)), ("t_distance", make), ("t_measured", None), ("t_measured", (0.001, None)):
        if name == "t_measured": answer = make() if answer is None else (0.001, make())
        verdict = judge(name, answer, hidden=hidden)
        assert verdict.state in ("wrong", "error", "misconception") and verdict.text.startswith(f"{name}: not yet")
    def leaves(x, X):
        x.data = torch.ones(2, device="meta")
        return (X - X).norm(dim=1)
    def raises(x, X): raise HostileError
    for answer in leaves, raises: assert judge("t_distance", answer, hidden=hidden).state == "error"


def test_what_cannot_be_read_says_so():
    text = judge("t_distance", lambda x, X: torch.ones(3, device="meta"), seed=0).text
    assert "What it returns cannot be read as numbers (NotImplementedError: Cannot copy out of meta tensor" in text
    assert judge("t_distance", lambda x, X: torch.ones(3, device="meta"), hidden=True).text == "t_distance: not yet. What it returns cannot be read as numbers."


@pytest.fixture
def spoken():
    @exercise("99_test", "complete")
    def t_spoken(n):
        "Any even number."
        return 2

    @t_spoken.inputs
    def _(g):
        for n in range(4): yield (n,)

    @t_spoken.wrong("odd", "An even number is wanted.")
    def _(n): return 10_001

    @t_spoken.same
    def _(got, want, n): return "odd" if got > 9999 else True if got % 2 == 0 else f"{got:.0f} is no such number, for n = {n}"


def test_an_exercises_own_sentence_is_not_said_in_grading(spoken):
    wrong = lambda n: 2 * n + 1
    assert "is no such number, for n = 0" in judge("t_spoken", wrong).text
    assert judge("t_spoken", wrong, hidden=True).text == "t_spoken: not yet, on 4 of 4 inputs." and judge("t_spoken", wrong, hidden=True).state == "wrong"
    assert judge("t_spoken", lambda n: 20_001, hidden=True).text == "t_spoken: not yet. It looks like this: odd.\n  An even number is wanted."


def test_grading_gives_nothing_of_the_inputs_and_the_wanted_away():
    def shape(x, X): return (X - x).norm(dim=1, keepdim=True)
    def message(x, X): raise ValueError(f"{X.tolist()} 4711")
    def stub(x, X): raise NotImplementedError("t_distance: " + str(X.tolist()) + "4711")
    def kind(x, X): raise type(f"T{len(X)}4711", (LookupError,), {"__module__": "builtins"})
    def unreadable(x, X): return iter(map(message, [x], [X]))
    for f, told in (shape, "not yet, on 5 of 5 inputs."), (stub, "not answered yet."), (unreadable, "not yet. What it returns cannot be read as numbers."): assert judge("t_distance", f, hidden=True).text == f"t_distance: {told}"
    for f, told in (message, "ValueError"), (kind, "LookupError"):
        first, second = judge("t_distance", f, hidden=True).text.splitlines()
        assert first == f"t_distance: not yet. It stops with {told}" and second.startswith("  in your line ")
    assert all("4711" in judge("t_distance", f).text for f in (message, stub, kind, unreadable))
    texts = [judge("t_measured", value, hidden=True).text for value in (0.5, (0.5, "copy"), (0.001, "view"), (1, 2, 3))]
    assert texts == [f"t_measured: not yet. It is not {words}." for words in ("0.5", "(0.5; 'copy')", "(0.001; 'view')", "shape (3,): [1, 2, 3]")]
