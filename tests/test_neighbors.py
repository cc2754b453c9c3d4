"Exact neighbours and the sorted grid: equal to a float64 loop on hostile inputs, ties by index, whatever the method, the queries or the dtype."
import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

import clusterlab.grid as grids
import clusterlab.inner_products as inner_products
import clusterlab.neighbors as neighbors
from clusterlab.grid import Grid, exact_squares
from clusterlab.inner_products import Products, brute_nearest, smallest
from clusterlab.neighbors import nearest_neighbors, radius_counts, radius_neighbors

METHODS = ("grid", "brute", "auto")
KINDS = ("gaussian", "lattice", "tenths", "copies", "equal", "offset", "outlier", "low outlier", "two crowds", "tiny crowd", "line")


SHARE = neighbors.SHARE


def seeded(seed=0): return Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def grids_to_the_end(monkeypatch):
    "However few queries are left and however many points a cell holds, the grid goes on."
    monkeypatch.setattr(neighbors, "FEW", 0)
    monkeypatch.setattr(neighbors, "SHARE", math.inf)


def made(kind, n, d, dtype=torch.float32, seed=0):
    g = seeded(seed)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    if kind == "lattice": x = (x * 2).round()
    if kind == "tenths": x = (x * 5).round() / 10
    if kind == "copies": x = x[torch.randint(max(1, n // 4), (n,), generator=g)]
    if kind == "equal": x = torch.ones_like(x)
    if kind == "offset": x = x + 1e6
    if kind == "outlier": x[-1] = 1e12
    if kind == "low outlier": x[0] = -1e12
    if kind == "two crowds": x[n // 2:] += 1e7
    if kind == "tiny crowd": x[n // 2:] *= 1e-6
    if kind == "line": x = x[:, :1].expand(-1, d)
    return x.to(dtype)


def specification(points, queries, k):
    "Distances and indices (q, k): a query at a time, in float64, ties by index."
    found = [exact_squares(q, points).sort(stable=True) for q in queries]
    return torch.stack([f.values[:k].sqrt() for f in found]), torch.stack([f.indices[:k] for f in found])


def check_nearest(points, k, queries=None):
    distances, indices = specification(points, points if queries is None else queries, k)
    for method in METHODS:
        found = nearest_neighbors(points, k, queries, method=method)
        assert torch.equal(found[1], indices), method
        assert torch.allclose(found[0].double(), distances, rtol=1e-5, atol=1e-30)


def check_radius(points, radius, queries=None):
    asked = points if queries is None else queries
    near = exact_squares(asked[:, None], points[None]) <= radius**2
    for method in METHODS:
        starts, indices, distances = radius_neighbors(points, radius, queries, method=method)
        assert torch.equal(starts.diff(), near.sum(1)) and starts[0] == 0 and torch.equal(indices, near.nonzero()[:, 1]), method
        assert torch.allclose(distances.double(), exact_squares(asked[:, None], points[None])[near].sqrt(), rtol=1e-6)
        assert torch.equal(radius_counts(points, radius, queries, method=method), near.sum(1)), method


# ---- exact

@given(st.integers(1, 200), st.sampled_from([1, 2, 3, 4, 7, 16, 64]), st.sampled_from(KINDS), st.integers(0, 10**6), st.sampled_from([torch.float32, torch.float64]), st.booleans())
@settings(max_examples=80)
def test_nearest_is_the_loop_on_hostile_input(n, d, kind, seed, dtype, others):
    points = made(kind, n, d, dtype, seed)
    queries = made("gaussian", 20, d, dtype, seed + 1) + points[:1] if others else None
    for k in {1, min(n, 5), n}: check_nearest(points, k, queries)


@given(st.integers(1, 200), st.sampled_from([1, 2, 3, 4, 7, 16, 64]), st.sampled_from(KINDS), st.integers(0, 10**6), st.sampled_from([torch.float32, torch.float64]), st.booleans(),
       st.sampled_from([0., 1e-7, 0.1, 0.3, 1., 2., 1e9]))
@settings(max_examples=120)
def test_radius_is_the_loop_on_hostile_input(n, d, kind, seed, dtype, others, radius):
    points = made(kind, n, d, dtype, seed)
    check_radius(points, radius, made("gaussian", 20, d, dtype, seed + 1) + points[:1] if others else None)


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_where_the_grid_has_work_to_do(kind): check_nearest(made(kind, 1_500, 2), 10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.uint8])
def test_half_is_given_back_and_integers_become_the_default(dtype):
    points = (made("gaussian", 300, 2).abs() * 9).to(dtype)
    wanted = dtype if dtype.is_floating_point else torch.float32
    distances, indices = nearest_neighbors(points, 4)
    assert distances.dtype == wanted == radius_neighbors(points, 2)[2].dtype
    assert torch.equal(indices, specification(points.float(), points.float(), 4)[1])


def test_queries_of_a_wider_dtype_widen_the_answer():
    points, queries = made("gaussian", 100, 2), made("gaussian", 10, 2, torch.float64)
    assert nearest_neighbors(points, 3, queries)[0].dtype == torch.float64
    check_nearest(points.double(), 3, queries)


def test_strided_points_and_no_queries():
    points = made("gaussian", 400, 6)[::2, ::3]
    check_nearest(points, 5)
    check_radius(points.T.contiguous().T, 0.5)
    assert nearest_neighbors(points, 5, points[:0])[1].shape == (0, 5)
    starts, indices, distances = radius_neighbors(points, 1., points[:0])
    assert starts.tolist() == [0] and indices.shape == distances.shape == radius_counts(points, 1., points[:0]).shape == (0,)


def test_queries_far_outside_the_points():
    check_nearest(made("gaussian", 500, 2), 3, made("gaussian", 40, 2) * 1e4)
    check_radius(made("gaussian", 500, 2), 5., made("gaussian", 40, 2) * 1e4)


def test_where_rounding_hides_all_differences_all_are_ranked(monkeypatch):
    for module in (inner_products, neighbors): monkeypatch.setattr(module, "rounding", lambda points: (0.5, 0.0))
    check_nearest(made("gaussian", 300, 3), 5)
    products = Products(made("gaussian", 40, 3), made("gaussian", 300, 3))
    assert products.within(slice(0, 40), 5).sort(1).values[:, :300].equal(torch.arange(300).expand(40, -1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block, queries, most", [(1 << 10, 7, 1 << 22), (1 << 12, 64, 1 << 11), (1 << 20, 512, 1 << 12)])
def test_in_any_blocks_and_with_queries_halved(monkeypatch, kind, block, queries, most):
    for name, value in {"BLOCK": block, "QUERIES": queries, "MOST": most}.items(): monkeypatch.setattr(inner_products, name, value)
    points = made(kind, 700, 3)
    for k in (1, 5, 40): assert torch.equal(brute_nearest(points[::5], points, k, lambda done: None)[1], specification(points, points[::5], k)[1])


def test_equal_points_halve_the_queries_and_not_the_answer(monkeypatch):
    monkeypatch.setattr(inner_products, "MOST", 1 << 12)
    sizes, within = [], Products.within
    monkeypatch.setattr(Products, "within", lambda self, at, k: (sizes.append(at.stop - at.start), within(self, at, k))[1])
    distances, indices = brute_nearest(torch.ones(100, 2), torch.ones(1_000, 2), 3, lambda done: None)
    assert (distances == 0).all() and (indices == torch.arange(3)).all()
    assert sizes[0] == 100 and min(sizes) <= 4 and sum(s for s in sizes if s <= 4) == 100


def test_the_grid_leaves_those_in_crowded_cells_to_the_products(monkeypatch):
    "Nine tenths of the points in crowds, the rest between them: for these, in eight dimensions, wider cells soon hold most of the points."
    crowds = 30 * torch.rand(20, 8, generator=seeded())[torch.randint(20, (1_800,), generator=seeded(1))] + 0.3 * torch.randn(1_800, 8, generator=seeded(2))
    points, asked, brute = torch.cat([crowds, 30 * torch.rand(200, 8, generator=seeded(3))]), [], neighbors.brute_nearest
    monkeypatch.setattr(neighbors, "brute_nearest", lambda queries, *rest: (asked.append(len(queries)), brute(queries, *rest))[1])
    for share in (SHARE, math.inf):
        monkeypatch.setattr(neighbors, "SHARE", share)
        assert torch.equal(nearest_neighbors(points, 10, method="grid")[1], specification(points, points, 10)[1])
    assert 0 < asked[0] < 1_000 and sum(asked[1:]) < asked[0]


# ---- defects that the lessons mend

def test_a_product_of_matrices_alone_is_fooled_far_from_the_origin():
    points = made("gaussian", 1_000, 2) * 5 + 1_000
    scores = points.square().sum(1) - 2 * points @ points.T
    truth = specification(points, points, 5)[1]
    assert (scores.topk(5, largest=False).indices != truth).any(1).sum() > 500
    assert torch.equal(nearest_neighbors(points, 5, method="brute")[1], truth)


def test_float32_decides_wrongly_on_the_border():
    line = (torch.arange(40) / 10)[:, None]
    assert ((line - line.T).square() <= 0.3**2).sum() != (exact_squares(line[:, None], line[None]) <= 0.3**2).sum()
    check_radius(line, 0.3)


@pytest.mark.parametrize("method", METHODS)
def test_a_distance_whose_square_float32_cannot_hold_is_not_zero(method):
    points = torch.cat([made("gaussian", 200, 2), torch.tensor([[0., 0.], [1e-25, 0.]])])
    distances, indices = nearest_neighbors(points, 2, method=method)
    assert indices[-1].tolist() == [201, 200] and distances[-1, 1].item() == pytest.approx(1e-25)


def test_rounding_grows_with_the_features():
    x = torch.randn(200, 64, generator=seeded(3))
    for y in x[1:6]: check_radius(x, exact_squares(x[0], y).sqrt().item())


@pytest.mark.parametrize("size", [1, 4, 64, 1024])
def test_a_long_tile_counts_no_candidate_twice(size):
    points = made("gaussian", 1_000, 2)
    grid = Grid(points, 0.2)
    for _, _, c in grid.tiles(size=size):
        for row in c: assert len(row[row < 1_000].unique()) == int((row < 1_000).sum())


@pytest.mark.parametrize("kind", ["outlier", "low outlier"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_outlier_costs_no_cells_and_spoils_no_border(kind, dtype):
    points = made(kind, 2_000, 2, dtype)
    grid = Grid(points, 0.1)
    assert max(grid.dims) < 500
    assert sum(int((c < 2_000).sum()) for _, _, c in grid.tiles(size=4)) < 2_000 * 2_000 / 40


def test_a_tiny_radius_with_more_cells_than_keys_leaves_out_an_axis():
    grid = Grid(torch.rand(20_000, 5, generator=seeded()), 1e-9, axes=5)
    assert len(grid.dims) == len(grid.axes) == 4 and math.prod(grid.dims) < 2**62


# ---- parts

@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("n", [1, 4096, 4097, 20_000, grids.RADIX - 1, grids.RADIX, grids.RADIX + 1])
def test_points_are_in_the_order_of_their_keys_and_stay_in_theirs_where_keys_are_equal(n, dtype):
    "Some thousands of keys are filled up with the largest integer, and it may be among them."
    top = torch.iinfo(dtype).max
    key = torch.randint(top - 50, top, (n,), generator=seeded(), dtype=dtype) + (torch.arange(n) % 7 == 0).to(dtype)
    found = grids.by_key(torch.arange(n, dtype=torch.float64)[:, None], key)
    wanted = torch.tensor(sorted(range(n), key=key.tolist().__getitem__))
    assert torch.equal(found.order, wanted) and torch.equal(found.key, key[wanted]) and torch.equal(found.points[:, 0], wanted.double())


def test_distances_are_right_in_memory_that_held_others():
    points = made("gaussian", 300, 3)
    grid = Grid(points, 1.0)
    for t, c in [(4, 300), (2, 7), (50, 200)]:
        q, near = torch.arange(t)[None], torch.randint(300, (1, c), generator=seeded())
        assert torch.allclose(grid.squared_distances(q, near).double(), exact_squares(grid.points[q][:, :, None], grid.points[near][:, None]), rtol=1e-5)
    grid.spares[0].resize_(0)
    assert grid.squared_distances(torch.zeros(grids.MOST // 512 + 1, 16, dtype=torch.long), torch.zeros(grids.MOST // 512 + 1, 16, dtype=torch.long)).abs().max() == 0


@given(st.integers(1, 5), st.integers(1, 3000), st.integers(1, 40), st.integers(0, 10**6), st.booleans())
@settings(max_examples=40)
def test_smallest_is_topk(m, n, k, seed, ties):
    scores = torch.randint(0, 9, (m, n), generator=seeded(seed)).float() if ties else torch.randn(m, n, generator=seeded(seed))
    values, columns = smallest(scores, min(k, n))
    assert torch.equal(values, scores.topk(min(k, n), largest=False).values) and torch.equal(scores.gather(1, columns), values)
    assert all(len(row.unique()) == len(row) for row in columns)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("reach", [1, 2])
def test_a_grid_yields_each_query_once_and_all_its_neighbours(d, reach):
    points = made("gaussian", 500, d)
    grid, seen, near, counted = Grid(points, 0.4, reach=reach), [], torch.zeros(501, dtype=torch.long), torch.zeros(501, dtype=torch.long)
    for _, q, c in grid.tiles():
        seen.append(q[q < 500])
        near[q], counted[q] = grid.within(q, c, 0.4 * reach).sum(-1), grid.counts(q, c, 0.4 * reach)
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(500))
    assert torch.equal(near, counted) and torch.equal(near[:-1], (exact_squares(grid.points[:, None], grid.points[None]) <= (0.4 * reach) ** 2).sum(1))


def test_a_mask_says_which_queries_ask():
    points = made("gaussian", 500, 2)
    grid = Grid(points, 0.4)
    mask = torch.rand(500, generator=seeded()) < 0.3
    asked = torch.cat([q[q < 500] for _, q, _ in grid.tiles(mask=mask)])
    assert torch.equal(asked.sort().values, mask.nonzero()[:, 0])
    assert not list(grid.tiles(mask=torch.zeros_like(mask)))


# ---- promises

def test_more_candidates_than_float32_can_count():
    grid, many = Grid(torch.zeros(2, 1), 1.0), 2**24 + 3
    assert grid.counts(torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, many, dtype=torch.long), 1.0).item() == many


@pytest.mark.parametrize("words, call", [
    ("points: got shape", lambda: nearest_neighbors(torch.zeros(0, 2), 1)), ("points: got shape", lambda: radius_neighbors(torch.zeros(3), 1)),
    ("points: got NaN", lambda: nearest_neighbors(torch.full((3, 2), math.nan), 1)), ("k: got 0", lambda: nearest_neighbors(torch.zeros(3, 2), 0)),
    ("k: got 4", lambda: nearest_neighbors(torch.zeros(3, 2), 4)), ("k: got 1.0", lambda: nearest_neighbors(torch.zeros(3, 2), 1.0)),
    ("queries: got shape", lambda: nearest_neighbors(torch.zeros(3, 2), 1, torch.zeros(3, 1))), ("queries: got list", lambda: nearest_neighbors(torch.zeros(3, 2), 1, [[0, 0]])),
    ("queries: got NaN", lambda: radius_counts(torch.zeros(3, 2), 1, torch.full((3, 2), math.inf))), ("method: got 'tree'", lambda: nearest_neighbors(torch.zeros(3, 2), 1, method="tree")),
    ("radius: got -1", lambda: radius_neighbors(torch.zeros(3, 2), -1)), ("radius: got nan", lambda: radius_counts(torch.zeros(3, 2), math.nan)),
    ("radius: got 'far'", lambda: radius_neighbors(torch.zeros(3, 2), "far"))])
def test_bad_input_is_refused_in_words(words, call):
    with pytest.raises((TypeError, ValueError), match=words): call()


def test_nothing_passed_is_changed_and_no_random_state_moves():
    points, queries = made("gaussian", 2_000, 2), made("gaussian", 100, 2)
    before, state = (points.clone(), queries.clone()), torch.get_rng_state()
    for method in METHODS:
        nearest_neighbors(points, 5, queries, method=method)
        radius_neighbors(points, 0.5, queries, method=method)
    assert torch.equal(points, before[0]) and torch.equal(queries, before[1]) and torch.equal(torch.get_rng_state(), state)


def test_the_survey_tells_crowds_from_uniform_points(monkeypatch):
    monkeypatch.setattr(neighbors, "SHARE", SHARE)
    used = []
    real = neighbors._grid_nearest
    monkeypatch.setattr(neighbors, "_grid_nearest", lambda *a: used.append("grid") or real(*a))
    nearest_neighbors(torch.rand(3_000, 2, generator=seeded()), 5)
    assert used == ["grid"]
    nearest_neighbors(torch.rand(3_000, 16, generator=seeded()), 5)
    assert used == ["grid"]


def test_the_same_with_other_blocks(monkeypatch):
    points = made("copies", 600, 3)
    before = [nearest_neighbors(points, 7, method=m)[1] for m in METHODS] + [radius_neighbors(points, 0.7, method=m)[1] for m in METHODS]
    for module in (grids, inner_products, neighbors): monkeypatch.setattr(module, "MOST", 1 << 12)
    after = [nearest_neighbors(points, 7, method=m)[1] for m in METHODS] + [radius_neighbors(points, 0.7, method=m)[1] for m in METHODS]
    assert all(torch.equal(a, b) for a, b in zip(before, after))


def test_progress_is_shown_when_asked_for_alone(capfd):
    points = made("gaussian", 2_000, 2)
    nearest_neighbors(points, 5)
    assert capfd.readouterr().err == ""
    for call in (lambda: nearest_neighbors(points, 5, method="grid", progress=True), lambda: nearest_neighbors(points, 5, method="brute", progress=True),
                 lambda: radius_neighbors(points, 0.1, progress=True), lambda: radius_counts(points, 0.1, progress=True)):
        call()
        assert "2000/2000" in capfd.readouterr().err


def test_memory_does_not_grow_with_pairs():
    if not os.path.exists("/proc/self/status"): pytest.skip("needs /proc")
    code = """
import torch
from clusterlab.neighbors import radius_counts, nearest_neighbors
peak = lambda: int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]) / 1024
x = torch.rand(20_000, 2)
nearest_neighbors(x[:3000], 5); nearest_neighbors(x[:3000], 5, method='brute'); radius_counts(x[:3000], .1)
before = peak()
nearest_neighbors(x[:10_000], 5, x, method='brute'); radius_counts(x, .2)
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 400, "all pairs at once would take 800 MB"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_on_a_gpu(kind):
    points = made(kind, 3_000, 3)
    for method in METHODS:
        assert torch.equal(nearest_neighbors(points.cuda(), 5, method=method)[1].cpu(), nearest_neighbors(points, 5, method=method)[1])
        assert torch.equal(radius_neighbors(points.cuda(), 0.3, method=method)[1].cpu(), radius_neighbors(points, 0.3, method=method)[1])
