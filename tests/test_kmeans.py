"The promises of clusterlab.kmeans: against the slow loop, against scikit-learn, and the twenty ways in which k-means libraries are known to fail."
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from clusterlab.data import default_device, lesson_data
from clusterlab.kmeans import assign, inertia, k_means_cluster, k_means_plus_plus

device = default_device()
DATA = lesson_data()[1].to(device)


def seeded(seed=0): return Generator().manual_seed(seed)


def cluster(k, points, **kwargs):
    "k_means_cluster with a fixed generator, the promises checked on what it returns."
    kwargs.setdefault("generator", seeded())
    centroids, labels = k_means_cluster(k, points, **kwargs)
    check_promises(k, points, centroids, labels, kwargs.get("weights"))
    return centroids, labels


def check_promises(k, points, centroids, labels, weights=None):
    assert centroids.shape == (k, points.shape[1]) and labels.shape == points.shape[:1] and labels.dtype == torch.int64
    assert centroids.device == labels.device == points.device
    assert centroids.dtype == (points.dtype if points.is_floating_point() else torch.get_default_dtype())
    assert centroids.isfinite().all()
    squared = (points[:, None].double() - centroids[None].double()).square().sum(-1)
    own = squared.gather(1, labels[:, None])[:, 0]
    assert (own.sqrt() <= squared.min(1).values.sqrt() * (1 + 1e-6)).all(), "a label is not that of the nearest centroid returned"
    kept = points if weights is None else points[weights > 0]
    mass = torch.zeros(k, dtype=torch.float64, device=points.device).index_add_(0, labels, torch.ones_like(own) if weights is None else weights.double())
    assert (mass > 0).sum() == min(k, len(kept.unique(dim=0))), "an empty cluster"


def lloyd_loop(points, centroids, weights, max_iters):
    "The specification, a loop over points in float64; None where a cluster goes empty, which it says nothing about."
    points, centroids = points.double(), centroids.double()
    for _ in range(max_iters):
        labels = torch.tensor([min(range(len(centroids)), key=lambda j: (p - centroids[j]).square().sum().item()) for p in points])
        if any(weights[labels == j].sum() == 0 for j in range(len(centroids))): return None
        centroids = torch.stack([(points[labels == j] * weights[labels == j, None]).sum(0) / weights[labels == j].sum() for j in range(len(centroids))])
    return centroids


def weighted_inertia(points, centroids, weights):
    return (torch.cdist(points.double(), centroids.double()).min(1).values.square() * weights).sum()


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 8), st.integers(0, 10**6), st.sampled_from([0, 1e3, -1e5]), st.booleans(), st.integers(1, 6),
       st.sampled_from([torch.float32, torch.float64]))
def test_equals_the_slow_loop(n, d, k, seed, offset, grid, iters, dtype):
    g = seeded(seed)
    points = torch.randint(-3, 4, (n, d), generator=g).to(dtype) if grid else torch.randn(n, d, generator=g, dtype=dtype)
    points, weights = points + offset, torch.randint(1, 4, (n,), generator=g).double()
    k = min(k, n)
    init = points[torch.randperm(n, generator=g)[:k]]
    expected = lloyd_loop(points, init, weights, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, _ = k_means_cluster(k, points, 1, 0, init=init, weights=weights)
        centroids, labels = k_means_cluster(k, points, iters, 0, init=init, weights=weights)
    check_promises(k, points, centroids, labels, weights)
    step = torch.finfo(dtype).eps * (abs(offset) + 10) * n
    refilled = expected is None or assign(points.double(), expected).unique().numel() < k
    if not grid and not refilled: assert torch.allclose(one.double(), expected, rtol=0, atol=step)
    assert weighted_inertia(points, centroids, weights) <= weighted_inertia(points, init, weights) * (1 + 1e-6) + step


@settings(max_examples=100)
@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 30), st.integers(0, 10**6), st.integers(1, 4), st.sampled_from(["k-means++", "random"]),
       st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.uint8]))
def test_promises_hold_on_small_hard_cases(n, d, k, seed, iters, init, dtype):
    g = seeded(seed)
    points = torch.randint(0, 5, (n, d), generator=g).to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster(min(k, n), points, max_iters=iters, init=init, generator=g)


def test_one_iteration_is_that_of_the_slow_loop():
    init = DATA[:6].cpu()
    expected = lloyd_loop(DATA.cpu(), init, torch.ones(len(DATA)), 3)
    centroids, _ = k_means_cluster(6, DATA, 3, 0, init=init.to(device))
    assert torch.allclose(centroids.cpu().double(), expected, atol=1e-4)


def test_default_finds_six_clear_blobs_in_20_of_20_seeds():
    best = inertia(DATA, *cluster(6, DATA, init=torch.stack([s.mean(0) for s in DATA.split(250)])))
    assert sum(bool(inertia(DATA, *cluster(6, DATA, generator=seeded(s))) < best * 1.001) for s in range(20)) == 20


def test_as_good_as_scikit_learn():
    sklearn_cluster = pytest.importorskip("sklearn.cluster")
    points = torch.randn(800, 5, generator=seeded(1)).to(device)
    init = points[:12]
    theirs = sklearn_cluster.KMeans(12, init=init.cpu().numpy(), n_init=1, max_iter=100, tol=0).fit(points.cpu().numpy())
    centroids, labels = cluster(12, points, init=init, max_iters=100, tol=0)
    assert np.array_equal(theirs.labels_, labels.cpu().numpy())
    assert inertia(points, centroids, labels).item() == pytest.approx(theirs.inertia_, rel=1e-5)


def test_seeding_as_good_as_scikit_learns():
    sklearn_cluster = pytest.importorskip("sklearn.cluster")
    points = torch.randn(400, 4, generator=seeded(2)).to(device)
    ours = np.array([inertia(points, c := k_means_plus_plus(20, points, generator=seeded(s)), assign(points, c)).item() for s in range(60)])
    theirs = np.array([inertia(points.cpu(), c := torch.tensor(sklearn_cluster.kmeans_plusplus(points.cpu().numpy(), 20, random_state=s)[0]), assign(points.cpu(), c)).item() for s in range(60)])
    assert abs(ours.mean() - theirs.mean()) < 4 * np.hypot(ours.std(), theirs.std()) / 60**0.5


# the twenty failure modes

def test_01_empty_cluster_gives_no_nan():
    init = torch.tensor([[0.0, 0], [1e3, 1e3], [-1e3, 1e3]], device=device)
    cluster(3, DATA, init=init)


def test_02_empty_cluster_gives_no_centroid_at_the_origin():
    points = DATA + 500
    centroids, _ = cluster(8, points, init=torch.cat([points[:4], torch.full((4, 2), -9e3, device=device)]))
    assert torch.cdist(centroids, points).min(1).values.max() < 10


def test_03_iterations_are_capped_and_repairs_settle():
    cluster(25, torch.randint(0, 5, (200, 2), generator=seeded()).float().to(device), max_iters=1000, tol=0)
    many = torch.randn(500, 2, generator=seeded()).to(device)
    one, two = (k_means_cluster(6, many, n, 0, init=many[:6])[0] for n in (1, 2))
    assert not torch.equal(one, two)


@pytest.mark.parametrize("iters", [1, 2, 5])
def test_04_labels_belong_to_the_returned_centroids(iters):
    for seed in range(200):
        g = seeded(seed)
        points = torch.randn(30, 2, generator=g).to(device)
        cluster(8, points, max_iters=iters, tol=0, init=torch.cat([points[:4], torch.randn(4, 2, generator=g).to(device) * 9]))


def test_05_fewer_distinct_points_than_k_warns_and_is_right():
    points = torch.tensor([[0.0, 0], [1, 1]], device=device).repeat(10, 1)
    with pytest.warns(UserWarning, match="only 2 points with weight differ; empty clusters: 3"):
        centroids, labels = k_means_cluster(5, points, generator=seeded())
    assert inertia(points, centroids, labels) == 0 and len(labels.unique()) == 2


def test_06_seeding_with_zero_total_distance():
    points = torch.ones(7, 2, device=device)
    assert torch.equal(k_means_plus_plus(7, points, generator=seeded()), points)


@pytest.mark.parametrize("offset", [1e4, 1e5, 1e6])
def test_07_no_cancellation_far_from_the_origin(offset):
    blobs = (torch.tensor([[0.0, 0], [20, 0], [0, 20], [20, 20]])[:, None] + torch.randn(4, 50, 2, generator=seeded())).reshape(-1, 2).to(device)
    labels = cluster(4, blobs + offset)[1].reshape(4, 50)
    assert (labels == labels[:, :1]).all() and len(labels[:, 0].unique()) == 4


def test_08_reduced_matmul_precision_changes_nothing():
    before, usual = torch.get_float32_matmul_precision(), cluster(6, DATA)
    try:
        torch.set_float32_matmul_precision("medium")
        low = cluster(6, DATA)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(usual[0], low[0]) and torch.equal(usual[1], low[1])


MEMORY = """
import resource, torch
from clusterlab.kmeans import k_means_cluster
points = torch.rand(200_000, 4, generator=torch.Generator().manual_seed(0))
k_means_cluster(2, points[:1000], init="random")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
k_means_cluster(1000, points, 1, init=points[:1000])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of resident memory in kB, as Linux reports it")
def test_09_memory_is_not_n_times_k():
    grown = float(subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, env=os.environ).stdout)
    assert grown < 100, f"{grown:.0f} MiB; the whole matrix would be 763 MiB"


def test_10_many_clusters_do_not_overflow_small_integers():
    points = torch.arange(70_000, dtype=torch.float32, device=device)[:, None]
    assert torch.equal(assign(points, points[:40_000:4]).max().cpu(), torch.tensor(9_999))


@pytest.mark.parametrize("n, d, k", [(1, 1, 1), (1, 3, 1), (5, 1, 1), (5, 1, 5), (2, 2, 2), (9, 1, 8)])
def test_11_one_of_anything_is_not_squeezed_away(n, d, k):
    cluster(k, torch.randn(n, d, generator=seeded()).to(device))


def test_12_k_equal_to_n_is_exact_and_k_above_n_refused():
    points = torch.randn(12, 2, generator=seeded()).to(device)
    assert inertia(points, *cluster(12, points)) == 0
    with pytest.raises(ValueError, match="k: got 13, wanted 1 to 12"): k_means_cluster(13, points)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_13_nan_and_infinity_are_refused(bad):
    points = DATA.clone()
    points[3, 1] = bad
    for call in (lambda: k_means_cluster(6, points), lambda: k_means_plus_plus(6, points), lambda: assign(points, DATA[:2]), lambda: k_means_cluster(2, DATA, init=points[2:4])):
        with pytest.raises(ValueError, match="got NaN or infinity, wanted finite numbers"): call()


def test_14_the_seed_rules_and_the_global_state_is_left_alone():
    state = torch.get_rng_state()
    (a, la), (b, lb) = (k_means_cluster(6, DATA, generator=seeded(9)) for _ in range(2))
    assert torch.equal(a, b) and torch.equal(la, lb) and torch.equal(state, torch.get_rng_state())
    assert not torch.equal(a, k_means_cluster(6, DATA, generator=seeded(10))[0])
    torch.manual_seed(4); c = k_means_cluster(6, DATA)[0]
    torch.manual_seed(4); assert torch.equal(c, k_means_cluster(6, DATA)[0])


def test_15_any_thread_count_and_block_size_give_the_same_answer(monkeypatch):
    usual, threads = cluster(6, DATA), torch.get_num_threads()
    for block, number in ((64, 1), (1 << 12, 2), (1 << 24, 1)):
        for module in ("assignment", "centroid_update", "preparation"): monkeypatch.setattr(f"clusterlab.{module}.BLOCK", block)
        torch.set_num_threads(number)
        other = cluster(6, DATA)
        assert torch.allclose(usual[0], other[0], atol=1e-5) and torch.equal(usual[1], other[1])
    torch.set_num_threads(threads)


def test_16_a_tie_goes_to_the_lowest_index():
    assert assign(torch.zeros(3, 2, device=device), torch.tensor([[1.0, 0], [0, 1], [-1, 0]], device=device)).tolist() == [0, 0, 0]


def test_17_default_start_does_not_merge_unbalanced_clusters():
    sizes, g = (2000, 50, 50, 50), seeded()
    blobs = torch.cat([torch.randn(m, 2, generator=g) + torch.tensor([30.0 * i, 0]) for i, m in enumerate(sizes)]).to(device)
    for seed in range(10): assert sorted(cluster(4, blobs, generator=seeded(seed))[1].bincount().tolist()) == sorted(sizes)


@pytest.mark.parametrize("change", [lambda t: t.T.contiguous().T, lambda t: torch.stack([t, t], 1)[:, 0], lambda t: t.flip(0).flip(0), lambda t: t.clone().requires_grad_()])
def test_18_any_layout(change):
    usual, other = cluster(6, DATA), cluster(6, change(DATA))
    assert torch.equal(usual[0], other[0]) and torch.equal(usual[1], other[1]) and not other[0].requires_grad


def test_19_more_points_than_multinomial_takes():
    n = (1 << 24) + 5
    points = torch.zeros(n, 1)
    points[-3:] = 7
    assert sorted(k_means_plus_plus(2, points, generator=seeded())[:, 0].tolist()) == [0, 7]


def test_20_constant_data_stops():
    with pytest.warns(UserWarning): centroids, labels = k_means_cluster(2, torch.full((50, 1), 3.0, device=device), max_iters=10**6)
    assert (centroids == 3).all() and (labels == labels[0]).all()


# weights, dtypes, inputs

def test_weights_are_repetitions():
    weights = torch.randint(0, 4, (300,), generator=seeded()).to(device)
    points, init = DATA[::5], DATA[[0, 300, 600, 900]]
    a, _ = cluster(4, points, init=init, weights=weights.float())
    b, _ = cluster(4, points.repeat_interleave(weights, 0), init=init)
    assert torch.allclose(a, b, atol=1e-4)


def test_scaled_weights_change_nothing():
    weights = torch.rand(1500, generator=seeded()).to(device) + 0.1
    (a, la), (b, lb) = (cluster(6, DATA, weights=w) for w in (weights, weights * 1000))
    assert torch.allclose(a, b, atol=1e-4) and torch.equal(la, lb)


def test_weight_zero_is_never_chosen_and_still_labelled():
    points, weights = DATA.clone(), torch.ones(1500, device=device)
    points[5], weights[5] = 1e4, 0
    for init in ("k-means++", "random"):
        centroids, labels = cluster(6, points, weights=weights, init=init, max_iters=50)
        assert centroids.abs().max() < 100 and labels[5] == assign(points[5:6], centroids)[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_come_back_as_halves_and_near_the_float_answer(dtype):
    centroids, _ = cluster(6, DATA.to(dtype))
    reference, _ = cluster(6, DATA, init=centroids.float())
    assert torch.allclose(centroids.float(), reference, atol=0.3)


def test_nothing_the_caller_passed_is_changed():
    points, init, weights = DATA.clone(), DATA[:6].clone(), torch.rand(1500, device=device)
    copies = [t.clone() for t in (points, init, weights)]
    k_means_cluster(6, points, init=init, weights=weights)
    assert all(torch.equal(a, b) for a, b in zip((points, init, weights), copies))


def test_read_only_memory_map(tmp_path):
    np.save(tmp_path / "points.npy", DATA.cpu().numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = torch.from_numpy(np.load(tmp_path / "points.npy", mmap_mode="r"))
    assert torch.equal(cluster(6, points)[1], cluster(6, DATA.cpu())[1])


def test_more_runs_are_no_worse_and_more_iterations_neither():
    assert inertia(DATA, *cluster(6, DATA, init="random", n_init=10)) <= inertia(DATA, *cluster(6, DATA, init="random"))
    trace = [inertia(DATA, *cluster(9, DATA, max_iters=i, tol=0, init=DATA[:9])).item() for i in range(1, 12)]
    assert trace == sorted(trace, reverse=True)


def test_restart_from_the_answer_is_a_fixed_point():
    centroids, labels = cluster(6, DATA, max_iters=100, tol=0)
    again, same = cluster(6, DATA, init=centroids, max_iters=1)
    assert torch.equal(centroids, again) and torch.equal(labels, same)


BAD = [
    (TypeError, "points: got ndarray, wanted a torch.Tensor", dict(points=np.zeros((5, 2)))),
    (TypeError, "points: got torch.bool, wanted real numbers", dict(points=torch.zeros(5, 2) > 0)),
    (TypeError, "points: got torch.complex64, wanted real numbers", dict(points=torch.zeros(5, 2, dtype=torch.complex64))),
    (ValueError, r"points: got shape \(5,\)", dict(points=torch.zeros(5))),
    (ValueError, r"points: got shape \(0, 2\)", dict(points=torch.zeros(0, 2))),
    (ValueError, r"points: got shape \(5, 0\)", dict(points=torch.zeros(5, 0))),
    (ValueError, "points: got values that spread over .*rescale", dict(points=torch.eye(5, 2) * 1e30)),
    (ValueError, "points: got values that spread over .*rescale", dict(points=torch.eye(5, 2) * 1e-30)),
    (ValueError, "k: got 0, wanted 1 to 5", dict(k=0)),
    (ValueError, "k: got 6, wanted 1 to 5, the number of points", dict(k=6)),
    (TypeError, "k: got 2.0, wanted an integer", dict(k=2.0)),
    (TypeError, "k: got True, wanted an integer", dict(k=True)),
    (ValueError, "max_iters: got 0, wanted at least 1", dict(max_iters=0)),
    (ValueError, "tol: got -1, wanted a finite number, at least 0", dict(tol=-1)),
    (ValueError, "tol: got nan", dict(tol=float("nan"))),
    (ValueError, "init: got 'best', wanted 'k-means\\+\\+', 'random' or", dict(init="best")),
    (ValueError, r"init: got shape \(3, 2\), wanted \(2, 2\)", dict(init=torch.zeros(3, 2))),
    (TypeError, "init: got ndarray, wanted 'k-means", dict(init=np.zeros((2, 2)))),
    (ValueError, "init: got values that spread over .*rescale", dict(init=torch.eye(2) * 1e30)),
    (TypeError, "points: got torch.uint16, wanted real numbers", dict(points=torch.zeros(5, 2, dtype=torch.uint16))),
    (TypeError, "points: got torch.float8_e5m2, wanted real numbers", dict(points=torch.zeros(5, 2).to(torch.float8_e5m2))),
    (TypeError, "points: got torch.sparse_coo on cpu, wanted a dense tensor", dict(points=torch.zeros(5, 2).to_sparse())),
    (TypeError, "points: got torch.strided on meta, wanted a dense tensor", dict(points=torch.zeros(5, 2, device="meta"))),
    (ValueError, "points: got values up to 16777217, wanted at most 16777216.*float64", dict(points=torch.full((5, 2), 2**24 + 1))),
    (ValueError, "points: got values up to 1e\\+308", dict(points=torch.full((5, 2), 1e308, dtype=torch.float64))),
    (ValueError, "weights: got some more than .* times others", dict(weights=torch.tensor([1, 5e-324, 1, 1, 1], dtype=torch.float64))),
    (ValueError, "init: got device meta, wanted cpu", dict(init=torch.zeros(2, 2, device="meta"))),
    (ValueError, "n_init: got 0", dict(n_init=0)),
    (ValueError, "n_init: got 3, wanted 1 with given centroids", dict(n_init=3, init=torch.eye(2))),
    (ValueError, r"weights: got shape \(4,\), wanted \(5,\)", dict(weights=torch.ones(4))),
    (ValueError, "weights: got a negative one or none above zero", dict(weights=-torch.ones(5))),
    (ValueError, "weights: got a negative one or none above zero", dict(weights=torch.zeros(5))),
    (ValueError, "weights: got NaN or infinity", dict(weights=torch.full((5,), torch.nan))),
    (TypeError, "generator: got int, wanted a torch.Generator", dict(generator=3)),
]


@pytest.mark.parametrize("error, words, change", BAD, ids=[words for _, words, _ in BAD])
def test_bad_input_is_refused_in_words(error, words, change):
    call = dict(k=2, points=torch.randn(5, 2, generator=seeded())) | change
    with pytest.raises(error, match=words): k_means_cluster(call.pop("k"), call.pop("points"), **call)


def test_companions_refuse_bad_input():
    points, centroids = torch.zeros(5, 2), torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"centroids: got shape \(3, 1\), wanted \(k, 2\)"): assign(points, centroids[:, :1])
    with pytest.raises(ValueError, match=r"labels: got shape \(4,\), wanted \(5,\)"): inertia(points, centroids, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="labels: got 0 to 3, wanted 0 to 2"): inertia(points, centroids, torch.tensor([0, 1, 2, 3, 0]))
    with pytest.raises(TypeError, match="labels: got torch.float32, wanted integers"): inertia(points, centroids, torch.zeros(5))
    for far in (1e25, 1e-30):
        with pytest.raises(ValueError, match="centroids: got values that spread over"): assign(torch.zeros(1, 1), torch.tensor([[2 * far], [far]]))
    with pytest.raises(ValueError, match="points: got NaN"): inertia(torch.tensor([[0.0], [torch.nan]]), torch.zeros(1, 1), torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize("offset", [0, 1e9, 1e12, 1e15])
def test_float64_means_are_exact_far_from_the_origin(offset):
    points = torch.rand(200_000, 1, generator=seeded(), dtype=torch.float64).to(device) + offset
    centroid, _ = k_means_cluster(1, points)
    assert abs(centroid - offset - (points - offset).mean()).item() <= np.spacing(offset + 1.0)


@pytest.mark.parametrize("scale", [1e308, 1e-320])
def test_weights_of_any_size_neither_overflow_nor_vanish(scale):
    usual, scaled = cluster(6, DATA), cluster(6, DATA, weights=torch.full((1500,), scale, dtype=torch.float64, device=device))
    assert torch.equal(usual[0], scaled[0]) and torch.equal(usual[1], scaled[1])


def test_integers_that_the_default_dtype_rounds_do_not_hang():
    torch.set_default_dtype(torch.float16)
    try:
        with pytest.raises(ValueError, match="points: got values up to 2049, wanted at most 2048"): k_means_cluster(2, torch.tensor([[2049], [7]]))
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_warning_points_at_the_caller():
    with pytest.warns(UserWarning) as said: k_means_cluster(2, torch.ones(3, 1))
    assert said[0].filename == __file__


def test_a_leaked_default_device_or_dtype_changes_nothing():
    usual = cluster(6, DATA)
    torch.set_default_device("meta")
    torch.set_default_dtype(torch.float64)
    try:
        other = k_means_cluster(6, DATA, generator=Generator("cpu").manual_seed(0))
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert torch.equal(usual[0], other[0]) and torch.equal(usual[1], other[1])


def test_progress_shows_iterations_and_inertia_and_changes_nothing(capfd):
    quiet = cluster(6, DATA)
    assert capfd.readouterr() == ("", "")
    shown = cluster(6, DATA, progress=True)
    said = capfd.readouterr().err
    assert "k-means" in said and "inertia=" in said
    assert torch.equal(quiet[0], shown[0]) and torch.equal(quiet[1], shown[1])
