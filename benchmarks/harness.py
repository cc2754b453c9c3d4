"""What the benchmarks share: contestants that take turns, a stopwatch that waits for a quiet machine, peak memory in a process of its own, records and tables."""
import argparse
import ctypes
import gc
import json
import os
import platform
import random
import re
import runpy
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import date
from importlib import import_module, metadata
from pathlib import Path


def _let_openblas_run_fast():
    """Name the processor's kernel for every OpenBLAS (NumPy, scikit-learn and FAISS each bring one), before it is loaded: an old one does not know a new
    processor and takes a kernel several times slower, and a setting left in the environment may do the same. The rivals are to run at their best."""
    with suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text()
        for flag, kernel in {"avx2": "Haswell", "avx512bw": "SkylakeX"}.items():
            if re.search(rf"\b{flag}\b", flags): os.environ["OPENBLAS_CORETYPE"] = kernel
    os.environ.pop("OPENBLAS_L2_SIZE", None)


_let_openblas_run_fast()
import torch  # noqa: E402  it loads NumPy

HERE = Path(__file__).resolve().parent
DISTURBED = .08
sys.path.insert(0, str(HERE.parent))  # the package beside this folder is measured, whichever is installed


# ---- the stopwatch

def _jiffies() -> tuple[float, float]:
    "Seconds of processor time since the start: used by everyone, and by this process. Both 0 where there is no /proc/stat."
    try: fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError: return 0., 0.
    own = os.times()
    return (sum(fields[:3]) + sum(fields[5:])) / os.sysconf("SC_CLK_TCK"), own.user + own.system


def in_words(error: Exception) -> str:
    "The first line of an exception, short."
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:80]}"


class Stopwatch:
    """Times calls on a machine that others use too.

    least    a measurement repeats its call until this many seconds have passed
    slow     a call that takes longer is timed once: not warmed, not repeated
    wait     seconds to wait, at most, for others to be quiet before a measurement
    tries    a measurement during which others used more than DISTURBED of one processor is repeated this many times at most; the quietest counts
    """
    def __init__(self, least=.15, slow=20., wait=20., tries=5, device="cpu"):
        self.least, self.slow, self.wait, self.tries, self.device = least, slow, wait, tries, device

    def seconds(self, f, least: float = 0) -> tuple[object, float]:
        "Value and seconds a call, calls repeated for `least` seconds. On a GPU the clock is the device's, between two events."
        gpu, calls, start = self.device == "cuda", 0, time.perf_counter()
        if gpu:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            start = time.perf_counter()
            begin.record()
        while not calls or time.perf_counter() - start < least: value, calls = f(), calls + 1
        if not gpu: return value, (time.perf_counter() - start) / calls
        end.record()
        end.synchronize()
        return value, begin.elapsed_time(end) / 1000 / calls

    def _once(self, f, least: float) -> tuple[object, float, float]:
        "Value, seconds a call, and processors that others kept busy meanwhile (two clock ticks are taken for rounding)."
        used, own, start = *_jiffies(), time.perf_counter()
        value, seconds = self.seconds(f, least)
        took, (used_now, own_now) = time.perf_counter() - start, _jiffies()
        return value, seconds, max(0., (used_now - used) - (own_now - own) - .02) / took

    def wait_for_quiet(self):
        "Return when others use less than a tenth of a processor, or after `wait` seconds."
        end = time.perf_counter() + self.wait
        while time.perf_counter() < end and self._once(lambda: time.sleep(.1), 0)[2] > .1: time.sleep(.3)

    def measure(self, f) -> tuple[object, float, float]:
        "Value, seconds a call, processors used by others. The first call warms: right after another library's, some take half as long again."
        self.wait_for_quiet()
        best = self._once(f, 0)
        if best[1] > self.slow: return best
        best = self._once(f, self.least)
        for _ in range(self.tries - 1):
            if best[2] <= DISTURBED: break
            self.wait_for_quiet()
            f()
            best = min(best, self._once(f, self.least), key=lambda m: m[2])
        return best

    def race(self, calls: dict, rounds: int, seed: int = 0) -> tuple[dict, dict]:
        """Every call once a round, in an order drawn anew each round. -> ({name: value}, {name: times}).
        times: {"seconds": one a round, "others": one a round}, or {"left_out": why} after an exception. Slow calls run in the first round alone."""
        values, times, draw = {}, {name: {"seconds": [], "others": []} for name in calls}, random.Random(seed)
        running = list(calls)
        for _ in range(rounds):
            for name in draw.sample(running, len(running)):
                try: value, seconds, others = self.measure(calls[name])
                except Exception as error:
                    times[name] = {"left_out": in_words(error)}
                    running.remove(name)
                    continue
                values.setdefault(name, value)
                times[name]["seconds"].append(seconds)
                times[name]["others"].append(round(others, 3))
                if seconds > self.slow: running.remove(name)
        return values, {name: times[name] for name in calls}


# ---- counting and memory

def count_events(f, wanted: dict[str, str], device="cpu") -> dict[str, int]:
    "How often events ran in f(), by the profiler: {what: regular expression that its whole name matches} -> {what: number}."
    from torch.profiler import ProfilerActivity, profile
    f()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == "cuda")
    with profile(activities=activities, acc_events=True) as profiler:
        f()
        if device == "cuda": torch.cuda.synchronize()
    found = Counter(event.name for event in profiler.events())
    return {what: sum(n for name, n in found.items() if re.fullmatch(pattern, name)) for what, pattern in wanted.items()}


def _status(field: str) -> int:
    return int(re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)[1]) * 1024


def _highest() -> int:
    "The highest resident memory of this process since it began, in bytes."
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_beyond(f) -> dict:
    "Bytes by which the resident memory of this process peaked, during f(), above its level before. Not exact without /proc: then above its highest level before."
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
        ctypes.CDLL(None).malloc_trim(0)
        level, peak = _status("VmRSS"), lambda: _status("VmHWM")
    except (OSError, AttributeError): level, peak = _highest(), _highest
    answer = f()
    found = {"bytes": max(0, peak() - level), "exact": peak is not _highest}
    del answer
    return found


def peak_memory(script, function: str, **arguments) -> dict:
    "peak_beyond(the call that `function(**arguments)` of `script` prepares), in a new process. -> {bytes, exact} or {left_out}."
    done = subprocess.run([sys.executable, __file__, str(script), function, json.dumps(arguments)], capture_output=True, text=True)
    if done.returncode: return {"left_out": (done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}"])[-1][:100]}
    return json.loads(done.stdout.splitlines()[-1])


# ---- machine and record

def machine() -> dict:
    "What the times depend on. No names of hosts or users, no paths."
    def read(path, pattern="(.*)"):
        try: return re.search(pattern, Path(path).read_text())[1].strip()
        except (OSError, TypeError): return None
    caches = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    memory = read("/proc/meminfo", r"MemTotal:\s+(\d+)")
    found = {
        "processor": read("/proc/cpuinfo", r"model name\s*: (.*)") or platform.processor(), "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(), "usable cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": " ".join(f"L{read(c / 'level')}{(read(c / 'type') or ' ')[0].lower()} {read(c / 'size')}" for c in caches),
        "memory": f"{int(memory) / 2**20:.0f} GiB" if memory else None, "system": f"{platform.system()} {platform.machine()}", "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "environment": {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "KMP_BLOCKTIME") if name in os.environ}}
    try: from threadpoolctl import threadpool_info
    except ImportError: return found
    pools = {" ".join(filter(None, [p["internal_api"], p["version"], p.get("architecture"), f"{p['num_threads']} threads"])) for p in threadpool_info()}
    return found | {"pools": sorted(pools)}


def versions(packages) -> dict:
    "{package: version, or None if it is not installed}."
    def version(name):
        if hasattr(sys.modules.get(name), "__version__"): return sys.modules[name].__version__
        try: return metadata.version(name)
        except metadata.PackageNotFoundError: return None
    return {name: version(name) for name in packages}


def commit() -> dict:
    "The commit that is measured, and whether the package or the benchmarks differ from it."
    def git(*words):
        try: done = subprocess.run(["git", *words], cwd=HERE.parent, capture_output=True, text=True, env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"})
        except OSError: return None
        return None if done.returncode else done.stdout.strip()
    changed = git("status", "--porcelain", "--", "clusterlab", "benchmarks/*.py")
    return {"commit": git("rev-parse", "HEAD"), "changed since": None if changed is None else bool(changed)}


def new_record(subject: str, packages, parameters: dict) -> dict:
    "What every record begins with."
    return {"subject": subject, "date": date.today().isoformat(), **commit(), "machine": machine(), "python": platform.python_version(), "versions": versions(packages),
            "parameters": parameters, "parts": {}}


def record_path(subject: str, out: str) -> Path:
    "Where --out says: a path that ends in .json, or results/DATE-SUBJECT-OUT.json."
    return Path(out) if out.endswith(".json") else HERE / "results" / f"{date.today().isoformat()}-{subject}-{re.sub(r'[^a-z0-9]+', '-', out.lower())}.json"


def save(record: dict, path: Path, report):
    "Write the record as JSON, and beside it the page that report(record) makes of it."
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(report(record), encoding="utf-8")


# ---- figures and tables

def ratios(theirs: list[float], ours: list[float]) -> list[float]:
    "theirs / ours, round by round."
    return [a / b for a, b in zip(theirs, ours)]


def spread(values: list[float]) -> str:
    "Median and range: 1.53 [1.52, 1.74]; one value stands alone."
    return f"{statistics.median(values):.3g} [{min(values):.3g}, {max(values):.3g}]" if len(values) > 1 else "".join(f"{v:.3g}" for v in values)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    "Mean and its standard error (0 of one value)."
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** .5 if len(values) > 1 else 0.


def table(head: list[str], rows: list[list]) -> str:
    "A Markdown table; the first column to the left, the others to the right."
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] + ["---:"] * (len(head) - 1), *rows]) + "\n"


def preamble(record: dict) -> str:
    "The head of a page: machine, versions, commit."
    m = record["machine"]
    missing = [name for name, version in record["versions"].items() if version is None]
    return (f"# {record['subject']}, {record['date']}\n\n"
            f"{m['processor']} ({m['instructions']}), {m['usable cores']} of {m['cores']} cores, {m['caches']}, {m['memory']}, {m['system']}, {m['threads']} thread{'s' * (m['threads'] > 1)}"
            f"{', ' + m['gpu'] if m['gpu'] else ''}{''.join(f', {name}={value}' for name, value in m['environment'].items())}. Python {record['python']}, "
            f"{', '.join(f'{name} {version}' for name, version in record['versions'].items() if version)}."
            f"{' Not installed: ' + ', '.join(missing) + '.' if missing else ''}\n"
            f"Commit {(record['commit'] or 'unknown')[:12]}{', with changes' if record['changed since'] else ''}. "
            f"Parameters: {', '.join(f'{name} {value}' for name, value in record['parameters'].items())}.\n")


# ---- the command of a benchmark

def parser(doc: str, parts=()) -> argparse.ArgumentParser:
    "The options that all benchmarks have; --parts if there are any."
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if parts: p.add_argument("--parts", type=lambda words: words.split(","), default=list(parts), help=f"of {','.join(parts)}")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--wait", type=float, default=20, help="seconds to wait, at most, until others leave the machine alone")
    p.add_argument("--out", help="keep the record: a name, or a path that ends in .json")
    p.add_argument("--quick", action="store_true", help="tiny sizes, one round, no waiting")
    p.add_argument("--show", type=Path, metavar="FILE.json", help="print the page of a record, and do nothing else")
    return p


def parse(p: argparse.ArgumentParser, words, parts=()) -> argparse.Namespace:
    "What was asked for; parts that there are not end it."
    o = p.parse_args(words)
    if parts and (unknown := set(o.parts or ()) - set(parts)): p.error(f"--parts: {', '.join(unknown)}: not of {', '.join(parts)}")
    return o


def show(path: Path, report): print(report(json.loads(path.read_text(encoding="utf-8"))))


def limit_threads(threads: int, modules=()):
    "The same number of threads for every library; they must be loaded to be told."
    torch.set_num_threads(threads)
    for name in modules:
        with suppress(Exception): import_module(name)
    with suppress(ImportError):
        from threadpoolctl import threadpool_limits
        threadpool_limits(threads)


class Run:
    "A run of a benchmark: its stopwatch, its record with the parameters named, and where that is kept."
    def __init__(self, subject: str, o: argparse.Namespace, packages, parameters, report):
        self.watch = Stopwatch(least=.01, wait=0, tries=1) if o.quick else Stopwatch(wait=o.wait)
        self.record = new_record(subject, packages, {name: getattr(o, name) for name in parameters})
        self.path, self.report = record_path(subject, o.out) if o.out else None, report

    def keep(self, part: str, entry: dict, said: str):
        "Add an entry to a part, write the record so far, and say so."
        self.record["parts"].setdefault(part, []).append(entry)
        print(f"{part}: {said}", file=sys.stderr, flush=True)
        if self.path: save(self.record, self.path, self.report)


if __name__ == "__main__":
    script, function, arguments = sys.argv[1:]
    sys.path.insert(0, str(Path(script).parent))
    print(json.dumps(peak_beyond(runpy.run_path(script)[function](**json.loads(arguments)))))
