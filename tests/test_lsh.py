"Hashes collide as their formulas say, tables find what dictionaries find, cells find what the slow loop finds; looking into all cells is exact on hostile input."
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from clusterlab import lsh
from clusterlab.assignment import by_differences
from clusterlab.lsh import LSH, approximate_neighbors, ruler_hashes, side_hashes

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


def seeded(seed=0): return Generator().manual_seed(seed)


def clusters(n, d=16, k=20, seed=0):
    g = seeded(seed)
    return 3 * torch.randn(k, d, generator=g)[torch.randint(0, k, (n,), generator=g)] + 0.5 * torch.randn(n, d, generator=g)


def squared(points, queries): return (queries.double()[:, None] - points.double()[None]).square().sum(2)


def check_answer(points, k, distances, indices, queries=None):
    "Right distances, rising, k different points, ties by index. -> the true k smallest squared distances."
    queries = points if queries is None else queries
    table = squared(points, queries)
    assert distances.shape == indices.shape == (len(queries), k) and indices.dtype == torch.int64
    assert (indices.sort(1).values.diff(dim=1) > 0).all()
    got = table.gather(1, indices)
    assert torch.allclose(distances.double(), got.sqrt(), rtol={torch.float16: 1e-3, torch.bfloat16: 8e-3}.get(distances.dtype, 1e-6), atol=1e-6 * float(table.max().sqrt()))
    assert (distances.diff(dim=1) >= 0).all()
    tied = distances.diff(dim=1) == 0
    if distances.dtype in (torch.float32, torch.float64): assert (indices.diff(dim=1)[tied] > 0).all()
    return got, table.sort(1).values[:, :k]


# ---- hashes

def test_hashes_are_the_slow_loops():
    points, directions, shifts = torch.randn(20, 5, generator=seeded()), torch.randn(5, 7, generator=seeded(1)), torch.rand(7, generator=seeded(2))
    dots = [[sum(float(p[i]) * float(a[i]) for i in range(5)) for a in directions.T] for p in points]
    assert side_hashes(points, directions).tolist() == [[int(t > 0) for t in row] for row in dots]
    assert ruler_hashes(points, directions, shifts, 0.7).tolist() == [[math.floor(t / 0.7 + float(b)) for t, b in zip(row, shifts)] for row in dots]


@pytest.mark.parametrize("angle", [0.1, 0.7, math.pi / 2, 2.5])
def test_planes_part_a_pair_in_proportion_to_its_angle(angle):
    pair = torch.tensor([[1.0, 0, 0], [math.cos(angle), math.sin(angle), 0]])
    same = side_hashes(pair, torch.randn(3, 40_000, generator=seeded())).float().diff(dim=0).eq(0).double().mean()
    assert abs(same - (1 - angle / math.pi)) < 4 * 0.5 / 200


@pytest.mark.parametrize("distance", [0.3, 1.0, 3.0])
def test_rulers_part_a_pair_as_the_integral_says(distance):
    "P = integral over t from 0 to w of the density of |t| times (1 - t / w), added up here, not solved."
    width = 1.5
    t = (torch.arange(100_000, dtype=torch.float64) + 0.5) * width / 100_000
    wanted = (2 / distance / math.sqrt(2 * math.pi) * torch.exp(-(t / distance).square() / 2) * (1 - t / width)).sum() * width / 100_000
    pair = torch.tensor([[0.0, 0], [distance, 0]])
    h = ruler_hashes(pair, torch.randn(2, 40_000, generator=seeded()), torch.rand(40_000, generator=seeded(1)), width)
    assert abs((h[0] == h[1]).double().mean() - wanted) < 4 * 0.5 / 200


# ---- tables

@given(st.integers(1, 60), st.sampled_from([1, 2, 7]), st.integers(1, 6), st.integers(1, 5), st.sampled_from([None, 0.5, 5.0]), st.integers(0, 10**6), st.booleans())
def test_candidates_are_those_of_dictionaries(n, d, hashes, tables, width, seed, copies):
    points = torch.randn(n, d, generator=seeded(seed))
    if copies: points = points.round()
    index = LSH(points, hashes, tables, width, generator=seeded(seed))
    h = index.hashes(points)
    wanted = [[j for j in range(n) if (h[i] == h[j]).all(1).any()] for i in range(n)]
    found = index.candidates(points, n)
    assert found.shape == (n, tables * n) and [row[row >= 0].tolist() for row in found] == wanted


def test_neighbors_are_the_nearest_candidates_and_minus_one_where_there_are_too_few():
    points, queries = clusters(400), clusters(50, seed=1)
    index = LSH(points, 6, 3, generator=seeded())
    distances, indices = index.neighbors(7, queries, most=400)
    table, few = squared(points, queries), 0
    for row, found, near in zip(table, index.candidates(queries, 400), indices):
        ids = found[found >= 0]
        wanted = ids[row[ids].argsort()][:7].tolist()
        few += len(wanted) < 7
        assert near.tolist() == wanted + [-1] * (7 - len(wanted))
    assert torch.equal(distances.isinf(), indices < 0) and few > 0
    assert torch.allclose(distances[indices >= 0].double(), table.gather(1, indices.clamp(min=0)).sqrt()[indices >= 0], rtol=1e-5)


def test_a_bucket_is_read_up_to_most():
    index = LSH(torch.zeros(100, 2), 4, 3, generator=seeded())
    assert index.candidates(torch.zeros(1, 2), 5).sort().values.tolist() == [[-1] * 10 + [0, 1, 2, 3, 4]]
    assert sorted(index.neighbors(9, most=2)[1][0].tolist()) == [-1] * 7 + [0, 1]


def test_planes_pass_through_the_cloud_wherever_it_is():
    points = clusters(2000)
    near, far = (LSH(p, 10, 1, generator=seeded()).bucket(p)[0].unique().numel() for p in (points, points.double() + 1e6))
    assert abs(near - far) < 0.05 * near


@pytest.mark.parametrize("block", [1, 1 << 9])
def test_the_tables_do_not_depend_on_blocks(monkeypatch, block):
    points = clusters(300).double()
    whole = LSH(points, 6, 3, 4.0, generator=seeded()).neighbors(5)
    monkeypatch.setattr(lsh, "BLOCK", block)
    assert all(torch.equal(a, b) for a, b in zip(whole, LSH(points, 6, 3, 4.0, generator=seeded()).neighbors(5)))


# ---- cells

def by_loop(points, queries, centroids, k, n_probe):
    labels, own = (by_differences(p, centroids).argmin(1) for p in (points, queries))
    found = []
    for x, cell in zip(queries, own):
        order = by_differences(centroids[cell][None], centroids)[0].argsort(stable=True)
        probe = n_probe
        while (among := torch.isin(labels, order[:probe]).nonzero()[:, 0]).numel() < k: probe += 1
        found.append(among[by_differences(x[None], points[among])[0].argsort(stable=True)[:k]])
    return torch.stack(found)


@given(st.integers(1, 150), st.sampled_from([1, 2, 3, 16]), st.integers(1, 12), st.integers(1, 6), st.integers(0, 10**6), st.booleans())
def test_it_finds_what_the_slow_loop_finds(n, d, n_cells, n_probe, seed, others):
    points, n_cells, k = torch.randn(n, d, generator=seeded(seed), dtype=torch.float64), min(n, n_cells), 1 + seed % min(n, 9)
    queries = torch.randn(20, d, generator=seeded(seed + 1), dtype=torch.float64) if others else None
    centroids = lsh._centroids(points, n_cells, seeded(seed))
    _, indices = found = approximate_neighbors(points, k, queries, n_cells=n_cells, n_probe=n_probe, generator=seeded(seed))
    check_answer(points, k, *found, queries)
    assert torch.equal(indices, by_loop(points, points if queries is None else queries, centroids, k, n_probe))


HOSTILE = {
    "plain": torch.randn(300, 5, generator=seeded()),
    "duplicates": torch.randint(0, 3, (300, 2), generator=seeded()).float(),
    "on a lattice": torch.cartesian_prod(torch.arange(18.0), torch.arange(18.0)),
    "all equal": torch.full((200, 3), 7.5),
    "far away": torch.randint(0, 64, (300, 3), generator=seeded()).float() + 1e6,
    "one outlier": torch.cat([torch.randn(300, 2, generator=seeded()), torch.tensor([[1e7, -1e7]])]),
    "tight and far apart": 1e4 * torch.randn(6, 1, 4, generator=seeded()).expand(6, 50, 4).reshape(300, 4) + torch.randn(300, 4, generator=seeded(1)),
    "one": torch.randn(1, 4, generator=seeded()),
    "two": torch.randn(2, 1, generator=seeded()),
    "one feature": torch.randn(300, 1, generator=seeded()),
    "64 features": torch.randn(300, 64, generator=seeded()),
    "columns": torch.randn(5, 300, generator=seeded()).T,
    "strided": torch.randn(300, 10, generator=seeded())[:, ::2],
    "bytes": torch.randint(0, 256, (300, 3), dtype=torch.uint8, generator=seeded()),
    "int64": torch.randint(-1000, 1000, (300, 3), generator=seeded()),
    "halves": torch.randn(300, 3, generator=seeded()).half(),
    "bfloat16": torch.randn(300, 3, generator=seeded()).bfloat16(),
    "float64": torch.randn(300, 3, generator=seeded(), dtype=torch.float64) + 1e6}


@pytest.mark.parametrize("name", HOSTILE)
def test_looking_into_all_cells_is_exact(name):
    points = HOSTILE[name]
    for k in sorted({1, min(7, len(points)), len(points)}):
        before = points.clone()
        distances, indices = approximate_neighbors(points, k, n_probe=len(points), generator=seeded())
        assert torch.equal(points, before) and distances.dtype == (points.dtype if points.is_floating_point() else torch.get_default_dtype())
        got, best = check_answer(points, k, distances, indices)
        assert torch.allclose(got, best, rtol=1e-5, atol=1e-10 * float(best.max()))


@pytest.mark.parametrize("name", HOSTILE)
def test_looking_into_one_cell_gives_k_points_with_their_distances(name):
    points = HOSTILE[name]
    for k in sorted({1, min(7, len(points)), len(points)}): check_answer(points, k, *approximate_neighbors(points, k, n_probe=1, generator=seeded()))


def test_scores_are_taken_from_the_cells_centroid():
    "From the mean of all, scores of these points in float32 differ by rounding alone: squares near 1e8, distances near 1."
    points = HOSTILE["tight and far apart"]
    centred = points - points.mean(0)
    table = squared(points, points)
    blind = torch.addmm(centred.square().sum(1), centred, centred.T, alpha=-2).topk(7, 1, largest=False).indices
    true = table.argsort(1)[:, :7]
    share = [(i[:, :, None] == true[:, None]).any(1).float().mean() for i in (blind, approximate_neighbors(points, 7, n_cells=6, n_probe=6, generator=seeded())[1])]
    assert share[0] < 0.9 and share[1] > 0.99


def test_it_finds_nearly_all_in_clusters_and_few_in_the_cube():
    found = {}
    for name, points in {"clustered": clusters(3000, 32, 50), "uniform": torch.rand(3000, 32, generator=seeded())}.items():
        true = torch.cdist(points[:500].double(), points.double()).argsort(1)[:, 1:11]
        found[name] = (approximate_neighbors(points, 11, n_probe=4, generator=seeded())[1][:500, :, None] == true[:, None]).any(1).double().mean()
    assert found["clustered"] > 0.97 and found["uniform"] < 0.5


def test_other_queries_other_dtypes_and_none():
    points, queries = clusters(500), clusters(40, seed=3).double()
    distances, indices = approximate_neighbors(points, 3, queries, n_probe=30, generator=seeded())
    got, best = check_answer(points, 3, distances, indices, queries)
    assert distances.dtype == torch.float64 and torch.allclose(got, best)
    for search in (LSH(points, generator=seeded()).neighbors, lambda k, q: approximate_neighbors(points, k, q)):
        assert [tuple(t.shape) for t in search(3, points[:0])] == [(0, 3), (0, 3)]


@pytest.mark.parametrize("block", [1, 1 << 10, 1 << 30])
def test_the_answer_does_not_depend_on_blocks(monkeypatch, block):
    points = clusters(400).double()
    whole = approximate_neighbors(points, 5, n_probe=2, generator=seeded())
    monkeypatch.setattr(lsh, "BLOCK", block)
    assert all(torch.equal(a, b) for a, b in zip(whole, approximate_neighbors(points, 5, n_probe=2, generator=seeded())))


def test_the_generator_decides_and_the_global_state_moves_only_without_one():
    points, state = clusters(300), torch.get_rng_state()
    a, b = (approximate_neighbors(points, 5, n_probe=1, generator=seeded(4))[1] for _ in range(2))
    c, d = (LSH(points, generator=seeded(4)).neighbors(5)[1] for _ in range(2))
    assert torch.equal(a, b) and torch.equal(c, d) and torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    e = approximate_neighbors(points, 5, n_probe=1)[1]
    torch.manual_seed(1)
    assert torch.equal(e, approximate_neighbors(points, 5, n_probe=1)[1])


def test_points_that_need_gradients_are_searched_without():
    points = clusters(100).requires_grad_()
    assert not approximate_neighbors(points, 3)[0].requires_grad and not LSH(points).neighbors(3)[0].requires_grad


def test_progress_shows_a_bar(capsys):
    approximate_neighbors(clusters(100), 3, progress=True)
    assert "100/100" in capsys.readouterr().err


POINTS = torch.randn(10, 2, generator=seeded())


@pytest.mark.parametrize("call, error, words", [
    (lambda: approximate_neighbors(POINTS, 0), ValueError, "k: got 0, wanted 1 to 10"),
    (lambda: approximate_neighbors(POINTS, 11), ValueError, "k: got 11"),
    (lambda: approximate_neighbors(POINTS, 2.0), TypeError, "k: got 2.0"),
    (lambda: approximate_neighbors(POINTS[:0], 1), ValueError, r"points: got shape \(0, 2\)"),
    (lambda: approximate_neighbors(POINTS[0], 1), ValueError, "points: got shape"),
    (lambda: approximate_neighbors(POINTS / 0, 1), ValueError, "points: got NaN or infinity"),
    (lambda: approximate_neighbors(POINTS.numpy(), 1), TypeError, "points: got ndarray"),
    (lambda: approximate_neighbors(POINTS, 1, POINTS[:, :1]), ValueError, r"queries: got shape \(10, 1\), wanted \(q, 2\)"),
    (lambda: approximate_neighbors(POINTS, 1, POINTS / 0), ValueError, "queries: got NaN or infinity"),
    (lambda: approximate_neighbors(POINTS, 1, POINTS * 1e30), ValueError, "queries: got values that spread"),
    (lambda: approximate_neighbors(POINTS, 1, n_cells=0), ValueError, "n_cells: got 0"),
    (lambda: approximate_neighbors(POINTS, 1, n_cells=11), ValueError, "n_cells: got 11"),
    (lambda: approximate_neighbors(POINTS, 1, n_probe=0), ValueError, "n_probe: got 0"),
    (lambda: approximate_neighbors(POINTS, 1, generator=3), TypeError, "generator: got int"),
    (lambda: LSH(POINTS.cfloat()), TypeError, "points: got torch.complex64"),
    (lambda: LSH(POINTS, 0), ValueError, "hashes: got 0"),
    (lambda: LSH(POINTS, 3, True), TypeError, "tables: got True"),
    (lambda: LSH(POINTS, width=0.0), ValueError, "width: got 0.0"),
    (lambda: LSH(POINTS, width="1"), ValueError, "width: got '1'"),
    (lambda: LSH(POINTS, generator=3), TypeError, "generator: got int"),
    (lambda: LSH(POINTS).neighbors(11), ValueError, "k: got 11"),
    (lambda: LSH(POINTS).neighbors(1, POINTS[:, :1]), ValueError, "queries: got shape"),
    (lambda: LSH(POINTS).neighbors(1, most=0), ValueError, "most: got 0")])
def test_bad_input_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words): call()


# ---- the benchmark

def test_the_benchmark_runs_and_says_who_is_missing(tmp_path, capsys, monkeypatch):
    import lsh as script
    monkeypatch.setattr(script, "find_spec", lambda name: None if name in ("pynndescent", "faiss") else name)
    words = ["--quick", "--only", "cells", "exact", "hashes", "hnsw", "pynndescent", "--data", "clustered", "--threads", str(torch.get_num_threads()), "--out", str(tmp_path / "quick.json")]
    record = script.main(words)
    contestants = record["parts"]["clustered"][0]["contestants"]
    printed = capsys.readouterr()
    assert contestants["pynndescent"] == contestants["faiss HNSW, ef 16"] == {"left_out": "not installed"} and "pynndescent: not installed" in printed.err
    assert contestants["exact"]["recall"] > 0.9999 and contestants[script.BASE]["recall"] > 0.9
    assert (tmp_path / "quick.md").read_text(encoding="utf-8") == script.page(json.loads((tmp_path / "quick.json").read_text())) and "| exact | 1.000 |" in printed.out


def test_the_records_pages_are_those_of_the_script():
    import lsh as script
    for path in (BENCHMARKS / "results").glob("*-lsh-*.json"):
        assert path.with_suffix(".md").read_text(encoding="utf-8") == script.page(json.loads(path.read_text(encoding="utf-8"))), path.name
