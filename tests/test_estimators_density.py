"clusterlab.estimators.DBSCAN and MeanShift: scikit-learn's contract, DBSCAN's labels number for number, weights, NumPy and torch in kind."
import pickle

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn", minversion="1.6")
import sklearn.cluster
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine, make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from clusterlab.data import default_device, lesson_data
from clusterlab.dbscan import dbscan_cluster
from clusterlab.estimators import DBSCAN, MeanShift
from clusterlab.mean_shift import mean_shift_cluster

device = default_device()
X = lesson_data()[1].numpy()
SETS = {"lesson": (X, 1.0), "wine": (StandardScaler().fit_transform(load_wine().data), 2.2), "iris": (load_iris().data, 0.5), "moons": (make_moons(400, noise=0.08, random_state=0)[0], 0.12),
        "integers": (np.random.default_rng(0).integers(0, 12, (200, 2)), 1.0)}
ROWS = {f"check_sample_weight_equivalence_on_{kind}_data": "the bandwidth is estimated from rows, not weights; with a given one: test_mean_shift_weights_are_repetitions" for kind in ("dense", "sparse")}


def expected(estimator): return ROWS if isinstance(estimator, MeanShift) and estimator.bandwidth is None else {}


@parametrize_with_checks([DBSCAN(), MeanShift(bandwidth=0.5), MeanShift(kernel="triangular", tol=0)],
                         expected_failed_checks=expected)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_check(estimator, check): check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", [DBSCAN(), MeanShift()], ids=str)
def test_check_estimator_fails_nothing_else(estimator): check_estimator(estimator, expected_failed_checks=expected(estimator), on_skip=None)


# DBSCAN

@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("min_samples", [1, 3, 5, 12])
@pytest.mark.parametrize("name", SETS)
def test_dbscan_is_scikit_learns_number_for_number(name, min_samples, weighted):
    points, eps = SETS[name]
    weights = np.random.default_rng(1).integers(-1, 4, len(points)) if weighted else None
    mine, theirs = (D(eps, min_samples=min_samples).fit(points, sample_weight=weights) for D in (DBSCAN, sklearn.cluster.DBSCAN))
    assert np.array_equal(mine.labels_, theirs.labels_) and np.array_equal(mine.core_sample_indices_, theirs.core_sample_indices_) and np.array_equal(mine.components_, theirs.components_)


def test_dbscan_weighted_is_scikit_learns_on_random_cases():
    g = np.random.default_rng(0)
    for _ in range(100):
        points = g.integers(0, 7, (g.integers(1, 30), g.integers(1, 4))).astype(float)
        weights = g.integers(0, 4, len(points)) / 2 + g.integers(0, 2)
        if not weights.any(): continue
        eps = float(g.integers(1, 3))
        mine, theirs = (D(eps, min_samples=3).fit(points, sample_weight=weights) for D in (DBSCAN, sklearn.cluster.DBSCAN))
        assert np.array_equal(mine.labels_, theirs.labels_) and np.array_equal(mine.core_sample_indices_, theirs.core_sample_indices_)


def test_weights_as_scikit_learn_tests_them():
    def core(weights, eps=0.5): return DBSCAN(eps, min_samples=6).fit([[0], [1]], sample_weight=weights).core_sample_indices_.tolist()
    assert [core(None), core([5, 5]), core([6, 5]), core([6, 6])] == [[], [], [0], [0, 1]]
    assert [core(w, 1.5) for w in ([5, 1], [5, 0], [5.9, 0.1], [6, 0], [6, -1])] == [[0, 1], [], [0, 1], [0, 1], []]
    for bad, words in (([2], r"weights: got shape \(1,\)"), ([2, 3, 4], "weights: got shape"), ([1, np.nan], "NaN"), ([0, 0], "none above zero")):
        with pytest.raises(ValueError, match=words): core(bad)


def test_a_weight_is_a_number_of_rows():
    points, eps = SETS["moons"]
    times = np.arange(len(points)) % 3 + 1
    weighted, repeated = DBSCAN(eps).fit(points, sample_weight=times), DBSCAN(eps).fit(points.repeat(times, 0))
    assert np.array_equal(weighted.labels_.repeat(times), repeated.labels_)


def test_dbscan_equals_the_function():
    mine = DBSCAN(1.0).fit(X)
    labels, core = dbscan_cluster(torch.from_numpy(X), 1.0)
    assert np.array_equal(mine.labels_, labels.numpy()) and np.array_equal(mine.components_, X[core.numpy()])


def test_dbscan_parameters_are_those_of_scikit_learn(): assert DBSCAN().get_params() == sklearn.cluster.DBSCAN().get_params()


def test_without_core_points_all_is_noise():
    for weights in (None, [1.0, 1, 1]):
        mine = DBSCAN(0.5).fit([[0.0], [3], [9]], sample_weight=weights)
        assert mine.labels_.tolist() == [-1, -1, -1] and mine.components_.shape == (0, 1) and mine.core_sample_indices_.shape == (0,)


# MeanShift

def test_mean_shift_equals_the_function():
    for options in ({}, {"bandwidth": 2.5}, {"bandwidth": 6, "kernel": "triangular", "method": "near"}):
        mine, (modes, labels) = MeanShift(**options).fit(X), mean_shift_cluster(torch.from_numpy(X), **options)
        assert np.array_equal(mine.cluster_centers_, modes.numpy()) and np.array_equal(mine.labels_, labels.numpy())


def test_mean_shift_finds_the_clusters_that_scikit_learn_finds():
    mine, theirs = MeanShift(bandwidth=2.5).fit(X), sklearn.cluster.MeanShift(bandwidth=5, bin_seeding=True).fit(X)
    assert adjusted_rand_score(mine.labels_, theirs.labels_) == 1 and np.array_equal(mine.predict(X), mine.labels_) and 1 < mine.n_iter_ <= 50


def test_modes_of_equal_weight():
    six = np.array([[1, 1], [2, 1], [1, 0], [4, 7], [3, 5], [3, 6]], dtype=float)
    for points in (six, six[::-1].copy()): assert adjusted_rand_score(MeanShift(bandwidth=1).fit_predict(points), [0, 0, 0, 1, 1, 1]) == 1


@pytest.mark.parametrize("options", [{}, {"method": "exact"}, {"kernel": "triangular", "bandwidth": 6}], ids=str)
def test_mean_shift_weights_are_repetitions(options):
    times = np.random.default_rng(0).integers(0, 4, len(X))
    weighted, repeated = MeanShift(**{"bandwidth": 2.5} | options).fit(X, sample_weight=times), MeanShift(**{"bandwidth": 2.5} | options).fit(X.repeat(times, 0))
    assert np.array_equal(weighted.labels_.repeat(times), repeated.labels_) and np.allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=2e-3)


def test_weight_of_a_mode():
    twice = MeanShift(bandwidth=2.5).fit(X, sample_weight=np.repeat([1.0, 1, 1, 1, 1, 3], 250))
    assert (twice.labels_[1250:] == 0).all() and len(twice.cluster_centers_) == 6


def test_too_few_steps_are_a_convergence_warning_at_the_callers_line():
    with pytest.warns(ConvergenceWarning, match="max_iter: 1 steps were too few") as said: MeanShift(bandwidth=2.5, max_iter=1).fit(X)
    assert len(said) == 1 and said[0].filename == __file__


def test_mean_shift_in_a_grid_search():
    search = GridSearchCV(make_pipeline(StandardScaler(), MeanShift()), {"meanshift__bandwidth": [0.15, 5.0]}, cv=KFold(3, shuffle=True, random_state=0)).fit(X)
    assert len(search.best_estimator_[-1].cluster_centers_) == 6 and search.predict(X).shape == (1500,)


# both

BOTH = [DBSCAN(1.0), MeanShift(bandwidth=2.5)]


@pytest.mark.parametrize("estimator", BOTH, ids=str)
@pytest.mark.parametrize("given, kept", [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)])
def test_array_in_array_out(estimator, given, kept):
    mine = clone(estimator).fit(np.round(X[::5]).astype(given))
    found = mine.components_ if isinstance(mine, DBSCAN) else mine.cluster_centers_
    assert type(mine.labels_) is np.ndarray and mine.labels_.dtype == np.int64 and type(found) is np.ndarray and found.dtype == kept


@pytest.mark.parametrize("estimator", BOTH, ids=str)
@pytest.mark.parametrize("given", [torch.float16, torch.float32, torch.float64, torch.int32])
def test_tensor_in_tensor_out(estimator, given, monkeypatch):
    points = torch.from_numpy(X[::5]).to(device, given)
    def refuse(*args, **kwargs): raise AssertionError("a tensor was turned into an array")
    for name in ("numpy", "__array__"): monkeypatch.setattr(torch.Tensor, name, refuse)
    for weights in (None, torch.ones(len(points), device=device)):
        mine = clone(estimator).fit(points, sample_weight=weights)
        found = mine.components_ if isinstance(mine, DBSCAN) else mine.cluster_centers_
        assert mine.labels_.dtype == torch.int64 and mine.labels_.device == found.device == points.device
        assert found.dtype == (torch.float32 if given == torch.int32 and isinstance(mine, MeanShift) else given)
    if isinstance(mine, MeanShift): assert torch.equal(mine.predict(points), mine.labels_) and mine.transform(points).shape == (300, len(found))


@pytest.mark.parametrize("estimator", BOTH, ids=str)
def test_arrays_and_tensors_get_the_same_answer(estimator):
    for weights in (None, np.arange(1500) % 3 + 1.0):
        by_array, by_tensor = (clone(estimator).fit(kind, sample_weight=weights) for kind in (X, torch.from_numpy(X)))
        assert np.array_equal(by_array.labels_, by_tensor.labels_.numpy())
    if isinstance(estimator, MeanShift): assert type(by_array.predict(torch.from_numpy(X))) is torch.Tensor and type(by_tensor.predict(X)) is np.ndarray


@pytest.mark.parametrize("estimator", BOTH, ids=str)
def test_sparse_frames_pickle_and_clone(estimator):
    sparse, pandas, thin = pytest.importorskip("scipy.sparse"), pytest.importorskip("pandas"), np.where(np.abs(X) < 8, 0, X)
    mine = clone(estimator).fit(thin)
    assert np.array_equal(clone(estimator).fit(sparse.csr_array(thin)).labels_, mine.labels_)
    framed = clone(estimator).fit(pandas.DataFrame(thin, columns=["x", "y"]))
    assert np.array_equal(framed.labels_, mine.labels_) and list(framed.feature_names_in_) == ["x", "y"]
    assert np.array_equal(pickle.loads(pickle.dumps(mine)).labels_, mine.labels_) and not hasattr(clone(mine), "labels_")
    assert np.array_equal(clone(estimator).fit_predict(thin), mine.labels_)


@pytest.mark.parametrize("estimator", BOTH, ids=str)
def test_nothing_is_changed_and_no_global_random_state_moved(estimator):
    points, weights = X.copy(), np.ones(1500)
    points.flags.writeable = False
    ours, theirs = torch.get_rng_state(), np.random.get_state()[1].copy()
    clone(estimator).fit(points, sample_weight=weights)
    assert np.array_equal(points, X) and (weights == 1).all() and torch.equal(ours, torch.get_rng_state()) and np.array_equal(theirs, np.random.get_state()[1])


BAD = [
    (DBSCAN(0), ValueError, "eps: got 0, wanted a finite number above 0"), (DBSCAN("x"), (ValueError, TypeError), "eps: got 'x'"), (DBSCAN(min_samples=0), ValueError, "min_samples: got 0, wanted at least 1"),
    (DBSCAN(min_samples=2.5), TypeError, "min_samples: got 2.5"), (DBSCAN(metric="manhattan"), ValueError, "metric: got 'manhattan', p=None, metric_params=None, wanted 'euclidean'"),
    (DBSCAN(metric="minkowski", p=1), ValueError, "p=1"), (DBSCAN(metric="precomputed"), ValueError, "metric: got 'precomputed'"), (DBSCAN(metric_params={"p": 2}), ValueError, "metric_params="),
    (MeanShift(bandwidth=0), ValueError, "bandwidth: got 0, wanted"), (MeanShift(kernel="flat"), ValueError, "kernel: got 'flat'"), (MeanShift(method="fast"), ValueError, "method: got 'fast'"),
    (MeanShift(max_iter=0), ValueError, "max_iters: got 0, wanted at least 1"), (MeanShift(tol=-1), ValueError, "tol: got -1"),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("estimator, error, words", BAD, ids=[words for _, _, words in BAD])
def test_bad_parameters_are_refused_in_words(estimator, error, words, weighted):
    for kind in (np.asarray, torch.tensor):
        with pytest.raises(error, match=words): clone(estimator).fit(kind([[0.0, 1], [1, 0], [2, 2]]), sample_weight=[1, 2, 1] if weighted else None)


def test_bad_data_are_refused_in_words():
    for estimator in BOTH:
        for bad, words in ((X[:, 0], "1D array|shape"), (X * np.nan, "NaN"), (torch.from_numpy(X[0]), r"X: got shape \(2,\)"), (torch.from_numpy(X) * torch.nan, "NaN or infinity")):
            with pytest.raises(ValueError, match=words): clone(estimator).fit(bad)
    with pytest.raises(NotFittedError): MeanShift().predict(X)
    with pytest.raises(ValueError, match="1 features, but MeanShift is expecting 2"): MeanShift(bandwidth=2.5).fit(X).predict(X[:, :1])
