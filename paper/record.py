"The benchmark record behind the paper, and the settings of the code that made it: what is missing is named. And how numbers are written."
import ast
import json
import math
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
BENCHMARK, TOOL = "benchmarks/meanshift.py", "clusterlab/mean_shift.py"
OURS, SKLEARN, RIVALS = "clusterlab", "scikit-learn", ("MeanShift++", "GridShift")
MESH, NEAR, QUADRATIC, LESSON = "mesh, 5 steps, not merged", "near, 5 steps, not merged", "quadratic, 5 steps", "lesson 3, 5 steps"
SERIES = {"extent": "constant extent", "density": "constant density"}


class Wrong(Exception):
    "The record does not carry the paper: something is missing, or a claim does not hold."


# ---- the record

class Node:
    "A part of the record that knows its name, so that what it lacks can be named."
    def __init__(self, value, name: str): self.value, self.name = value, name
    def __iter__(self): return (self[i] for i in range(len(self.value))) if isinstance(self.value, list) else iter(self.value)
    def __contains__(self, key): return isinstance(self.value, dict) and key in self.value

    def __getitem__(self, key):
        try: found = self.value[key]
        except (KeyError, IndexError, TypeError): raise Wrong(f"missing in the record: {self.name}[{key!r}]") from None
        return Node(found, f"{self.name}[{key!r}]") if isinstance(found, (dict, list)) else found

    def all(self, **wanted) -> list:
        "The entries of a list with these values, at least one."
        found = [e for e in self if all(e[key] == value for key, value in wanted.items())]
        if not found: raise Wrong(f"missing in the record: an entry of {self.name} with {', '.join(f'{k} = {v!r}' for k, v in wanted.items())}")
        return found


def newest(folder: Path = ROOT / "benchmarks" / "results") -> Path:
    "The newest record of a full run on a CPU."
    found = {path: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*meanshift*.json")}
    full = [path for path, r in found.items() if not r["parameters"]["quick"] and not r["machine"]["gpu"]]
    if not full: raise Wrong(f"no full record {folder.name}/*meanshift*.json; make one: python benchmarks/meanshift.py --out two-cores")
    return max(full, key=lambda path: (found[path]["date"], path.name))


def times(entry: Node, name: str) -> list[float]: return list(entry["contestants"][name]["seconds"])
def middle(entry: Node, name: str) -> float: return median(times(entry, name))
def timed(entry: Node, name: str) -> bool: return name in entry["contestants"] and "seconds" in entry["contestants"][name]
def ratio(entry: Node, name: str, base: str = OURS) -> float: return median(a / b for a, b in zip(times(entry, name), times(entry, base)))


def growth(record: Node, series: str, *names: str, d: int = 2) -> list:
    "The entries of a series, smallest first, in which all of these were timed, at least one."
    entries = record["parts"]["growth"].all(series=series, d=d)
    found = [e for e in entries if all(timed(e, name) for name in names)]
    if not found: raise Wrong(f"missing in the record: {entries[0].name}['contestants'], or another of that series: no 'seconds' of {' beside '.join(names)}")
    return sorted(found, key=lambda e: e["n"])


def both(record: Node, *names: str, d: int = 2) -> list: return [e for series in SERIES for e in growth(record, series, *names, d=d)]
def slope(record: Node, series: str, name: str, d: int = 2) -> Node: return record["parts"]["slopes"].all(series=series, d=d, name=name)[0]
def decades(record: Node, series: str, name: str, d: int = 2) -> list[float]: return [s[2] for s in slope(record, series, name, d)["decades"]]


# ---- settings, read from the code that uses them, which is not run

def tree(path: str): return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def assigned(path: str, name: str):
    "The value of a constant of a module."
    for node in tree(path).body:
        if not isinstance(node, ast.Assign): continue
        target, value = node.targets[0], node.value
        for t, v in zip(target.elts, value.elts) if isinstance(target, ast.Tuple) else [(target, value)]:
            if isinstance(t, ast.Name) and t.id == name: return eval(compile(ast.Expression(v), path, "eval"), {"__builtins__": {}})
    raise Wrong(f"missing in {path}: {name}")


def default(path: str, function: str, argument: str):
    "The default of an argument of a function."
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for a, value in zip(node.args.args[::-1], node.args.defaults[::-1]):
                if a.arg == argument: return ast.literal_eval(value)
    raise Wrong(f"missing in {path}: the default of {argument} of {function}")


# ---- how numbers are written

def rounded(x: float, digits: int = 3) -> str:
    "With so many significant digits: 4.63, 105, 1,530."
    if not x: return "0"
    places = digits - 1 - math.floor(math.log10(abs(x)))
    return f"{round(x, places):,.{max(0, places)}f}".replace("-", "−")


def power(x: float) -> str:
    "1.6 × 10⁻⁵; 0.021."
    if not x or .01 <= x < 1000: return rounded(x, 2)
    mantissa, exponent = f"{x:.1e}".split("e")
    return f"{mantissa}\u202f×\u202f10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def duration(s: float) -> str: return f"{rounded(1000 * s)}\u00a0ms" if s < 1 else f"{rounded(s)}\u00a0s"
def counted(n: int, what: str) -> str: return f"{n:,} {what}{'s' * (n != 1)}"
def two(x: float) -> str: return f"{x:.2f}".replace("-", "−")
def fraction(x: float) -> str: return f"1/{round(1 / x)}"
def span(values, write=lambda x: rounded(x, 2)) -> str: return " to ".join(dict.fromkeys((write(min(values)), write(max(values)))))
