"k-means on random cases, small and hostile (those of benchmarks/stale_labels.py), and of a medium size that reaches every branch of the engine; and structures that products of floats cannot see."
import sys
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from clusterlab import assignment, centroid_update, initialization, preparation
from clusterlab.kmeans import _farthest, _fit, _label, assign, inertia, k_means_cluster

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import stale_labels  # noqa: E402


def seeded(seed=0): return Generator().manual_seed(seed)


def slow_iteration(points, centroids, weights=None):
    "A loop over blocks of points in float64: labels, and the centroids after one update (nan where a cluster is empty)."
    x, c = points.double(), centroids.double()
    labels = torch.cat([(rows[:, None] - c[None]).square().sum(2).argmin(1) for rows in x.split(256)])
    w = torch.ones(len(x), dtype=torch.float64) if weights is None else weights.double()
    member = torch.nn.functional.one_hot(labels, len(c)).double() * w[:, None]
    return labels, member.T @ x / member.sum(0)[:, None]


def own_squares(points, centroids, labels): return (points.double() - centroids.double()[labels]).square().sum(1)


def check_labels(points, centroids, labels, slack=1e-6):
    own = own_squares(points, centroids, labels).sqrt()
    best = own_squares(points, centroids, slow_iteration(points, centroids)[0]).sqrt()
    assert (own <= best * (1 + slack)).all()


def shrink(patch):
    "Blocks so small that little data fills many, and no case is small."
    for module in (assignment, centroid_update, preparation): patch.setattr(module, "BLOCK", 1 << 10)
    for module in (assignment, initialization, preparation): patch.setattr(module, "SMALL", 0)
    for module in (assignment, initialization): patch.setattr(module, "TILE", 64)
    patch.setattr(centroid_update, "DEAR", 0)


@pytest.fixture
def tiny_blocks(monkeypatch): shrink(monkeypatch)


# ---- small and hostile

def test_no_stale_label_and_no_empty_cluster_on_3000_cases():
    found = stale_labels.count(stale_labels.clusterlab, stale_labels.cases(3000, seed=1))
    assert found.cases == 3000 and found.stale == found.empty == 0, found.first


def test_the_same_in_tiny_blocks(tiny_blocks):
    found = stale_labels.count(stale_labels.clusterlab, stale_labels.cases(1000, seed=2))
    assert found.stale == found.empty == 0, found.first


def test_the_counts_see_a_stale_label_and_an_empty_cluster():
    points = torch.tensor([[0.], [1.], [10.]])
    assert stale_labels.stale(points, torch.tensor([[0.], [10.]]), torch.tensor([0, 1, 1])) == 1
    assert stale_labels.left_empty(points, 3, torch.tensor([0, 0, 2]), None) == 1
    assert stale_labels.left_empty(points, 3, torch.tensor([0, 0, 2]), torch.tensor([1., 0, 1])) == 0
    assert stale_labels.left_empty(points[[0, 0, 0]], 3, torch.tensor([0, 0, 0]), None) == 0


def test_the_benchmark_prints_a_line_for_each(capsys):
    before = torch.get_num_threads()
    try: stale_labels.main(["--cases", "20", "--peer-cases", "10"])
    finally: torch.set_num_threads(before)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["clusterlab", "scikit-learn"] and "20 cases" in lines[0] and "10 cases" in lines[1]


# ---- medium, every branch

LAYOUTS = {"as is": lambda p: p, "strided": lambda p: torch.stack([p, -p], 1).flatten(1)[:, :p.shape[1]], "columns": lambda p: p.T.contiguous().T,
           "float64": lambda p: p.double(), "half": lambda p: p.half(), "bfloat16": lambda p: p.bfloat16(), "uint8": lambda p: (p * 20 + 128).clamp(0, 255).to(torch.uint8),
           "int32": lambda p: (p * 1000).int()}


@settings(max_examples=60)
@given(st.integers(65, 900), st.sampled_from([1, 2, 3, 8, 9, 20, 70]), st.sampled_from([1, 2, 5, 40, 64]), st.integers(0, 10**6), st.sampled_from(list(LAYOUTS)),
       st.booleans(), st.sampled_from([0, 30]), st.integers(1, 8))
def test_one_update_and_many_against_the_slow_loop(n, d, k, seed, layout, weighted, offset, iters):
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        points = LAYOUTS[layout](torch.randn(n, d, generator=seeded(seed)) + (offset if layout not in ("uint8", "bfloat16") else 0))
        before = points.clone()
        weights = torch.randint(0, 4, (n,), generator=seeded(seed)).float().index_fill(0, torch.arange(k), 1) if weighted else None
        init = points[:k] if points.is_floating_point() else points[:k].float()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first = _fit(k, points, 1, 0., init, 1, weights, None)
            last = _fit(k, points, iters, 0., init, 1, weights, None)
    _, expected = slow_iteration(points, init, weights)
    eps = torch.finfo(first.centroids.dtype).eps * (1 + points.double().abs().max().item())
    two = torch.cdist(points.double(), init.double(), compute_mode="donot_use_mm_for_euclid_dist").topk(min(2, k), 1, largest=False).values.square()
    clear = k == 1 or (two[:, 1] - two[:, 0]).min() > 1e3 * eps
    if clear and not expected.isnan().any() and first.empty == 0 and points.dtype in (torch.float32, torch.float64):
        assert torch.allclose(first.centroids.double(), expected, rtol=0, atol=20 * eps)
    w = torch.ones(n, dtype=torch.float64) if weights is None else weights.double()
    for fit in (first, last):
        check_labels(points, fit.centroids, fit.labels)
        total = (own_squares(points, fit.centroids, fit.labels) * w).sum().item()
        assert fit.inertia == pytest.approx(total, rel=1e-5, abs=1e-9)
        if weights is None: assert inertia(points, fit.centroids, fit.labels).item() == pytest.approx(total, rel=1e-6, abs=1e-9)
    if points.dtype not in (torch.float16, torch.bfloat16): assert last.inertia <= first.inertia * (1 + 1e-4) + 1e-9
    assert torch.equal(points, before)


@pytest.mark.parametrize("d", [3, 12])
def test_twenty_updates_equal_twenty_slow_ones(tiny_blocks, d):
    "No cluster goes empty here, so that the incremental sums are held to the loop over all twenty."
    points = torch.randn(1500, d, generator=seeded(), dtype=torch.float64)
    centroids = init = points[:6]
    for _ in range(20): centroids = slow_iteration(points, centroids)[1]
    for p in (points, points + 1e5):
        found, labels = k_means_cluster(6, p, 20, 0, init=init + (p - points)[:6])
        assert torch.allclose(found, centroids + (p - points)[0], rtol=0, atol=1e-8)
        assert torch.equal(labels, slow_iteration(points, centroids)[0])


def test_labels_of_more_than_256_clusters(tiny_blocks):
    points = torch.randn(2000, 4, generator=seeded())
    init = points[:400]
    found, labels = k_means_cluster(400, points, 1, 0, init=init)
    assert torch.allclose(found.double(), slow_iteration(points, init)[1], atol=1e-5) and labels.unique().numel() == 400
    check_labels(points, *k_means_cluster(400, points, 5, 0, init=init))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [2, 12])
def test_clusters_filled_within_the_iterations(tiny_blocks, d, weighted):
    "All centroids start at the same place: every one but the first is empty, and is filled while iterating."
    points = torch.randn(700, d, generator=seeded()) + 50 * torch.randint(0, 3, (700, 1), generator=seeded(1))
    weights = torch.rand(700, generator=seeded(2)) + 0.1 if weighted else None
    centroids, labels = k_means_cluster(7, points, 30, 0, init=torch.zeros(7, d), weights=weights)
    assert labels.unique().numel() == 7
    check_labels(points, centroids, labels)


def test_the_outlier_that_leaves_a_cluster_leaves_nothing_of_itself(tiny_blocks):
    "The sums move with the points; a point at 1e12 that moves on must not take the digits of those that stay."
    points = torch.randn(2000, 2, generator=seeded(), dtype=torch.float64)
    points[0] = 1e12
    centroids, labels = k_means_cluster(3, points, 30, 0, init=torch.tensor([[0., 0], [1, 1], [3, 3]]).double())
    means = torch.stack([points[labels == j].mean(0) for j in range(3)])
    assert torch.allclose(centroids, means, rtol=1e-12, atol=1e-7)


# ---- structures that hurt scores

@pytest.mark.parametrize("n_each", [10, 400])
@pytest.mark.parametrize("d", [2, 12])
def test_tight_pairs_far_apart(d, n_each):
    "Twelve clusters of spread 0.01, in six pairs 0.1 apart, 1e4 from the next: float32 products round to 8."
    places = torch.randn(6, 1, d, generator=seeded(), dtype=torch.float64) * 1e4
    apart = torch.zeros(1, 2, d, dtype=torch.float64)
    apart[0, 1, 0] = 0.1
    truth = torch.arange(12).repeat_interleave(n_each)
    points = ((places + apart).flatten(0, 1)[truth] + 0.01 * torch.randn(12 * n_each, d, generator=seeded(1), dtype=torch.float64)).float()
    best = own_squares(points, torch.stack([points[truth == j].double().mean(0) for j in range(12)]), truth).sum()
    centroids, labels = k_means_cluster(12, points, 100, n_init=5, generator=seeded())
    check_labels(points, centroids, labels)
    assert own_squares(points, centroids, labels).sum() <= best * 1.05
    init = (places + apart).flatten(0, 1).float()
    assert (k_means_cluster(12, points, 10, 0, init=init)[1] == truth).float().mean() > 0.99


@pytest.mark.parametrize("k", [3, 20])
def test_one_outlier_at_a_million(k):
    points = torch.randn(3000, 3, generator=seeded())
    points[17] = 1e6
    centroids, labels = k_means_cluster(k, points, 20, generator=seeded())
    check_labels(points, centroids, labels)
    assert (labels == labels[17]).sum() == 1
    rest = torch.arange(3000) != 17
    alone = k_means_cluster(k - 1, points[rest], 20, generator=seeded())
    assert own_squares(points, centroids, labels).sum() < 1.1 * own_squares(points[rest], *alone).sum()


def test_one_feature():
    points = torch.rand(5000, 1, generator=seeded()) + 1e4
    centroids, labels = k_means_cluster(20, points, 50, generator=seeded())
    check_labels(points, centroids, labels)
    order = centroids[:, 0].argsort().argsort()[labels]
    assert (order[points[:, 0].argsort()].diff() >= 0).all()


@pytest.mark.parametrize("radius", [1., 1e3])
def test_clusters_on_a_ring_around_the_mean(radius):
    angle = torch.arange(32) * (2 * torch.pi / 32)
    truth = torch.arange(32).repeat(100)
    places = radius * torch.stack([angle.cos(), angle.sin()], 1)
    points = places[truth] + radius * 0.005 * torch.randn(3200, 2, generator=seeded())
    centroids, labels = k_means_cluster(32, points, 50, init=places)
    assert torch.equal(labels, truth)
    check_labels(points, *k_means_cluster(32, points, 50, generator=seeded()))


@pytest.mark.parametrize("n", [20, 30_000])
@pytest.mark.parametrize("offset", [0., 1e6])
def test_all_points_equal_but_one(n, offset):
    points = torch.full((n, 3), offset)
    points[n // 2] += 1
    centroids, labels = k_means_cluster(2, points, generator=seeded())
    assert (labels == labels[n // 2]).sum() == 1 and torch.equal(centroids[labels], points)
    with pytest.warns(UserWarning, match="only 2 points"): k_means_cluster(3, points, generator=seeded())


# ---- whatever the caller has set

def blobs(n=4000, d=6, k=8):
    places = 10 * torch.randn(k, d, generator=seeded(3))
    return places[torch.arange(n) % k] + torch.randn(n, d, generator=seeded(4)) + 100


@pytest.mark.parametrize("surroundings", ["autocast", "inference_mode", "inference tensors", "requires_grad", "float64 default", "two threads", "memory map"])
def test_the_surroundings_change_nothing(surroundings, tmp_path):
    points = blobs()
    expected = _fit(8, points, 20, 0., "k-means++", 1, None, seeded())
    threads, default = torch.get_num_threads(), torch.get_default_dtype()
    fit = lambda p: _fit(8, p, 20, 0., "k-means++", 1, None, seeded())
    try:
        if surroundings == "autocast":
            with torch.autocast("cpu", torch.bfloat16): found, labels = fit(points), assign(points, expected.centroids)
            assert torch.equal(labels, expected.labels)
        elif surroundings == "inference_mode":
            with torch.inference_mode(): found = fit(points)
        elif surroundings == "inference tensors":
            with torch.inference_mode(): given = points.clone()
            found = fit(given)
        elif surroundings == "requires_grad": found = fit(points.clone().requires_grad_())
        elif surroundings == "float64 default":
            torch.set_default_dtype(torch.float64)
            found = fit(points)
        elif surroundings == "two threads":
            torch.set_num_threads(1 if threads > 1 else 2)
            found = fit(points)
        else:
            points.numpy().tofile(tmp_path / "points.bin")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = fit(torch.from_numpy(np.memmap(tmp_path / "points.bin", np.float32, "r", shape=tuple(points.shape))))
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(default)
    assert not found.centroids.requires_grad and found.centroids.dtype == torch.float32
    assert torch.allclose(found.centroids, expected.centroids, rtol=1e-6) and torch.equal(found.labels, expected.labels)


@given(st.integers(1, 300), st.sampled_from([1, 7, 64]), st.integers(0, 10**6))
def test_rows_are_drawn_by_mass_in_one_line_or_tile_by_tile(n, tile, seed):
    "Both forms draw the same, never a row without mass, from the first spot to the last."
    mass = torch.randint(0, 4, (n,), generator=seeded(seed)).double()
    if not mass.any(): mass[n // 2] = 1
    data = preparation.prepare(1, torch.arange(n, dtype=torch.float64)[:, None])
    spots = torch.cat([torch.tensor([0, 1 - 2**-52], dtype=torch.float64), torch.rand(50, generator=seeded(seed), dtype=torch.float64).clamp(max=1 - 2**-52)])
    rows = initialization.draw(initialization.in_tiles(mass, tile), spots, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initialization, "SMALL", 0)
        assert torch.equal(rows, initialization.draw(initialization.in_tiles(mass, tile), spots, data))
    assert (mass[rows[:, 0].long()] > 0).all() and rows[0] == mass.nonzero()[0] and rows[1] == mass.nonzero()[-1]


@given(st.integers(1, 400), st.integers(1, 12), st.booleans(), st.integers(0, 10**6))
def test_few_points_are_seeded_as_many(n, d, weighted, seed):
    "All at once or tile by tile, by differences: the same draws, the same candidates, the same centroids."
    points = torch.randn(n, d, generator=seeded(seed), dtype=torch.float64).round(decimals=seed % 3 + 1)
    weights = torch.randint(0, 3, (n,), generator=seeded(seed)).double() if weighted else None
    if weighted and not weights.any(): weights[n // 2] = 1
    k = min(n, 1 + seed % 9)
    data = preparation.prepare(k, points, weights)
    few = initialization.greedy_plus_plus(k, data, seeded(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initialization, "FewSeeds", lambda data: initialization.Seeds(data, 2 + int(math.log(k)), True))
        many = initialization.greedy_plus_plus(k, data, seeded(seed))
    assert torch.equal(few, many)


@pytest.mark.parametrize("n", [300, 5000, 20_000])
def test_the_answer_may_take_part_in_gradients(n):
    scale = torch.ones(1, requires_grad=True)
    centroids, labels = k_means_cluster(3, torch.randn(n, 2, generator=seeded()), generator=seeded())
    (centroids * scale).square().sum().backward()
    assert torch.allclose(scale.grad, 2 * centroids.square().sum()) and not labels.is_inference()


@pytest.mark.parametrize("n, d, k", [(assignment.SMALL // 8, 3, 8), (assignment.SMALL // 8 + 1, 3, 8), (500, 3, 500), (300, 1000, 5), (5000, 2, 1)])
def test_sizes_at_the_edges(n, d, k):
    points = torch.randn(n, d, generator=seeded())
    centroids, labels = k_means_cluster(k, points, 10, generator=seeded())
    check_labels(points, centroids, labels)
    assert labels.unique().numel() == k
    if k == 1: assert torch.allclose(centroids[0], points.mean(0), atol=1e-6)
    if k == n: assert torch.equal(centroids[labels], points)


def test_weights_a_trillion_apart():
    points, weights = blobs(), torch.ones(4000, dtype=torch.float64)
    weights[:2000] = 1e12
    centroids, labels = k_means_cluster(8, points, 30, weights=weights, generator=seeded())
    check_labels(points, centroids, labels)
    assert labels.unique().numel() == 8
    assert torch.allclose(centroids.double(), slow_iteration(points, centroids, weights)[1], atol=1e-3)


def test_pictures_in_bytes_and_halves_at_an_offset():
    picture = torch.randint(0, 256, (6000, 3), generator=seeded(), dtype=torch.uint8) // 8 * 8
    centroids, labels = k_means_cluster(16, picture, 10, generator=seeded())
    assert centroids.dtype == torch.get_default_dtype() and labels.unique().numel() == 16
    check_labels(picture, centroids, labels)
    halves = (blobs() * 4).half()
    centroids, labels = k_means_cluster(8, halves, 10, generator=seeded())
    assert centroids.dtype == torch.float16
    check_labels(halves, centroids, labels)


def test_many_copies_of_few_points_do_not_need_a_pass_for_each_empty_cluster(monkeypatch):
    "The farthest points may all be copies of one: clusters that get copies stay empty, and each pass over the points fills one."
    calls = []
    monkeypatch.setattr("clusterlab.kmeans._farthest", lambda *a, **o: calls.append(1) or _farthest(*a, **o))
    points = torch.randn(100, 2, generator=seeded()).repeat_interleave(150, 0)
    _, labels = k_means_cluster(100, points, 1, init=torch.zeros(100, 2))
    assert labels.unique().numel() == 100 and 1 <= len(calls) <= 12


FAMILIES = [[0.0, 1e-30, 2e-30], [1.0, -3.0, 1e-19], [1e15, -1e15, 0.0], [3e18, -3e18, 1e19], [3e38, -3e38], [1.0, 2.0, math.nan, math.inf, -math.inf]]


@settings(max_examples=400)
@given(st.data(), st.integers(1, 5), st.integers(1, 3), st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64]),
       st.sampled_from([None, "k-means++", torch.float32, torch.float64, torch.bfloat16, "a row too few"]))
def test_what_the_moments_prove_no_check_refuses(drawing, n, d, dtype, start):
    "Few points are refused in the same words as many, whose numbers are all looked at."
    def tensor(rows, dtype):
        numbers = st.sampled_from(drawing.draw(st.sampled_from(FAMILIES)) if dtype.is_floating_point else [0, 1, -7, 2**24, 2**24 + 1, 2**40])
        return torch.tensor(drawing.draw(st.lists(numbers, min_size=rows * d, max_size=rows * d)), dtype=torch.float64).to(dtype).view(rows, d)

    points = tensor(n, dtype)
    init = start if start in (None, "k-means++") else tensor(n - 1 if start == "a row too few" else n, torch.float32 if start == "a row too few" else start)
    options = () if start is None else (10, 1e-4, init, 1)

    def answer():
        try: return [points.shape, *map(str, preparation.prepare(n, points, None, None, None, *options)[3:5])]
        except (TypeError, ValueError) as e: return type(e), str(e)

    quick = answer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparation, "_proven", lambda *_: None)
        assert quick == answer()


def test_few_sound_points_are_proven_by_their_moments(monkeypatch):
    monkeypatch.setattr(preparation, "check_points", None)
    monkeypatch.setattr(preparation, "check_centroids", None)
    points = torch.randn(100, 2, generator=seeded())
    for init in ("k-means++", points[:3]): assert preparation.prepare(3, points, None, None, None, 10, 1e-4, init, 1).count == 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e3, 1e6, 1e16, 1e22])
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_variance_at_any_offset(tiny_blocks, dtype, offset, weighted):
    "Against float64, also where the squares overflow."
    points = (torch.randn(5000, 3, generator=seeded(), dtype=torch.float64) * max(1, offset * 1e-6) + offset).to(dtype)
    weights = torch.rand(5000, generator=seeded(1), dtype=torch.float64) if weighted else None
    share = (torch.ones(5000, dtype=torch.float64) if weights is None else weights)[:, None]
    mean = (points.double() * share).sum(0) / share.sum()
    variance = ((points.double() - mean).square() * share).sum() / share.sum()
    found = preparation.moments(points, weights, preparation.Team())
    assert torch.allclose(found[0], mean, rtol=1e-6, atol=1e-6) and found[1] == pytest.approx(variance.item(), rel=1e-2) and found[2] == pytest.approx(share.sum().item())


def test_masses_have_one_dtype_on_all_processes():
    "Also on one without points, where bincount forgets the dtype of the weights: a collective would add the bytes of two kinds of number."
    class Spy(preparation.Team):
        def total(self, t):
            seen.append(t.dtype)
            return t + 1

    class Steps:
        def nearest(self, centroids): return torch.zeros(len(points), dtype=torch.long), 0

    seen = []
    for n in (0, 4):
        points = torch.randn(n, 2, generator=seeded())
        for weights in (None, torch.ones(n, dtype=torch.float64)):
            data = preparation.Data(points, weights, 4, torch.zeros(2, dtype=torch.float64), 1.0, 4.0, 1.0, Spy())
            assert _label(torch.zeros(3, 2), data, Steps())[2] == 0
    assert set(seen) == {torch.float64}
