"Mean shift: each step against the slow loop in float64, the whole against the exact algorithm, hostile input, and what the docstring says of errors."
import warnings

import pytest
import torch
from torch import Generator

from clusterlab import mean_shift
from clusterlab.closest_points import KERNELS, Mesh, exact_step, fast_length, near_step, spline
from clusterlab.data import default_device, lesson_data
from clusterlab.lesson.mean_shift import one_update_fixed
from clusterlab.mean_shift import _fit, condense, estimate_bandwidth, group_sums, mean_shift_cluster, modes_of, shift

device = default_device()
DATA = lesson_data()[1].to(device)


def seeded(seed=0): return Generator().manual_seed(seed)


def slow_step(points, weights, kernel="gaussian"):
    "The specification: a loop over points, in float64."
    points, weights, moved = points.double(), weights.double(), []
    for x in points:
        distance = (points - x).square().sum(1).sqrt()
        w = weights * (torch.exp(-0.5 * distance**2) if kernel == "gaussian" else (1 - distance).clamp(min=0))
        moved.append((w[:, None] * points).sum(0) / w.sum())
    return torch.stack(moved)


def mesh_step(points, weights, *mesh): return Mesh(points.amin(0) - 0.01, points.amax(0) + 0.01, *mesh).step(points, weights)


def blobs(k, each, d=2, width=9.0, seed=0, spread=1.0):
    g = seeded(seed)
    middles = torch.rand(k, d, generator=g) * width * k ** (1 / d)
    return (middles.repeat_interleave(each, 0) + spread * torch.randn(k * each, d, generator=g)).to(device)


def error(moved, truth): return (moved.double() - truth).norm(dim=1).max().item()


# ---- the steps

@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n, d", [(1, 1), (2, 3), (70, 2), (300, 1), (300, 3), (200, 8)])
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_are_the_slow_loop(n, d, kernel, weighted):
    points = (torch.randn(n, d, generator=seeded()) * 2).to(device)
    weights = (torch.rand(n, generator=seeded(1)) + 0.1 if weighted else torch.ones(n)).to(device)
    truth = slow_step(points, weights, kernel)
    assert error(exact_step(points, weights, kernel), truth) < 1e-5 and error(exact_step(points.double(), weights.double(), kernel), truth) < 1e-12
    assert error(near_step(points, weights, kernel), truth) < 2e-5
    if kernel == "triangular": assert error(near_step(points.double(), weights.double(), kernel), truth) < 1e-12
    elif d <= 3: assert error(mesh_step(points, weights), truth) < 2e-4


def test_a_step_is_that_of_the_lesson():
    assert error(exact_step(DATA / 2.5, torch.ones(1500, device=device)) * 2.5, one_update_fixed(DATA.double().cpu()).to(device)) < 5e-5


def test_the_mesh_error_falls_with_the_order():
    points, ones = (DATA / 2.5).double(), torch.ones(1500, device=device, dtype=torch.float64)
    truth = exact_step(points, ones)
    errors = {(h, order): error(mesh_step(points, ones, 1 / h, order), truth) for h in (4, 8) for order in (2, 4, 6)}
    for order, least in (2, 3), (4, 8), (6, 16): assert errors[4, order] / errors[8, order] > least
    assert errors[4, 4] < 1e-4 and errors[8, 6] < 1e-8


def test_a_lonely_point_beside_a_crowd_on_a_mesh():
    "Named in the docstring: the worst case found. A point 5.5 standard deviations from a crowd of a million."
    crowd = torch.randn(1_000_000, 2, generator=seeded()).to(device)
    points = torch.cat([crowd, torch.tensor([[5.5, 0], [0, -5.5]], device=device)])
    low, high = points.amin(0) - 0.01, points.amax(0) + 0.01
    ones, wide = points.new_ones(len(points)), points.double()
    weight = torch.exp(-0.5 * (wide[-2:, None] - wide[None]).square().sum(2))
    truth = weight @ wide / weight.sum(1, keepdim=True)
    assert error(Mesh(low, high).step(points, ones)[-2:], truth) < 3e-3 and (truth - wide[-2:]).norm(dim=1).min() > 0.1


def test_the_closest_points_reach_a_lonely_point():
    "A fixed cutoff leaves it alone: its neighbours, here one with their weight, are too many to forget."
    points = torch.cat([torch.zeros(1), torch.linspace(5.3, 5.4, 200)])[:, None].to(device)
    weights = torch.ones(201, device=device).index_fill_(0, torch.tensor([0], device=device), 1e9)
    truth = slow_step(points, weights)
    assert error(near_step(points, weights), truth) < 1e-3 and error(near_step(points, weights, cutoff=2.5), truth) > 0.5


@pytest.mark.parametrize("order", [2, 4, 6])
def test_splines_sum_to_one_and_have_their_mean_where_the_point_is(order):
    offset = torch.rand(50, generator=seeded(), dtype=torch.float64)
    w = spline(offset, order)
    assert w.shape == (50, order) and (w >= 0).all() and torch.allclose(w.sum(1), torch.ones(50, dtype=torch.float64))
    assert torch.allclose(w @ torch.arange(order, dtype=torch.float64) - (order / 2 - 1), offset)


def test_fast_lengths():
    assert [fast_length(m) for m in (1, 2, 11, 13, 121)] == [2, 2, 12, 14, 126]


# ---- merging

@pytest.mark.parametrize("d", [1, 2, 3, 40])
@pytest.mark.parametrize("spread", [0.1, 1e4])
def test_condense_is_the_weighted_mean_of_each_cell(d, spread):
    points, weights = torch.randn(500, d, generator=seeded()) * spread, torch.rand(500, generator=seeded(1)) + 0.5
    points[250:] = points[:250]
    few, mass, group = condense(points, weights, 0.25)
    cells = ((points - points.amin(0)) / 0.25).floor()
    assert torch.equal(group[:250], group[250:]) and len(few) == len(cells.unique(dim=0)) == int(group.max()) + 1
    for i in range(0, len(few), 17):
        mine = group == i
        assert len(cells[mine].unique(dim=0)) == 1 and torch.allclose(mass[i], weights[mine].sum())
        assert torch.allclose(few[i], (points * weights[:, None])[mine].sum(0) / weights[mine].sum(), atol=1e-5 * spread)


def test_group_sums_loses_nothing_far_from_the_origin():
    points = torch.tensor([[1e6, 0], [1e6 + 0.0625, 1]])
    assert group_sums(torch.tensor([0, 0]), 1, points, torch.ones(2))[0].tolist() == [[1e6 + 0.03125, 0.5]]


# ---- the whole, against the exact algorithm in float64

@pytest.mark.parametrize("points", [DATA / 2.5, blobs(20, 100), blobs(6, 900), blobs(8, 200, 3)], ids=["lesson", "overlapping", "merged at once", "3-D"])
def test_positions_after_as_many_steps_as_the_exact_algorithm(points):
    "Named in the docstring: 1e-4 in the median, but for the few that merging puts on the other side of a border, and what their weight does to the modes."
    ones = torch.ones(len(points), device=device)
    exact = shift(points.double(), ones.double(), method="exact", merge=0, tol=1e-3)
    for method in ("auto", "near", "mesh"):
        found = shift(points, ones, method=method, tol=0, max_iters=len(exact.steps))
        far = (found.points[found.group].double() - exact.points).norm(dim=1)
        strayed = (far > 2e-3).sum()
        assert strayed <= len(points) / 1000 and far.median() < (2e-3 if strayed else 1e-4), method
        assert (modes_of(found)[1] != modes_of(exact)[1]).sum() <= strayed, method


@pytest.mark.parametrize("kernel, bandwidth", [("gaussian", 2.5), ("triangular", 6.0)])
def test_all_methods_find_the_same_labels(kernel, bandwidth):
    modes, labels = mean_shift_cluster(DATA, bandwidth, kernel=kernel, method="exact")
    assert torch.equal(labels.cpu(), torch.arange(6).repeat_interleave(250))
    for method in ("auto", "near", "mesh") if kernel == "gaussian" else ("auto", "near"):
        other, found = mean_shift_cluster(DATA, bandwidth, kernel=kernel, method=method)
        assert torch.equal(found, labels) and torch.allclose(other, modes, atol=2e-3 * bandwidth)


def test_the_triangle_moves_as_the_exact_algorithm():
    points, ones = DATA / 6, torch.ones(1500, device=device)
    exact = shift(points.double(), ones.double(), "triangular", "exact", merge=0)
    found = shift(points, ones, "triangular", tol=0, max_iters=len(exact.steps))
    assert (found.points[found.group].double() - exact.points).norm(dim=1).max() < 1e-2


def test_scikit_learn_finds_the_same_clusters():
    cluster = pytest.importorskip("sklearn.cluster")
    theirs = torch.tensor(cluster.MeanShift(bandwidth=5, bin_seeding=True).fit(DATA.cpu().numpy()).labels_)
    ours = mean_shift_cluster(DATA, 2.5)[1].cpu()
    assert len({*zip(ours.tolist(), theirs.tolist())}) == 6


def test_modes_come_heaviest_first_and_of_equal_ones_that_of_the_first_point():
    points = torch.tensor([[50.0], [0], [0.1], [90], [0.2], [20]])
    modes, labels = mean_shift_cluster(points, 1.0)
    assert labels.tolist() == [1, 0, 0, 2, 0, 3] and torch.allclose(modes[:, 0], torch.tensor([0.1, 50, 90, 20]), atol=1e-3)


# ---- hostile input

def test_any_offset():
    for dtype, offset in (torch.float64, 1e9), (torch.float32, 1e4):
        points = DATA.to(dtype)
        modes, labels = mean_shift_cluster(points + offset, 2.5)
        assert torch.equal(labels.cpu(), torch.arange(6).repeat_interleave(250))
        assert torch.allclose(modes - offset, mean_shift_cluster(points, 2.5)[0], atol=1e-2)


@pytest.mark.parametrize("far", [1e3, 1e6, 1e7])
@pytest.mark.parametrize("kernel", KERNELS)
def test_an_outlier_is_a_cluster_and_harms_nobody(far, kernel):
    points = torch.cat([DATA, torch.tensor([[far, -far]], device=device)])
    modes, labels = mean_shift_cluster(points, 6.0 if kernel == "triangular" else 2.5, kernel=kernel)
    assert torch.equal(labels.cpu(), torch.cat([torch.arange(6).repeat_interleave(250), torch.tensor([6])])) and torch.allclose(modes[6], points[-1])


@pytest.mark.parametrize("method", ["auto", "exact", "near", "mesh"])
@pytest.mark.parametrize("n, d", [(1, 1), (1, 3), (10_000, 2), (5, 2)])
def test_equal_points_are_one_cluster(method, n, d):
    modes, labels = mean_shift_cluster(torch.full((n if method != "exact" else min(n, 500), d), 7.5, device=device), method=method)
    assert torch.allclose(modes.cpu(), torch.full((1, d), 7.5)) and not labels.any()


def test_points_on_a_lattice_and_a_bandwidth_below_its_step():
    points = torch.cartesian_prod(torch.arange(60.0), torch.arange(50.0)).to(device)
    for options in {}, {"method": "near"}, {"kernel": "triangular"}:
        modes, labels = mean_shift_cluster(points, 0.1, **options)
        assert torch.equal(labels.cpu(), torch.arange(3000)) and torch.allclose(modes, points, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8, torch.int64])
def test_dtypes(dtype):
    points = (DATA + 40).to(dtype)
    before = points.clone()
    modes, labels = mean_shift_cluster(points, 2.5)
    assert modes.dtype == (dtype if dtype.is_floating_point else torch.get_default_dtype()) and labels.dtype == torch.int64
    assert modes.device == labels.device == points.device and torch.equal(points, before)
    assert torch.equal(labels.cpu(), torch.arange(6).repeat_interleave(250))


def test_layouts_and_gradients():
    wide = torch.stack([DATA, DATA], 2).flatten(1)[:, ::2].requires_grad_()
    for points in wide, DATA.T.contiguous().T:
        assert torch.equal(mean_shift_cluster(points, 2.5)[1], mean_shift_cluster(DATA, 2.5)[1])


@pytest.mark.parametrize("d", [4, 16, 64])
def test_many_dimensions(d):
    points = blobs(4, 100, d, width=40)
    modes, labels = mean_shift_cluster(points, 2.5 * (d / 2) ** 0.5)
    assert torch.equal(labels.cpu(), torch.arange(4).repeat_interleave(100))


def test_landmarks(monkeypatch):
    monkeypatch.setattr(mean_shift, "LANDMARKS", 100)
    points, state = blobs(4, 300, 16, width=40), torch.get_rng_state()
    labels = mean_shift_cluster(points, 7.0, method="landmarks")[1]
    assert labels.unique().numel() == 4 and all(group.unique().numel() == 1 for group in labels.split(300))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_weight_of_three_is_three_points():
    points, times = blobs(5, 40), torch.randint(1, 4, (200,), generator=seeded()).to(device)
    modes, labels = mean_shift_cluster(points, 1.0, weights=times)
    repeated, twin = mean_shift_cluster(points.repeat_interleave(times, 0), 1.0)
    assert torch.allclose(modes, repeated, atol=1e-3) and torch.equal(labels.repeat_interleave(times), twin)


def test_weights_of_zero_pull_nobody():
    points = torch.cat([DATA, DATA[:100] + 2])
    weights = torch.ones(1600, device=device)
    weights[1500:] = 0
    modes, labels = mean_shift_cluster(points, 2.5, weights=weights)
    assert torch.allclose(modes, mean_shift_cluster(DATA, 2.5)[0], atol=1e-3) and not labels[1500:].any()


@pytest.mark.parametrize("heavy", [1e4, 1e12])
def test_a_heavy_point_pulls_as_far_as_it_should(heavy):
    weights = torch.ones(1500, device=device, dtype=torch.float64)
    weights[0] = heavy
    labels = mean_shift_cluster(DATA, 2.5, weights=weights, method="exact")[1]
    for method in "auto", "near": assert torch.equal(mean_shift_cluster(DATA, 2.5, weights=weights, method=method)[1], labels)


@pytest.mark.parametrize("name, options", [("bandwidth", {"bandwidth": 0}), ("bandwidth", {"bandwidth": float("nan")}), ("bandwidth", {"bandwidth": 1e-20}), ("kernel", {"kernel": "flat"}),
                                           ("method", {"method": "fast"}), ("method", {"method": "mesh", "kernel": "triangular"}), ("method", {"method": "mesh", "bandwidth": 1e-4}),
                                           ("max_iters", {"max_iters": 0}), ("tol", {"tol": -1}), ("weights", {"weights": torch.zeros(1500, device=device)})])
def test_bad_arguments_are_named(name, options):
    with pytest.raises(ValueError, match=f"^{name}: got"): mean_shift_cluster(DATA, **options)


@pytest.mark.parametrize("points", [torch.zeros(0, 2), torch.zeros(3), torch.tensor([[torch.nan]]), torch.zeros(2, 2, dtype=torch.complex64), [[1.0]]])
def test_bad_points_are_named(points):
    for f in mean_shift_cluster, estimate_bandwidth:
        with pytest.raises((ValueError, TypeError), match="^points: got"): f(points)


def test_too_few_steps_are_said():
    with pytest.warns(UserWarning, match="^max_iters: after 1 steps"): mean_shift_cluster(DATA, 2.5, max_iters=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean_shift_cluster(DATA, 2.5)


# ---- bandwidths

def test_a_bandwidth_is_half_the_mean_distance_to_a_share():
    distances = torch.cdist(DATA[::3].double(), DATA[::3].double()).sort(1).values
    assert abs(estimate_bandwidth(DATA[::3].double(), 0.2) - distances[:, 99].mean().item() / 2) < 1e-9
    assert estimate_bandwidth(DATA[::3], 0.2, kernel="triangular") == 2 * estimate_bandwidth(DATA[::3], 0.2)
    assert len(mean_shift_cluster(DATA)[0]) == 6
    many, state = DATA.repeat(10, 1), torch.get_rng_state()
    assert abs(estimate_bandwidth(many) / estimate_bandwidth(DATA) - 1) < 0.1 and torch.equal(torch.get_rng_state(), state)


def test_a_few_values_many_times_each():
    points = torch.tensor([[0.0], [1], [5]], device=device).repeat(50, 1)
    modes, labels = mean_shift_cluster(points)
    assert len(modes) == 3 and torch.equal(labels.cpu(), torch.arange(3).repeat(50))


@pytest.mark.parametrize("options", [{"quantile": 0}, {"quantile": 1.5}, {"kernel": "flat"}, {"n_samples": 1}])
def test_bad_arguments_of_the_estimate(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))}: got"): estimate_bandwidth(DATA, **options)


# ---- cost

def test_the_cheapest_way_is_taken():
    steps = _fit(blobs(60, 1000, width=12), 1.0, "gaussian", "auto", 50, 1e-3, None)[2]
    assert steps[0][0] == "mesh" and steps[-1][0] != "mesh" and steps[-1][1] < 600
    assert {how for how, _, _ in _fit(DATA, 2.5, "gaussian", "near", 50, 1e-3, None)[2]} == {"near"}


def test_threads_change_nothing_but_rounding():
    before = torch.get_num_threads()
    try:
        found = []
        for threads in 1, 2:
            torch.set_num_threads(threads)
            found.append(mean_shift_cluster(blobs(20, 500), 1.0))
        assert torch.equal(found[0][1], found[1][1]) and torch.allclose(found[0][0], found[1][0], atol=1e-4)
    finally: torch.set_num_threads(before)


def test_modes_of_chains():
    run = mean_shift.Shifted(torch.tensor([[0.0], [0.4], [0.8], [3]]), torch.tensor([1.0, 1, 1, 9]), torch.tensor([3, 0, 1, 2]), [])
    modes, labels = modes_of(run)
    assert labels.tolist() == [0, 1, 1, 1] and torch.allclose(modes[:, 0], torch.tensor([3, 0.4], dtype=torch.float64))


def test_a_bar(capsys):
    mean_shift_cluster(DATA, 2.5, progress=True)
    assert "mean shift" in capsys.readouterr().err
