"""Damaged submissions, made from the instructor's lessons by a seed, each with what a grading must say of it.

python tests/damage.py DIR [--n 300] [--seed 0]
"""
import argparse
import json
import random
import re
from pathlib import Path

ANY, BAD, ROOT = "any", "bad", Path(__file__).resolve().parents[1]     # any verdict; any verdict but right
SMALL = """import torch
%%
import math
scale = 2.0
data = torch.arange(6.).reshape(3, 2)
%%
def helper(t):
    return t * scale
%% small_distance
def small_distance(x, X):
    "The distances (n,) of one point x (d,) to all points X (n, d)."
    dif = X - x
    square = (dif * dif).sum(1)
    return square.sqrt()
%%
history = []
for i in range(4): history.append(helper(data) + i)
%% small_mean
def small_mean(t):
    "The mean of t (n,)."
    return helper(t).mean() / scale
%% small_shape
small_shape = tuple(history[0][:, None].shape)"""


def register():
    "Three exercises of a small lesson, so that the tests do not wait for the course's."
    import torch
    from clusterlab.check import exercise
    @exercise("99_small", "complete")
    def small_distance(x, X):
        "Distances."
        return [sum((a - b) ** 2 for a, b in zip(x.tolist(), row)) ** .5 for row in X.tolist()]
    @small_distance.inputs
    def _(g):
        for n, d in (1, 1), (3, 2), (5, 3), (20, 2): yield torch.randn(d, generator=g), torch.randn(n, d, generator=g)
    @small_distance.wrong("root forgotten", "The root is taken after the sum.")
    def _(x, X): return [sum((a - b) ** 2 for a, b in zip(x.tolist(), row)) for row in X.tolist()]
    @exercise("99_small", "bug")
    def small_mean(t):
        "Mean."
        return sum(t.tolist()) / len(t)
    @small_mean.inputs
    def _(g):
        for n in 1, 2, 5, 30: yield (torch.randn(n, generator=g),)
    @exercise("99_small", "predict")
    def small_shape():
        "Shape."
        return (3, 1, 2)


def small():
    cells = [part.split("\n", 1) if part.startswith(("%%", " ")) else ["", part] for part in re.split(r"^%%", SMALL, flags=re.M)]
    cells = [{"cell_type": "markdown", "source": "# Small"}] + [{"cell_type": "code", "source": s.strip("\n"), "metadata": {"tags": ["exercise"] * bool(h.strip())}, "outputs": []} for h, s in cells]
    return "99_small", cells


def lessons(root=ROOT):
    "(stem, cells) of the lessons with exercises, and of the small one."
    found = [small()]
    for path in sorted(Path(root, "nbs").glob("[0-8]*.ipynb")):
        cells = [{"cell_type": c["cell_type"], "source": "".join(c["source"]), "metadata": c["metadata"], "outputs": []} for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        if any("exercise" in c["metadata"].get("tags", []) for c in cells): found.append((path.stem, cells))
    return found


def is_answer(c): return "exercise" in c.get("metadata", {}).get("tags", [])


def code(source): return {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}


class Case:
    "A copy of a lesson, with the answers in it, to be damaged."
    def __init__(self, rng, stem, cells, names, canary):
        self.rng, self.stem, self.cells, self.canary = rng, stem, [dict(c) for c in cells], canary
        self.where = {n: c for n in names for c in self.cells if is_answer(c) and re.search(rf"^(def {n}\b|{n} *=)", c["source"], re.M)}
        self.expect, self.functions = dict.fromkeys(self.where, "right"), [n for n, c in self.where.items() if f"def {n}(" in c["source"]]
        self.name, self.file, self.raw = rng.choice(self.functions or list(self.where)), f"{stem}.ipynb", None
        self.answer = self.where[self.name]

    def at(self): return next(i for i, c in enumerate(self.cells) if c is self.answer)
    def body(self, text, state=BAD):
        self.answer["source"], self.expect[self.name] = f"def {self.name}(*args):\n" + "\n".join("    " + line for line in text.splitlines()), state
    def insert(self, source, at=None): self.cells.insert(self.rng.randrange(len(self.cells) + 1) if at is None else at, code(source))
    def bytes(self):
        if self.raw is not None: return self.raw
        return json.dumps({"cells": self.cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()
    def broken(self, raw): self.raw, self.expect = raw, None


def untouched(c): pass
def renamed(c): c.file = c.rng.choice(["Untitled1.ipynb", "final (2) copy.ipynb", "répondre.ipynb", "=cmd.ipynb"])
def answer_deleted(c): c.cells.remove(c.answer); c.expect[c.name] = "missing"
def others_deleted(c):
    for x in c.rng.sample([x for x in c.cells if x["cell_type"] == "code" and not is_answer(x)], 2): c.cells.remove(x)
def copied(c): c.cells.append(dict(c.answer))
def stub_after(c): c.insert(f'def {c.name}(*a):\n    "..."\n    raise NotImplementedError("{c.name}: write it")', len(c.cells))
def stub_left(c): c.body(f'raise NotImplementedError("{c.name}: write it")', "unanswered")
def wrong_after(c): c.insert(f"def {c.name}(*a):\n    return 12345.0", len(c.cells))  or c.expect.update({c.name: BAD})
def split(c):
    lines = c.answer["source"].splitlines()
    cut = next(i for i, line in enumerate(lines) if line.startswith(f"def {c.name}(")) + 1
    if cut < len(lines): c.cells.insert(c.at() + 1, code("\n".join(lines[cut:]))), c.answer.update(source="\n".join(lines[:cut]))
def answer_retyped(c): c.answer.update(cell_type=c.rng.choice(["markdown", "raw"]))
def prose_retyped(c):
    for x in c.cells:
        if x["cell_type"] == "markdown": x.update(cell_type="code", outputs=[])
def answers_first(c): c.cells.sort(key=lambda x: not is_answer(x))
def shuffled(c): c.rng.shuffle(c.cells); c.expect = dict.fromkeys(c.expect, ANY)
def syntax_error(c): c.answer["source"] = c.answer["source"].replace(":", "", 1); c.expect[c.name] = "error"
def syntax_error_elsewhere(c): c.insert("for x in (1, 2:\n    print x")
def loop(c): c.body("while True: pass", "error")
def loop_swallows(c): c.body("while True:\n    try: pass\n    except BaseException: pass", "error")
def loop_in_c(c): c.body("import itertools\nreturn 0 in itertools.repeat(1)", "error")
def loop_elsewhere(c): c.insert("while True: pass")
def huge(c): c.body(c.rng.choice(["return [0] * 10**12", "import torch\nreturn torch.ones(2**36)", "return bytearray(10**12)", "x = []\nwhile True: x.append(b'1' * 10**8)"]))
def hard_coded(c): c.body("import torch\nreturn " + c.rng.choice(["torch.tensor([1.4142, 2.2361])", "0.5", "[1, 2, 3]", "None"]))
def truncated(c): raw = c.bytes(); c.broken(raw[:c.rng.randrange(1, len(raw) - 1)])
def deletes(c): c.body(c.rng.choice([f"import shutil\nshutil.rmtree({c.canary!r})", f"import os\nos.remove({c.canary + '/file'!r})", f"open({c.canary + '/file'!r}, 'w')"]), "error")
def deletes_elsewhere(c): c.insert(f"import shutil\nshutil.rmtree({c.canary!r})")
def exits(c): c.body(c.rng.choice(["exit()", "raise SystemExit(0)", "import sys\nsys.exit(0)"]), "error")
def exits_hard(c): c.body("import os\nos._exit(0)", "error")
def exits_elsewhere(c): c.insert(c.rng.choice(["exit()", "import os\nos._exit(1)", "quit()"]))
def exits_above(c): c.answer["source"] = f"import os\nos._exit(3) if {c.name!r} else 0\n" + c.answer["source"]
def killed(c): c.body(c.rng.choice(["import os\nos.kill(os.getpid(), 9)", "import ctypes\nctypes.string_at(0)", "import os\nos.abort()"]), "error")
def network(c): c.body(c.rng.choice(["import urllib.request\nurllib.request.urlopen('http://192.0.2.1')", "import socket\nsocket.create_connection(('192.0.2.1', 80))"]), "error")
def forks(c): c.body(c.rng.choice(["import os\nwhile True: os.fork()", "import subprocess\nsubprocess.run(['sleep', '99'])"]), "error")
def prints(c): c.body("while True: print('x' * 10000)", "error")
def empty(c): c.broken(b"")
def not_text(c): c.broken(bytes(c.rng.randrange(256) for _ in range(500)) + b"\xff\xfe")
def no_cells(c): c.broken(b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
def deep(c): c.broken(b'{"cells": ' + b"[" * 200000)
def format_3(c): c.raw = json.dumps({"nbformat": 3, "worksheets": [{"cells": [{("input" if x["cell_type"] == "code" else "source"): x["source"].splitlines(True), "cell_type": x["cell_type"]} for x in c.cells]}]}).encode()
def large_output(c): c.cells[-1] = {**c.cells[-1], "outputs": [{"output_type": "stream", "text": "x" * (5 << 20)}]}
def magics(c): c.answer["source"] = "%%time\n%matplotlib inline\n!ls\n" + c.answer["source"] if c.rng.random() < .5 else "%matplotlib inline\n!ls\n" + c.answer["source"]
def asks_the_course(c):
    stem = re.sub(r"^\d+_", "", c.stem)
    c.body(c.rng.choice([f"from clusterlab.exercises.{stem} import {c.name} as e\nreturn e.spec(*args)", f"from clusterlab.check import exercises\nreturn exercises()[{c.name!r}].spec(*args)"]))
def changes_the_check(c): c.body("import gc, sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'judge'): m.close = lambda *a: True\nimport builtins\nbuiltins.bool = lambda *a: True\nreturn 1.0")
def scripts(c): c.body("raise ValueError('<script>alert(1)</script> ' + str(args))", "error")


FAMILIES = [f for f in list(globals().values()) if getattr(f, "__code__", None) and f.__code__.co_varnames[:1] == ("c",) and f.__code__.co_argcount == 1 and f.__name__ != "is_answer"]


def make(folder, n=300, seed=0, root=ROOT):
    "Write n submissions into `folder`/pile, the lessons they come from into `folder`/root, and `folder`/canary, which must stand afterwards. -> file: (family, expected states by exercise, or None where the file cannot be read)."
    register()
    from clusterlab.check import exercises
    every, folder, rng, expected = exercises(), Path(folder), random.Random(seed), {}
    course = [(stem, cells, [name for name, e in every.items() if e.lesson == stem]) for stem, cells in lessons(root)]
    course = [x for x in course if x[2]]
    (folder / "pile").mkdir(parents=True), (folder / "canary").mkdir(), (folder / "root/nbs").mkdir(parents=True)
    for stem, cells, _ in course: (folder / "root/nbs" / f"{stem}.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    (folder / "canary/file").write_text("whole")
    for i in range(n):
        family = FAMILIES[i % len(FAMILIES)]
        while not (c := Case(rng, *rng.choice(course), str(folder / "canary"))).functions: pass
        family(c)
        if family is exits_above: c.expect = {k: ("right" if k != c.name else ANY) for k in c.expect}
        path = folder / "pile" / f"{i:03d}_{family.__name__}" / c.file
        path.parent.mkdir()
        path.write_bytes(c.bytes())
        expected[path.relative_to(folder / "pile").as_posix()] = family.__name__, c.expect
    return expected


def surprises(expected, grades):
    "Sentences on what a grading (student -> results, see clusterlab.feedback.write) says otherwise than expected."
    found = []
    for file, (family, states) in expected.items():
        result = grades.get(file)
        if result is None or "unreadable" in result:
            if states is not None or result is None: found.append(f"{file}: {result}")
        elif states is None: found.append(f"{file}: was read")
        for name, want in (states or {}).items():
            got = (result or {}).get("exercises", {}).get(name, {"state": "missing", "text": ""})
            if not (want == ANY or got["state"] == want or want == BAD and got["state"] != "right"): found.append(f"{file}: {name} is {got['state']}, wanted {want}: {got['text']}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder"), parser.add_argument("--n", type=int, default=300), parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    print(f"{len(make(a.folder, a.n, a.seed))} submissions in {a.folder}/pile, {len(FAMILIES)} families")
