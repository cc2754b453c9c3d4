"""Points in a file larger than the memory allowed, and points spread over processes: the answers of one process with all of them in memory.

This file is also the program that the processes run: `python test_scale.py FUNCTION ARGUMENTS`.
"""
import gc
import json
import os
import signal
import subprocess
import sys
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Generator

from clusterlab.data import lesson_data
from clusterlab.kmeans import inertia, k_means_cluster, k_means_plus_plus
from clusterlab.processes import Team

ENV = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}


def seeded(seed=0): return Generator().manual_seed(seed)


def blobs(n, d, k, seed=0, scale=8.0, dtype=torch.float32):
    "Overlapping clouds around k centres, in a random order."
    g = seeded(seed)
    return (torch.randn(k, d, generator=g) * scale / d**0.5)[torch.randint(k, (n,), generator=g)].to(dtype) + torch.randn(n, d, generator=g).to(dtype)


def heavy(n): return torch.rand(n, generator=seeded(5)).mul(3).floor()


def ordered(x): return x[x[:, 0].argsort()]


def split(n, size, how):
    "The rows of each of `size` processes, in order."
    shares = {"even": [1] * size, "uneven": [1, *[9] * (size - 1)], "none": [0, *[1] * (size - 1)], "last": [1] * (size - 1) + [0], "one": [n - 1] + [0] * (size - 2) + [1]}[how]
    ends = [round(n * sum(shares[:i + 1]) / sum(shares)) for i in range(size)]
    return [slice(a, b) for a, b in zip([0, *ends], ends)]


# name: (k, points, how they are split, further arguments)
plane = lesson_data()[1]
EQUAL = {
    "given start": lambda: (6, plane, "even", dict(init=plane[::251])),
    "k-means++": lambda: (6, plane, "uneven", {}),
    "random start": lambda: (6, blobs(3000, 2, 6), "uneven", dict(init="random")),
    "16 features": lambda: (20, blobs(20_000, 16, 20), "even", {}),
    "16 features, random": lambda: (20, blobs(5000, 16, 20), "uneven", dict(init="random", max_iters=7)),
    "weights": lambda: (8, blobs(4000, 2, 8), "uneven", dict(weights=heavy(4000))),
    "weights, random": lambda: (8, blobs(4000, 16, 8), "even", dict(weights=heavy(4000), init="random")),
    "weights, no points": lambda: (8, blobs(4000, 3, 8), "none", dict(weights=heavy(4000))),
    "weights of zero on a process": lambda: (4, blobs(2000, 2, 4), "even", dict(weights=(torch.arange(2000) >= 1000).float())),
    "weights, largest elsewhere": lambda: (4, blobs(2000, 2, 4), "even", dict(weights=torch.linspace(1, 1000, 2000))),
    "float64": lambda: (6, blobs(4000, 5, 6, dtype=torch.float64), "even", {}),
    "float16": lambda: (6, blobs(4000, 5, 6).half(), "even", {}),
    "integers": lambda: (6, blobs(4000, 5, 6, scale=300.0).int(), "even", {}),
    "clusters on one process": lambda: (8, ordered(blobs(6000, 2, 8, scale=40.0)), "even", {}),
    "no points on the first": lambda: (6, plane, "none", {}),
    "no points on the last": lambda: (6, plane, "last", dict(init="random")),
    "no points, given start": lambda: (6, blobs(3000, 16, 6), "none", dict(init=blobs(3000, 16, 6)[:6])),
    "one point, one process": lambda: (6, plane, "one", {}),
    "many points, few on one": lambda: (20, blobs(40_000, 4, 20), "one", {}),
    "empty cluster": lambda: (6, plane, "even", dict(init=torch.cat([plane[:1250:250], torch.full((1, 2), 1e4)]))),
    "empty clusters, elsewhere": lambda: (6, plane, "uneven", dict(init=torch.full((6, 2), 500.0) + torch.arange(6)[:, None])),
    "k = 1": lambda: (1, blobs(3000, 3, 4), "even", {}),
    "k = n": lambda: (12, blobs(12, 3, 4), "even", {}),
    "more clusters than a process has points": lambda: (40, blobs(60, 3, 4), "uneven", dict(max_iters=3)),
    "few differ": lambda: (5, plane[:3].repeat(200, 1), "even", {}),
    "far": lambda: (6, plane.double() + 1e6, "even", {}),
    "far, float32": lambda: (6, ((plane * 4).round() + 1e6), "even", {}),
    "far, 16 features": lambda: (8, blobs(20_000, 16, 8, scale=40.0).round() + 1e6, "none", {}),
    "three runs": lambda: (9, blobs(3000, 2, 9), "even", dict(n_init=3, max_iters=10)),
    "three runs, random": lambda: (9, blobs(3000, 2, 9), "uneven", dict(n_init=3, init="random", max_iters=10)),
}


def bad(rank, **there):
    "Arguments that all processes share, but for what is different on process 1."
    given = dict(k=3, points=plane[rank * 500:][:500], max_iters=20, tol=1e-8, init="k-means++", n_init=1, weights=None)
    return given | there if rank == 1 else given


# name: (what is different on process 1, what it says there, what the others say)
ELSEWHERE = "group: got bad input on process 1, which says what is wrong"
holed = plane[:500].clone()
holed[7, 1] = float("nan")
REFUSED = {
    "NaN": (dict(points=holed), "ValueError: points: got NaN or infinity", f"ValueError: {ELSEWHERE}"),
    "not a tensor": (dict(points=[1]), "TypeError: points: got list", f"ValueError: {ELSEWHERE}"),
    "negative weights": (dict(weights=-torch.ones(500)), "ValueError: weights: got", f"ValueError: {ELSEWHERE}"),
    "max_iters of zero": (dict(max_iters=0), "ValueError: max_iters: got 0", f"ValueError: {ELSEWHERE}"),
    "another k": (dict(k=4), "ValueError: k: got [3.0, 4.0", "ValueError: k: got [3.0, 4.0"),
    "another max_iters": (dict(max_iters=5), "ValueError: max_iters: got [20.0, 5.0", "ValueError: max_iters: got [20.0, 5.0"),
    "another tol": (dict(tol=0), "ValueError: tol: got", "ValueError: tol: got"),
    "another n_init": (dict(n_init=2), "ValueError: n_init: got", "ValueError: n_init: got"),
    "another init": (dict(init="random"), "ValueError: init: got", "ValueError: init: got"),
    "another d": (dict(points=torch.ones(500, 3)), "ValueError: features: got [2.0, 3.0", "ValueError: features: got [2.0, 3.0"),
    "another dtype": (dict(points=plane[:500].double()), "ValueError: dtype: got [32.0, 64.0", "ValueError: dtype: got [32.0, 64.0"),
    "halves on one": (dict(points=plane[:500].half()), "ValueError: dtype: got", "ValueError: dtype: got"),
    "weights on one": (dict(weights=torch.ones(500)), "ValueError: weights: got [0.0, 1.0", "ValueError: weights: got [0.0, 1.0"),
    "too many clusters": (dict(), "ValueError: k: got 5000", "ValueError: k: got 5000"),
    "no weight anywhere": (dict(), "ValueError: weights: got", "ValueError: weights: got"),
    "too far apart": (dict(points=plane[:500] * 1e18), "ValueError: ", "ValueError: "),
}


def attempt(f, *args, **kwargs):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        try: return f(*args, **kwargs), [str(w.message) for w in said if "k:" in str(w.message)]
        except Exception as e: return f"{type(e).__name__}: {e}", []


def all_cases(rank, size, folder):
    "Every case of EQUAL and REFUSED, in one group of processes; what came of it is saved."
    results = {}
    for name, case in EQUAL.items():
        k, points, how, options = case()
        part = split(len(points), size, how)[rank]
        here = options | ({"weights": options["weights"][part]} if "weights" in options else {})
        results[name] = attempt(k_means_cluster, k, points[part], generator=seeded(rank and 99), group=dist.group.WORLD, **here)
        torch.save(results, f"{folder}/{rank}.pt")
    k, points, how, _ = EQUAL["k-means++"]()
    results["starts"] = k_means_plus_plus(k, points[split(len(points), size, how)[rank]], generator=seeded(), group=dist.group.WORLD)
    gc.collect()
    gc.disable()
    for name, (there, *_) in REFUSED.items():
        given = bad(rank, **there)
        if name == "too many clusters": given["k"] = 5000
        if name == "no weight anywhere": given["weights"] = torch.zeros(len(given["points"]))
        k, points = given.pop("k"), given.pop("points")
        results[name] = attempt(k_means_cluster, k, points, group=dist.group.WORLD, **given)[0]
        torch.save(results, f"{folder}/{rank}.pt")
    results["group held"] = len([t for t in gc.get_objects() if isinstance(t, Team)])
    results["afterwards"] = attempt(k_means_cluster, 6, plane[rank::size], init=plane[::251], group=dist.group.WORLD)[0]
    torch.save(results, f"{folder}/{rank}.pt")


def one_dies(rank, size, folder):
    "Process 1 is killed at its tenth sum, in the middle of the fit."
    total, calls = Team.total, 0

    def counted(team, t):
        nonlocal calls
        calls += 1
        if rank == 1 and calls == 10: os.kill(os.getpid(), signal.SIGKILL)
        return total(team, t)

    Team.total = counted
    points = blobs(4000, 2, 9)
    Path(f"{folder}/{rank}.txt").write_text(str(attempt(k_means_cluster, 9, points[rank::size], init=points[:9], tol=0, max_iters=100, group=dist.group.WORLD)[0]))


def launched(folder):
    "Started by torch.distributed.run, which says who we are in the environment."
    dist.init_process_group("gloo", timeout=timedelta(seconds=30))
    rank, size = dist.get_rank(), dist.get_world_size()
    part = split(len(plane), size, "uneven")[rank]
    found = k_means_cluster(6, plane[part], generator=seeded(), group=dist.group.WORLD)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def member(work, rank, size, folder):
    "One process of a group that meets at a file."
    torch.set_num_threads(1)
    rank, size = int(rank), int(size)
    dist.init_process_group("gloo", init_method=Path(folder, "meet").as_uri(), rank=rank, world_size=size, timeout=timedelta(seconds=30))
    globals()[work](rank, size, folder)
    if work == "all_cases": dist.destroy_process_group()


def run_group(work, size, folder, seconds):
    "Run `work` in `size` processes. -> their exit codes and what they printed."
    folder.mkdir(exist_ok=True)
    started = [subprocess.Popen([sys.executable, __file__, "member", work, str(r), str(size), str(folder)], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for r in range(size)]
    try: said = [p.communicate(timeout=seconds)[0] for p in started]
    finally:
        for p in started: p.kill()
    return [p.returncode for p in started], said


@pytest.fixture(scope="module", params=[2, 3], ids="{} processes".format)
def group(request, tmp_path_factory):
    "-> what each process found in all_cases."
    folder = tmp_path_factory.mktemp("group")
    codes, said = run_group("all_cases", request.param, folder, 90)
    assert not any(codes), "\n".join(said)
    return [torch.load(folder / f"{r}.pt") for r in range(request.param)]


def check_equal(found, k, points, **options):
    "Hold what all processes found against one process."
    (centroids, labels), said = attempt(k_means_cluster, k, points, generator=seeded(), **options)
    for (one, _), words in found: assert torch.equal(one, found[0][0][0]) and words == said, "the same on all processes"
    one, together = found[0][0][0], torch.cat([labels for (_, labels), _ in found])
    wide = 1e-3 if points.dtype == torch.float16 else 1e-9 if points.dtype == torch.float64 else 1e-5
    assert one.dtype == centroids.dtype and torch.allclose(one, centroids, rtol=wide, atol=wide * float(points.double().std())), (one - centroids).abs().max()
    assert torch.equal(together, labels)


@pytest.mark.parametrize("case", EQUAL)
def test_processes_find_what_one_finds(group, case):
    k, points, how, options = EQUAL[case]()
    check_equal([r[case] for r in group], k, points, **options)


def test_the_starts_are_those_of_one_process(group):
    k, points, *_ = EQUAL["k-means++"]()
    for r in group: assert torch.equal(r["starts"], k_means_plus_plus(k, points, generator=seeded()))


@pytest.mark.parametrize("case", REFUSED)
def test_one_bad_process_stops_all_in_words(group, case):
    _, there, elsewhere = REFUSED[case]
    for rank, r in enumerate(group):
        assert isinstance(r[case], str) and r[case].startswith(there if rank == 1 else elsewhere), (rank, r[case])


def test_a_group_that_refused_goes_on(group):
    assert all(r["group held"] == 0 for r in group), "a refusal keeps no reference to the group, whose process would abort at its end"
    assert all(torch.allclose(r["afterwards"][0], k_means_cluster(6, plane, init=plane[::251])[0], atol=1e-4) for r in group)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process is killed by a signal")
def test_a_process_that_dies_stops_all_in_words(tmp_path):
    codes, said = run_group("one_dies", 3, tmp_path, 40)
    assert codes[1] == -signal.SIGKILL and not (tmp_path / "1.txt").exists()
    for rank in (0, 2):
        assert (tmp_path / f"{rank}.txt").read_text().startswith(f"RuntimeError: group: process {rank} of 3 cannot reach the others; one of them has stopped"), said[rank]


def test_torch_distributed_run(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", __file__, "launched", str(tmp_path)]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    check_equal([(torch.load(tmp_path / f"{r}.pt"), []) for r in range(2)], 6, plane)


@pytest.mark.parametrize("wrong", ["gloo", 2, True], ids=repr)
def test_a_group_is_a_process_group(wrong):
    with pytest.raises(TypeError, match="group: got (str|int|bool), wanted a torch.distributed.ProcessGroup or None"): k_means_cluster(2, plane, group=wrong)


def in_memory_of(extra, path, how, n, d, k, weights):
    "Cluster the file with no more than `extra` MB beyond what is in use before the call; print what was found as JSON."
    import resource
    torch.set_num_threads(1)
    n, d, k = int(n), int(d), int(k)
    k_means_cluster(2, torch.randn(30_000, 8))
    points = torch.from_file(path, shared=True, size=n * d).view(n, d) if how == "torch" else torch.from_numpy(np.memmap(path, np.float32, "r+", shape=(n, d)))
    used = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + int(extra) * 10**6,) * 2)
    try: points.clone()
    except RuntimeError: print("a copy is refused")
    weights = torch.rand(n, generator=seeded()) if weights == "weights" else None
    centroids, labels = k_means_cluster(k, points, max_iters=5, generator=seeded(), weights=weights)
    print(json.dumps({"inertia": None if weights is not None else inertia(points, centroids, labels).item(), "counts": labels.bincount(minlength=k).tolist()}))


FILE = dict(n=800_000, d=128, k=16)


@pytest.fixture(scope="module", params=[0.0, 1e4], ids=["near", "far"])
def large_file(request, tmp_path_factory):
    "A file of 410 MB; its clusters are far from zero or not; deleted in the end."
    path = tmp_path_factory.mktemp("points") / ("far.f32" if request.param else "near.f32")
    centers, g = torch.randn(FILE["k"], FILE["d"], generator=seeded(1)) * 8, seeded(2)
    stored = np.memmap(path, np.float32, "w+", shape=(FILE["n"], FILE["d"]))
    noise = torch.randn(20_000, FILE["d"], generator=g)
    for a in range(0, FILE["n"], len(noise)): stored[a:a + len(noise)] = noise + centers[torch.randint(len(centers), (len(noise),), generator=g)] + request.param
    yield path
    path.unlink()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit on anonymous memory is Linux's")
def test_a_file_larger_than_the_memory_allowed(large_file):
    far = large_file.name.startswith("far")
    how, weights = ("numpy", "weights") if far else ("torch", "")
    command = [sys.executable, __file__, "in_memory_of", "80", str(large_file), how, *map(str, FILE.values()), weights]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "a copy is refused" in done.stdout, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert sum(found["counts"]) == FILE["n"] and min(found["counts"]) > 0
    assert weights or found["inertia"] < 3 * FILE["n"] * FILE["d"]


if __name__ == "__main__": globals()[sys.argv[1]](*sys.argv[2:])
