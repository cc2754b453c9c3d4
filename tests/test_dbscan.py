"The promises of clusterlab.dbscan: the slow loop's labels, scikit-learn's labels number for number, and what its own tests and hostile input ask for."
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from clusterlab import dbscan
from clusterlab.data import default_device, lesson_data
from clusterlab.dbscan import dbscan_cluster, join, number, parts, spans

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import dbscan as benchmark  # noqa: E402

device = default_device()
DATA = lesson_data()[1]


def seeded(seed=0): return Generator().manual_seed(seed)


def slow(points, eps, min_samples):
    "The specification: sets of neighbours, and a queue."
    rows = points.cpu().double().tolist()
    near = [{j for j, y in enumerate(rows) if sum((a - b) ** 2 for a, b in zip(x, y)) <= eps * eps} for x in rows]
    labels, cluster = [-1] * len(rows), 0
    for start in range(len(rows)):
        if labels[start] >= 0 or len(near[start]) < min_samples: continue
        labels[start], queue = cluster, [start]
        while queue:
            i = queue.pop()
            if len(near[i]) < min_samples: continue
            for j in near[i]:
                if labels[j] < 0:
                    labels[j] = cluster
                    queue.append(j)
        cluster += 1
    return torch.tensor(labels), torch.tensor([len(s) >= min_samples for s in near])


def cluster(points, eps, min_samples=5, **options):
    labels, core = dbscan_cluster(points.to(device), eps, min_samples, **options)
    assert labels.dtype == torch.int64 and core.dtype == torch.bool and labels.shape == core.shape == points.shape[:1]
    assert labels.device == core.device == points.to(device).device
    return labels.cpu(), core.cpu()


def check(points, eps, min_samples=5):
    labels, core = cluster(points, eps, min_samples)
    expected, expected_core = slow(points.float() if points.dtype == torch.float16 else points, eps, min_samples)
    assert torch.equal(core, expected_core) and torch.equal(labels, expected)
    return labels, core


# ---- against the slow loop, and scikit-learn

@settings(max_examples=150)
@given(st.integers(1, 60), st.sampled_from([1, 2, 3, 4, 9, 16, 64]), st.integers(0, 10**6), st.sampled_from(["normal", "lattice", "tenths", "duplicates", "offset", "outlier", "equal"]),
       st.integers(1, 6), st.sampled_from([torch.float64, torch.float32, torch.float16, torch.int64, torch.uint8]), st.sampled_from([0.5, 1.0, 2.0]))
def test_equals_the_slow_loop(n, d, seed, kind, min_samples, dtype, scale):
    g = seeded(seed)
    points = torch.randn(n, d, generator=g, dtype=torch.float64)
    if kind in ("lattice", "tenths"): points = torch.randint(0, 5, (n, d), generator=g).double() / (2 if kind == "lattice" else 10)
    if kind == "duplicates": points = points[torch.randint(5, (n,), generator=g) % n]
    if kind == "offset": points = points + (1e2 if dtype in (torch.uint8, torch.float16) else 1e6)
    if kind == "outlier": points[0] = 200 if dtype in (torch.uint8, torch.float16) else 1e6
    if kind == "equal": points = points[:1].repeat(n, 1)
    points = (points * 4).round().abs().clamp(max=255).to(dtype) if dtype == torch.uint8 else (points * 4).round().to(dtype) if dtype == torch.int64 else points.to(dtype)
    eps = scale * ((points[0].double() - points[n // 2].double()).square().sum().sqrt().item() or 0.5 * d**0.5)
    check(points, eps, min_samples)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_rows_of_cells_one_by_one_or_all_at_once(monkeypatch, d):
    points, eps = torch.rand(1500, d, generator=seeded()), {1: 1e-3, 2: 0.03, 3: 0.09}[d]
    labels, core = dbscan_cluster(points, eps)
    assert 1 < len(labels.unique()) and not core.all()
    monkeypatch.setattr("clusterlab.dbscan.PAIRS", 0)
    again, core_again = dbscan_cluster(points, eps)
    assert torch.equal(labels, again) and torch.equal(core, core_again)


def test_400_random_cases_equal_scikit_learn_label_for_label():
    found = [benchmark.verdict(seed) for seed in range(400)]
    assert "different" not in found and found.count("equal") >= 380


@pytest.mark.parametrize("d, how, n", [(2, "density", 6000), (3, "density", 6000), (2, "extent", 4000), (3, "extent", 4000), (5, "blobs", 1500), (33, "blobs", 1500)])
def test_equals_scikit_learn_on_thousands(d, how, n):
    points, eps = benchmark.noisy(n, d, how)
    assert benchmark.same(cluster(points, eps, 10), benchmark.theirs(points, eps, 10))


def test_the_lessons_data():
    labels, core = cluster(DATA, 1.5)
    assert benchmark.same((labels, core), benchmark.theirs(DATA, 1.5, 5)) and labels.max() == 5


# ---- scikit-learn's own cases

def test_no_core_samples():
    for d in (1, 2, 3, 4, 10, 20):
        labels, core = cluster(torch.rand(40, d, generator=seeded()), 1e-4)
        assert (labels == -1).all() and not core.any()


def test_boundaries_are_inclusive():
    "eps and min_samples."
    labels, core = cluster(torch.tensor([[0.0], [1.0]]), 1.0, 2)
    assert labels.tolist() == [0, 0] and core.all()
    labels, core = cluster(torch.tensor([[1.0], [1.0], [2.0]]), 0.99, 2)
    assert labels.tolist() == [0, 0, -1] and core.tolist() == [True, True, False]
    assert cluster(torch.tensor([[0.0], [1.0]]), 1.0, 3)[0].tolist() == [-1, -1]


@pytest.mark.parametrize("min_samples, core", [(1, [0, 1, 2, 3]), (2, [1, 2, 3]), (3, [2]), (4, [])])
def test_core_samples_toy(min_samples, core):
    labels, found = cluster(torch.tensor([[0], [2], [3], [4]]), 1, min_samples)
    assert found.nonzero()[:, 0].tolist() == core
    assert labels.tolist() == {1: [0, 1, 1, 1], 2: [-1, 0, 0, 0], 3: [-1, 0, 0, 0], 4: [-1] * 4}[min_samples]


def test_degenerate():
    assert cluster(torch.eye(10), 0.5, 2)[0].tolist() == [-1] * 10
    assert cluster(torch.zeros(10, 10), 0.5, 2)[0].tolist() == [0] * 10
    for n in (1, 2, 500): assert cluster(torch.zeros(n, 2), 0.5, 2)[0].tolist() == ([-1] if n == 1 else [0] * n)
    assert cluster(torch.ones(1, 3), 1, 1)[0].tolist() == [0]


def test_input_is_not_changed_and_its_layout_does_not_matter():
    points = torch.rand(60, 4, generator=seeded())
    before, expected = points.clone(), cluster(points, 0.3)[0]
    assert torch.equal(points, before)
    for same in (points.T.contiguous().T, points.repeat_interleave(2, 1)[:, ::2], points.requires_grad_()): assert torch.equal(cluster(same, 0.3)[0], expected)


def test_core_points_properties():
    "Of cuML's tests: each core point is in a cluster; near core points share it; each border point has a near core point of its cluster, noise none."
    points, eps = benchmark.noisy(1500, 2, "density")
    labels, core = cluster(points, eps, 8)
    near = torch.cdist(points.double(), points.double()) <= eps
    assert torch.equal(core, near.sum(1) >= 8) and (labels[core] >= 0).all()
    joined = near & core & core[:, None]
    assert (labels[:, None] == labels)[joined].all()
    for i in (~core).nonzero()[:, 0].tolist():
        mine = labels[near[i] & core]
        assert labels[i] == (mine.min() if len(mine) else -1)


def test_a_chain_is_one_cluster_in_any_order():
    points = torch.arange(3000.0)[torch.randperm(3000, generator=seeded()), None]
    for d in (1, 2, 4, 17): assert (cluster(points.repeat(1, d), d**0.5 * (1 + 1e-9), 2)[0] == 0).all()


# ---- hostile

def test_pairs_at_exactly_eps_on_a_lattice():
    for step, d in ((0.25, 2), (0.1, 2), (0.1, 3), (1.0, 4)):
        axis = torch.arange(7 if d < 4 else 4, dtype=torch.float64) * step
        check(torch.cartesian_prod(*[axis] * d), step, 2 * d + 1)


def test_points_on_cell_borders():
    for d in (1, 2, 3):
        side = 1 / d**0.5
        points = torch.randint(0, 9, (300, d), generator=seeded(d)).double() * side
        for nudge in (0, 1e-16, -1e-16, 1e-9): check(points[:150] * (1 + nudge), 1.0, 4)


def test_offsets_and_outliers():
    points = torch.randn(80, 2, generator=seeded(), dtype=torch.float64).mul_(8).round_().div_(8)
    expected = check(points, 0.5, 4)[0]
    for offset in (1e6, -1e9): assert torch.equal(cluster(points + offset, 0.5, 4)[0], expected)
    for far in (1e7, 1e12):
        with_one = torch.cat([points, torch.full((1, 2), far, dtype=torch.float64)])
        assert torch.equal(cluster(with_one, 0.5, 4)[0], torch.cat([expected, torch.tensor([-1])]))


@pytest.mark.parametrize("eps", [1e-300, 1e-160, 1e-30, 1e30, 1e300])
def test_any_eps(eps):
    points = torch.randn(30, 2, generator=seeded()).repeat(2, 1)
    for dtype in (torch.float32, torch.float64):
        for d in (1, 2):
            labels, core = cluster(points[:, :d].to(dtype), eps, 2)
            assert core.all() and labels.tolist() == ([0] * 60 if eps > 1 else [*range(30)] * 2)


def test_two_crowds_that_do_not_touch_stay_apart_and_fit_in_memory(monkeypatch):
    monkeypatch.setattr(dbscan.parts, "__defaults__", (1 << 10,))
    g = seeded()
    points = torch.cat([torch.rand(400, 2, generator=g) * 0.05, torch.rand(400, 2, generator=g) * 0.05 + torch.tensor([1.04, 0.0])])
    gap = torch.cdist(points[:400].double(), points[400:].double()).min().item()
    assert cluster(points, gap * (1 - 1e-6))[0].max() == 1 and cluster(points, gap * (1 + 1e-6))[0].max() == 0


def test_memory_does_not_hold_the_neighbours():
    "100,000 points with 552 neighbours each, which would take 440 MB; and 40,000 points in one place, 1.6e9 neighbours, 12 GB."
    found = benchmark.harness.peak_memory(ROOT / "benchmarks/dbscan.py", "prepare", n=100_000, d=2, how="extent", who="clusterlab")
    assert "bytes" in found and (found["bytes"] < 150e6 or not found["exact"]), found
    assert (cluster(torch.randn(40_000, 2, generator=seeded()) / 100, 1.0)[0] == 0).all()


def test_bad_input_is_refused():
    points = torch.zeros(5, 2)
    for bad in (points[:0], points[0], points.new_full((5, 2), torch.nan), points[:, :0]):
        with pytest.raises(ValueError, match="^points: got"): dbscan_cluster(bad, 1.0)
    for bad in (points.numpy(), points > 0, points.to(torch.complex64)):
        with pytest.raises(TypeError, match="^points: got"): dbscan_cluster(bad, 1.0)
    for eps in (0, -1.0, torch.inf, torch.nan, "1", None):
        with pytest.raises(ValueError, match="^eps: got"): dbscan_cluster(points, eps)
    with pytest.raises(ValueError, match="^min_samples: got"): dbscan_cluster(points, 1.0, 0)
    with pytest.raises(TypeError, match="^min_samples: got"): dbscan_cluster(points, 1.0, 2.0)


def test_random_state_and_threads():
    points, eps = benchmark.noisy(3000, 2, "density")
    state, before = torch.get_rng_state(), torch.get_num_threads()
    first = cluster(points, eps)
    assert torch.equal(torch.get_rng_state(), state)
    try:
        torch.set_num_threads(3 - min(before, 2))
        assert all(torch.equal(a, b) for a, b in zip(first, cluster(points, eps)))
    finally: torch.set_num_threads(before)


@pytest.mark.parametrize("d", [2, 20])
def test_progress_says_how_far_it_is(d, capsys):
    points, eps = benchmark.noisy(5000, d, "density" if d == 2 else "blobs")
    assert torch.equal(cluster(points, eps, progress=True)[0], cluster(points, eps)[0])
    said = capsys.readouterr().err
    assert "counting: 100%" in said and "borders: 100%" in said and ("connecting: 100%" in said) == (d == 20)


# ---- the parts

@settings(max_examples=100)
@given(st.integers(1, 80), st.integers(0, 160), st.integers(0, 10**6), st.integers(1, 5))
def test_join_finds_the_components(n, m, seed, portions):
    u, v = torch.randint(n, (2, m), generator=seeded(seed))
    labels = torch.arange(n)
    for some in torch.arange(m).chunk(portions): join(labels, u[some], v[some])
    expected = list(range(n))
    for _ in range(n):
        for a, b in zip(u.tolist(), v.tolist()): expected[a] = expected[b] = min(expected[a], expected[b])
    assert labels.tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), min_size=1, max_size=20), st.integers(1, 12))
def test_spans_and_parts(ranges, most):
    starts, lengths = torch.tensor(ranges).T
    which, values = spans(starts, lengths)
    assert values.tolist() == [i for s, m in ranges for i in range(s, s + m)] and which.tolist() == [r for r, (_, m) in enumerate(ranges) for _ in range(m)]
    found = [lengths[part].tolist() for part in parts(lengths, most)]
    assert sum(found, []) == lengths.tolist() and all(sum(sizes) <= most or len(sizes) == 1 for sizes in found)


def test_number_counts_by_first_appearance():
    assert number(torch.tensor([7, 7, 2, 9, 2, 7])).tolist() == [0, 0, 1, 2, 1, 0]


@pytest.mark.parametrize("offset", [0, 1e4, 1e7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_pairs_and_the_grid_agree_where_products_cannot_tell(offset, dtype, monkeypatch):
    points = (torch.randint(0, 3, (150, 6), generator=seeded()).to(dtype) + offset).to(device)
    points[0] += 1e5
    found = []
    for share in (0, 2):
        monkeypatch.setattr(dbscan, "SHARE", share)
        found.append(dbscan_cluster(points, 1.0, 3))
    assert all(torch.equal(a, b) for a, b in zip(*found)) and found[0][0].max() > 0
    assert benchmark.same([t.cpu() for t in found[1]], benchmark.exactly(points.cpu(), 1.0, 3))


def test_the_benchmark_runs_and_reads_its_record(tmp_path, capsys):
    command = [sys.executable, ROOT / "benchmarks/dbscan.py", "--quick", "--parts", "time,equal", "--out", tmp_path / "quick.json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "| NO |" not in done.stdout and "50 random cases" in done.stdout, done.stderr[-2000:]
    benchmark.main(["--show", str(tmp_path / "quick.json")])
    assert capsys.readouterr().out.strip() == (tmp_path / "quick.md").read_text(encoding="utf-8").strip()
