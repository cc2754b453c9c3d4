"Lesson 03: mean shift in batches, until it stops, with labels."
import warnings

import pytest
import torch

from clusterlab.data import default_device, lesson_data
from clusterlab.lesson.mean_shift import meanshift as meanshift_loop
from clusterlab.lesson.mean_shift import one_update_fixed
from clusterlab.lesson.mean_shift_batched import dist_b, label_met, meanshift, meanshift_labels, update_b

device = default_device()
SHAPES = [(1, 1), (2, 2), (7, 3), (40, 2), (25, 5)]


def draw(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * 5


@pytest.fixture(scope="module")
def data():
    return lesson_data()[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_dist_b_is_the_loop(shape):
    a, b = draw(*shape), draw(3, shape[1], seed=1)
    want = torch.stack([torch.stack([((p - q) ** 2).sum().sqrt() for p in a]) for q in b])
    got = dist_b(a.to(device), b.to(device)).cpu()
    assert got.shape == (3, len(a)) and torch.allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bs", [1, 3, 500])
@pytest.mark.parametrize("bw", [0.7, 2.5, 10.0])
def test_update_b_is_the_loop(shape, bs, bw):
    X = draw(*shape)
    assert torch.allclose(update_b(X.to(device), bs, bw).cpu(), one_update_fixed(X, bw), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_meanshift_is_the_loop(shape):
    X = draw(*shape)
    assert torch.allclose(meanshift(X.to(device), bs=3).cpu(), meanshift_loop(X), atol=1e-4)


def test_meanshift_on_the_lesson_data(data):
    assert torch.allclose(meanshift(data.to(device)).cpu(), meanshift_loop(data), atol=1e-4)


def test_batch_size_does_not_change_the_answer():
    "The defect: batches written in place, each over what the ones before it moved."
    X = draw(60, 2).to(device)
    assert all(torch.allclose(update_b(X, bs), update_b(X, 60), atol=1e-5) for bs in (1, 7, 59))
    assert torch.equal(X.cpu(), draw(60, 2))


def test_label_met_groups_and_means():
    X = torch.tensor([[0.0, 0.0], [9.0, 9.0], [0.1, 0.0], [9.0, 9.1], [50.0, 0.0]], device=device)
    modes, labels = label_met(X, 1)
    assert labels.tolist() == [0, 1, 0, 1, 2] and labels.dtype == torch.int64
    assert torch.allclose(modes.cpu(), torch.tensor([[0.05, 0.0], [9.0, 9.05], [50.0, 0.0]]))


def test_label_met_ends_on_nan():
    modes, labels = label_met(torch.tensor([[float("nan")], [0.0], [1.0]], device=device), 0.5)
    assert (labels >= 0).all() and labels.max() + 1 == len(modes)


@pytest.mark.parametrize("bw, count", [(2.5, 6), (5, 4), (8, 3), (15, 1)])
def test_clusters_found_at_each_bandwidth(data, bw, count):
    modes, labels = meanshift_labels(data.to(device), bw)
    assert modes.shape == (count, 2) and labels.unique().tolist() == list(range(count))


def test_labels_are_the_six_slices(data):
    modes, labels = meanshift_labels(data.to(device))
    assert torch.equal(labels.cpu(), torch.arange(6).repeat_interleave(250))
    assert (modes.cpu() - lesson_data()[0]).square().sum(1).sqrt().max() < 0.3


def test_mean_shift_goes_on_until_nothing_moves(data):
    "The defect: a fixed five updates. At bandwidth 5 points still move by more than a unit then, and have not met."
    X = data.to(device)
    five = meanshift(X, bw=5)
    assert (update_b(five, bw=5) - five).abs().max() > 1
    modes, labels = meanshift_labels(X, bw=5)
    heavy = modes.repeat_interleave(labels.bincount(), 0)
    assert (update_b(heavy, bw=5) - heavy).abs().max() <= 1e-3


def test_mean_shift_returns_labels(data):
    "The defect: only moved points came back. Points with one label have one mode; labels follow their points when rows are shuffled."
    X, order = data.to(device), torch.randperm(1500, generator=torch.Generator().manual_seed(0))
    modes, labels = meanshift_labels(X)
    modes_s, labels_s = meanshift_labels(X[order])
    assert labels.shape == (1500,) and labels.device == X.device
    assert torch.allclose(modes_s[labels_s], modes[labels][order], atol=1e-2)


def test_says_so_when_max_iters_was_too_few(data):
    with pytest.warns(UserWarning, match="max_iters: after 5 updates"): meanshift_labels(data.to(device), bw=5, max_iters=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        meanshift_labels(data.to(device))


def test_default_device_of_the_caller_does_not_leak_in():
    "The defect: `set_default_device` reaches every later call. Ours follow the device of their input."
    X = draw(30, 2)
    want = meanshift_labels(X)
    with torch.device("meta"): got = meanshift_labels(X)
    assert all(torch.equal(a, b) for a, b in zip(got, want)) and torch.get_default_device().type == "cpu"


def test_caller_is_left_alone_and_dtype_kept():
    X = draw(30, 2).double().to(device) if device.type != "mps" else draw(30, 2).to(device)
    kept = X.clone()
    modes, labels = meanshift_labels(X)
    assert torch.equal(X, kept) and modes.dtype == X.dtype and meanshift(X).dtype == X.dtype


def test_one_point_and_equal_points():
    for X in (torch.ones(1, 3), torch.ones(5, 3)):
        modes, labels = meanshift_labels(X.to(device))
        assert torch.allclose(modes.cpu(), torch.ones(1, 3)) and labels.tolist() == [0] * len(X)
