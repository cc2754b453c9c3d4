"The benchmarks run, and tell the truth: figures come from the times recorded, unequal work and greedy memory are seen, nothing is dropped in silence."
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import pytest
import torch

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import harness  # noqa: E402
import kmeans  # noqa: E402
import kmeans_pages  # noqa: E402
import kmeans_peers  # noqa: E402

RECORDS = sorted((BENCHMARKS / "results").glob("*-kmeans-*.json"))
QUICK = harness.Stopwatch(least=0, wait=0, tries=1)
ROW = kmeans.Row(300, 2, 4, 3)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    "The record of a quick run in a process of its own, its page, and what was printed."
    out = tmp_path_factory.mktemp("record") / "quick.json"
    command = [sys.executable, BENCHMARKS / "kmeans.py", "--quick", "--device", "cpu", "--parts", ",".join(kmeans.PARTS), "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(out.read_text()), out.with_suffix(".md").read_text(encoding="utf-8"), done.stdout


def every_time(record):
    "All (part, entry, name, contestant) of a record that were measured."
    return [(part, e, name, c) for part, entries in record["parts"].items() for e in entries for name, c in e.get("contestants", {}).items() if "left_out" not in c]


def cells(page, heading, name):
    "The cells of the line for `name` in the table under `heading`."
    below = page[page.index(heading):]
    return [cell.strip() for cell in re.search(rf"^\| {re.escape(name)} \|(.*)\|$", below, re.M)[1].split("|")]


# ---- the record

def test_the_record_says_what_was_measured_where_and_with_what(quick):
    record = quick[0]
    assert list(record["parts"]) == kmeans.PARTS and all(record["parts"].values())
    assert {"subject", "date", "commit", "changed since", "machine", "python", "versions", "parameters"} <= set(record)
    assert {"processor", "cores", "caches", "threads"} <= set(record["machine"]) and record["machine"]["threads"] == record["parameters"]["threads"]
    assert record["versions"]["torch"] == torch.__version__ and set(record["versions"]) >= {c.package for c in kmeans.CONTESTANTS.values()}
    for part, entry, name, c in every_time(record):
        assert {"n", "d", "k"} <= set(entry)
        if part == "memory": assert c["bytes"] >= 0 and isinstance(c["exact"], bool)
        else: assert len(c["seconds"]) == len(c["others"]) > 0 and min(c["seconds"]) > 0, (part, name)


def test_every_contestant_is_in_the_record_with_times_or_with_a_reason(quick):
    for entry in quick[0]["parts"]["iteration"]:
        assert set(entry["contestants"]) == set(kmeans.CONTESTANTS) - {"flash-kmeans"}
        for name, c in entry["contestants"].items():
            installed = quick[0]["versions"][kmeans.CONTESTANTS[name].package] is not None
            assert ("seconds" in c) == installed and (installed or c["left_out"] == "not installed"), (name, c)


def test_all_do_the_same_work(quick):
    for part, entry, name, c in every_time(quick[0]):
        if part == "iteration": assert c["work"] == "equal" and c["iterations"] == entry["iterations"], (name, c)


def test_ratios_in_the_page_are_computed_from_the_times_in_the_record(quick):
    record, page, _ = quick
    for entry in record["parts"]["iteration"]:
        ours = entry["contestants"]["clusterlab"]
        for name, c in entry["contestants"].items():
            shown = cells(page, f"### {kmeans_pages.title(entry)}", name)
            if "left_out" in c: assert shown[0] == c["left_out"]; continue
            quotients = [a / c["iterations"] / (b / ours["iterations"]) for a, b in zip(c["seconds"], ours["seconds"])]
            assert float(shown[0]) == pytest.approx(1000 * median(c["seconds"]) / c["iterations"], rel=1e-3)
            assert float(shown[1].split()[0]) == pytest.approx(median(quotients), rel=5e-3)


def test_a_changed_time_changes_the_page(quick):
    record = json.loads(json.dumps(quick[0]))
    assert kmeans.page(record) == quick[1]
    record["parts"]["iteration"][0]["contestants"]["sklearn-lloyd"]["seconds"] = [1., 2., 3.]
    record["parts"]["iteration"][0]["contestants"]["clusterlab"]["seconds"] = [1., 1., 1.]
    assert cells(kmeans.page(record), "### 300 points", "sklearn-lloyd")[1] == "2 [1, 3]"


def test_the_page_is_printed_and_shown_again(quick, tmp_path, capsys):
    record, page, printed = quick
    assert all(f"\n## {heading}\n" in page and f"\n## {heading}\n" in printed for heading, _ in kmeans.PAGES.values())
    harness.save(record, tmp_path / "again.json", kmeans.page)
    assert kmeans.main(["--show", str(tmp_path / "again.json")]) is None
    assert capsys.readouterr().out.strip() == page.strip()


def test_each_record_kept_has_the_page_that_the_script_makes_of_it():
    for path in RECORDS:
        record = json.loads(path.read_text(encoding="utf-8"))
        assert path.name.startswith(f"{record['date']}-{record['subject']}-")
        if record["subject"] == "kmeans": assert path.with_suffix(".md").read_text(encoding="utf-8") == kmeans.page(record), path.name


def test_records_name_no_hosts_and_no_paths(quick):
    for text in [json.dumps(quick[0]), *(p.read_text(encoding="utf-8") for p in RECORDS)]:
        assert str(ROOT) not in text and not re.search(r"/(home|tmp|root|usr|opt|work)/|https?://|site-packages", text)
        assert len(platform.node()) < 4 or not re.search(rf"\b{re.escape(platform.node())}\b", text)


def test_out_is_a_path_or_a_name_in_results(tmp_path):
    assert harness.record_path("kmeans", str(tmp_path / "x.json")) == tmp_path / "x.json"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-kmeans-two-cores\.json", harness.record_path("kmeans", "Two cores").name)


# ---- equal work

def options(**changes): return SimpleNamespace(only=["clusterlab", "sklearn-lloyd"], rounds=1, limit=1e9, quick=True, **changes)


def measured_with(monkeypatch, run, row=ROW, **fields):
    "What part iteration records of a contestant that does `run`."
    fields = dict(package="torch", module="torch", labels="none", floats=lambda n, d, k: n) | fields
    monkeypatch.setitem(kmeans.CONTESTANTS, "planted", kmeans_peers.Contestant(run, **fields))
    o = options()
    o.only.append("planted")
    return kmeans.iteration(row, o, QUICK)["contestants"]["planted"]


def honest(points, start, iterations): return kmeans.k_means_cluster(len(start), points, iterations, 0., init=start)[0]


@pytest.mark.parametrize("run, verdict", [
    (lambda points, start, m: (honest(points, start, m), m), "equal"),
    (lambda points, start, m: (honest(points, start, m - 1), m), "as 2 iterations"),
    (lambda points, start, m: (start, m), "as 0 iterations"),
    (lambda points, start, m: (start * 3, m), r"\+\d+\.\d\d%"),
    (lambda points, start, m: (start / 0, m), "not a number")], ids=["honest", "one short", "none", "wrong", "nan"])
def test_wrong_work_is_flagged(monkeypatch, run, verdict):
    assert re.fullmatch(verdict, measured_with(monkeypatch, run)["work"])


def test_the_flag_shows_in_the_page(monkeypatch):
    entry = ROW._asdict() | kmeans.iteration(ROW, options(), QUICK)
    entry["contestants"]["sklearn-lloyd"]["work"] = "as 2 iterations"
    summary, detail = kmeans_pages.iteration_page([entry]).split("### ")
    assert re.search(r"1\.00 \| [\d.]+ \* \|$", summary, re.M) and "as 2 iterations" in detail


def test_a_contestant_that_raises_is_shown_with_its_reason(monkeypatch):
    def broken(points, start, m): raise ZeroDivisionError("as planted")
    assert measured_with(monkeypatch, broken) == {"left_out": "ZeroDivisionError: as planted"}


def test_a_contestant_without_room_is_left_out_before_it_runs(monkeypatch):
    assert measured_with(monkeypatch, None, floats=lambda n, d, k: 1e10) == {"left_out": "would need about 40 GB; the limit is 12"}
    assert measured_with(monkeypatch, None, module="no_such_module") == {"left_out": "not installed"}


def test_a_slow_contestant_is_left_out_after_a_trial():
    few = torch.rand(50_000, 2)
    assert kmeans.too_slow("sklearn-lloyd", kmeans.Row(50_000, 2, 3, 1), few, 1e-9).startswith("a call would take about")
    assert kmeans.too_slow("sklearn-lloyd", kmeans.Row(50_000, 2, 3, 1), few, 1e9) is None


def test_the_specification_is_the_slow_loop():
    points = kmeans.blobs(60, 3, 4)
    centroids = kmeans_peers.first_centroids(points, 4).double()
    trace, empty = kmeans.specification(points, centroids, 2)
    for expected in trace:
        squared = [[(p.double() - c).square().sum() for c in centroids] for p in points]
        labels = torch.tensor([min(range(4), key=s.__getitem__) for s in squared])
        assert expected == pytest.approx(sum(min(s) for s in squared).item(), rel=1e-9)
        centroids = torch.stack([points[labels == j].double().mean(0) for j in range(4)])
    assert len(trace) == 4 and empty == 0


def test_the_specification_counts_updates_with_an_empty_cluster():
    points = torch.tensor([[0.], [1.], [9.]])
    assert kmeans.specification(points, torch.tensor([[0.], [1.], [99.]]), 2)[1] == 2


# ---- the stopwatch

def test_a_disturbed_measurement_is_repeated_and_the_quietest_counts():
    watch, heard = harness.Stopwatch(wait=0, tries=3), iter([("warm", 1., 9.), ("", 5., .5), ("", 6., .3), ("", 7., .4), ("", 8., 0.)])
    watch._once = lambda f, least: next(heard)
    assert watch.measure(lambda: None) == ("", 6., .3)


def test_a_slow_call_is_timed_once_and_in_the_first_round_alone():
    calls, watch = {"slow": [], "fast": []}, harness.Stopwatch(least=0, wait=0, tries=1)
    watch.slow = .02
    _, times = watch.race({"slow": lambda: (calls["slow"].append(1), time.sleep(.03)), "fast": lambda: calls["fast"].append(1)}, 3)
    assert len(calls["slow"]) == len(times["slow"]["seconds"]) == 1 and len(times["fast"]["seconds"]) == 3 and len(calls["fast"]) == 6


def test_contestants_take_turns_in_an_order_that_changes():
    order = []
    QUICK.race({name: lambda name=name: order.append(name) for name in "abcd"}, 6)
    turns = ["".join(order[i:i + 8:2]) for i in range(0, 48, 8)]
    assert all(sorted(turn) == list("abcd") for turn in turns) and len(set(turns)) > 1


@pytest.mark.parametrize("own, others", [(6., 0.), (2., 4.)], ids=["all mine", "the rest is theirs"])
def test_others_are_told_from_oneself(monkeypatch, own, others):
    spent = iter([(100., 50.), (106., 50. + own)])
    monkeypatch.setattr(harness, "_jiffies", lambda: next(spent))
    _, seconds, share = harness.Stopwatch()._once(lambda: time.sleep(.05), 0)
    assert share * seconds == pytest.approx(max(0., others - .02), rel=.3)


def test_spread_and_errors():
    assert harness.spread([3., 1., 2.]) == "2 [1, 3]" and harness.spread([2.]) == "2" and harness.spread([]) == ""
    assert harness.mean_and_error([1., 3.]) == (2., 1.) and harness.ratios([2., 9.], [1., 3.]) == [2., 3.]


# ---- memory, and the counting of events

def greedy(n, k): return lambda: torch.ones(n, k).sum()


def thrifty(n, k): return lambda: torch.ones(n)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="elsewhere the peak is only bounded")
def test_memory_sees_a_function_that_allocates_n_times_k():
    n, k = 100_000, 256
    assert 1 <= harness.peak_memory(__file__, "greedy", n=n, k=k)["bytes"] / (4 * n * k) < 1.1
    assert harness.peak_memory(__file__, "thrifty", n=n, k=k)["bytes"] < 4 * n * k / 10


def test_memory_of_a_function_that_fails_is_a_reason():
    assert "left_out" in harness.peak_memory(__file__, "no_such_function")


def test_events_are_counted():
    A = torch.ones(4, 4)
    assert harness.count_events(lambda: [torch.mm(A, A) for _ in range(3)] + [A.sum().item()], {"products": "aten::mm", "waits": "aten::_local_scalar_dense"}) == {"products": 3, "waits": 1}


def test_the_names_of_cuda_events():
    pattern = kmeans.EVENTS["cuda"]
    for what, names in {"launches": ["cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cudaGraphLaunch"], "copies": ["cudaMemcpyAsync", "cudaMemsetAsync"],
                        "synchronisations": ["cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy"]}.items():
        assert all([key for key, p in pattern.items() if re.fullmatch(p, name)] == [what] for name in names)
