"clusterlab.estimators: scikit-learn's contract, its answers, NumPy and torch in kind, and nothing of the caller's changed."
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn", minversion="1.6")
import sklearn.cluster
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from clusterlab.data import default_device, lesson_data
from clusterlab.estimators import KMeans
from clusterlab.kmeans import k_means_cluster

device = default_device()
X = lesson_data()[1].numpy()
SETS = {"lesson": X, "wine": StandardScaler().fit_transform(load_wine().data), "iris": load_iris().data, "blobs": make_blobs(300, 5, centers=7, cluster_std=4.0, random_state=3)[0]}
CHANCE = {f"check_sample_weight_equivalence_on_{kind}_data": "rows in another order start elsewhere; scikit-learn expects this failure of its own KMeans. With given centers: test_weights_are_repetitions"
          for kind in ("dense", "sparse")}


@parametrize_with_checks([KMeans(), KMeans(2, n_init=2, max_iter=5), KMeans(3, init="random"), KMeans(2, algorithm="elkan", copy_x=False, tol=0)], expected_failed_checks=lambda _: CHANCE)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_check(estimator, check): check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_check_estimator_fails_nothing_else():
    check_estimator(KMeans(), expected_failed_checks=CHANCE, on_skip=None)


# the same answers as scikit-learn and as our own function

@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SETS)
def test_same_start_same_answer_as_scikit_learn(name, weighted):
    points, g = SETS[name], np.random.default_rng(0)
    weights = g.uniform(0.1, 3, len(points)) if weighted else None
    start = points[g.choice(len(points), 5, replace=False)]
    mine, theirs = (K(5, init=start, n_init=1).fit(points, sample_weight=weights) for K in (KMeans, sklearn.cluster.KMeans))
    assert (mine.labels_ == theirs.labels_).all() and np.allclose(mine.cluster_centers_, theirs.cluster_centers_, atol=1e-4)
    assert mine.n_iter_ == theirs.n_iter_ and np.isclose(mine.inertia_, theirs.inertia_)
    other = points[::2] + np.float32(0.5)
    assert (mine.predict(other) == theirs.predict(other)).all() and np.allclose(mine.transform(other), theirs.transform(other), atol=1e-3)
    assert np.isclose(mine.score(other, sample_weight=None if weights is None else weights[::2]), theirs.score(other, sample_weight=None if weights is None else weights[::2]))


def test_as_good_as_scikit_learn_by_chance():
    mine, theirs = ([K(7, n_init=3, random_state=s).fit(SETS["blobs"]).inertia_ for s in range(10)] for K in (KMeans, sklearn.cluster.KMeans))
    assert np.mean(mine) < np.mean(theirs) * 1.01


@pytest.mark.parametrize("params", [{}, dict(init="random"), dict(n_init=3)])
def test_equals_the_function_with_the_same_generator(params):
    generator = torch.Generator().manual_seed(int(np.random.RandomState(7).randint(2**31 - 1)))
    runs = {"n_init": 10 if params.get("init") == "random" else 1} | params
    centers, labels = k_means_cluster(6, torch.from_numpy(X), 300, 1e-4, generator=generator, **runs)
    mine = KMeans(6, random_state=7, **params).fit(X)
    assert np.array_equal(mine.cluster_centers_, centers.numpy()) and np.array_equal(mine.labels_, labels.numpy())


def test_no_stale_labels():
    "scikit-learn returns labels that are not the nearest center in about one of 60 such cases."
    g = np.random.default_rng(0)
    for _ in range(1500):
        n, k = g.integers(4, 20), g.integers(2, 4)
        points, start = g.integers(0, 5, (n, 2)).astype(float), g.integers(0, 8, (k, 2)).astype(float)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mine = KMeans(k, init=start, tol=0, max_iter=int(g.integers(1, 9))).fit(points)
        squares = ((points[:, None] - mine.cluster_centers_) ** 2).sum(2)
        assert np.allclose(squares[range(n), mine.labels_], squares.min(1)) and np.isclose(mine.inertia_, squares.min(1).sum())


def test_weights_are_repetitions():
    times = np.arange(len(X)) % 4
    start = X[[0, 300, 600, 900, 1200, 1499]]
    weighted, repeated = KMeans(6, init=start).fit(X, sample_weight=times), KMeans(6, init=start).fit(X.repeat(times, 0))
    assert np.allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-4) and (weighted.labels_.repeat(times) == repeated.labels_).all()
    assert np.isclose(weighted.inertia_, repeated.inertia_) and np.isclose(weighted.score(X, sample_weight=times), -weighted.inertia_)


@pytest.mark.parametrize("scale", [1e-3, 50])
def test_the_inertia_counts_the_weights_as_given(scale):
    weights = np.full(len(X), scale)
    assert np.isclose(KMeans(6, random_state=0).fit(X, sample_weight=weights).inertia_, scale * KMeans(6, random_state=0).fit(X).inertia_)


# kinds and dtypes

@pytest.mark.parametrize("given, kept", [(np.float32, np.float32), (np.float64, np.float64), (np.float16, np.float64), (np.int64, np.float64), (bool, np.float64), (">f4", np.float64)])
def test_array_in_array_out(given, kept):
    points = (X[::5] > [0, 15] if given is bool else np.round(X[::5])).astype(given)
    mine = KMeans(2, random_state=0).fit(points)
    answers = mine.cluster_centers_, mine.transform(points), mine.labels_, mine.predict(points)
    assert all(type(a) is np.ndarray for a in answers) and [a.dtype for a in answers] == [kept, kept, np.int64, np.int64]
    assert type(mine.inertia_) is float and type(mine.n_iter_) is int and type(mine.score(points)) is float


@pytest.mark.parametrize("given, kept", [(t, t) for t in (torch.float16, torch.bfloat16, torch.float32, torch.float64)] + [(torch.int32, torch.float32)])
def test_tensor_in_tensor_out(given, kept):
    points = torch.from_numpy(X[::5]).to(device, given)
    mine = KMeans(6, random_state=0).fit(points)
    answers = mine.cluster_centers_, mine.transform(points), mine.labels_, mine.predict(points)
    assert [a.dtype for a in answers] == [kept, kept, torch.int64, torch.int64] and all(a.device == points.device for a in answers)
    assert type(mine.inertia_) is float and type(mine.score(points)) is float
    assert torch.equal(mine.labels_, mine.predict(points)) and torch.equal(mine.fit_predict(points), mine.labels_) and torch.equal(mine.fit_transform(points), mine.transform(points))


def test_arrays_and_tensors_get_the_same_answer_from_either():
    for weights in (None, np.arange(1500) % 5 + 1.0):
        by_array, by_tensor = KMeans(6, random_state=0).fit(X, sample_weight=weights), KMeans(6, random_state=0).fit(torch.from_numpy(X), sample_weight=weights)
        assert np.array_equal(by_array.labels_, by_tensor.labels_.numpy()) and np.array_equal(by_array.cluster_centers_, by_tensor.cluster_centers_.numpy())
        assert by_array.inertia_ == by_tensor.inertia_
        assert type(by_array.predict(torch.from_numpy(X))) is torch.Tensor and type(by_tensor.predict(X)) is np.ndarray and type(by_tensor.transform(X)) is np.ndarray
        assert np.array_equal(by_tensor.predict(X), by_array.labels_)


def test_tensors_do_not_travel_through_numpy(monkeypatch):
    mine, points = KMeans(6, random_state=0), torch.from_numpy(X).to(device)
    def refuse(*args, **kwargs): raise AssertionError("a tensor was turned into an array")
    for name in ("numpy", "__array__"): monkeypatch.setattr(torch.Tensor, name, refuse)
    mine.fit(points, sample_weight=torch.ones(len(points), device=device))
    mine.predict(points), mine.transform(points), mine.score(points)


def test_gradients_are_not_followed():
    points = torch.from_numpy(X[::5]).clone().requires_grad_()
    mine = KMeans(3, random_state=0).fit(points, sample_weight=torch.ones(300))
    assert not any(t.requires_grad for t in (mine.cluster_centers_, mine.transform(points))) and mine.score(points) == pytest.approx(-mine.inertia_)


def test_lists_and_frames_come_in_and_frames_go_out():
    assert KMeans(2, random_state=0).fit([[0, 0], [0, 1], [9, 9]]).predict([[8, 8]]).shape == (1,)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["x", "y"])
    mine = KMeans(3, random_state=0).set_output(transform="pandas").fit(frame)
    out = mine.transform(frame)
    assert list(mine.feature_names_in_) == ["x", "y"] and list(out.columns) == ["kmeans0", "kmeans1", "kmeans2"] and (out.index == frame.index).all()
    with pytest.raises(ValueError, match="feature names"): mine.predict(frame[["y", "x"]])


# the interface

def test_pickle_clone_pipeline():
    mine = KMeans(3, init=SETS["wine"][:3], random_state=0)
    again = pickle.loads(pickle.dumps(mine.fit(SETS["wine"])))
    assert np.array_equal(again.predict(SETS["wine"]), mine.labels_) and not hasattr(clone(mine), "labels_")
    tensors = pickle.loads(pickle.dumps(clone(mine).set_params(init=torch.from_numpy(SETS["wine"][:3])).fit(torch.from_numpy(SETS["wine"]))))
    assert np.array_equal(tensors.labels_.numpy(), mine.labels_) and repr(tensors).startswith("KMeans(") and clone(tensors).init is not tensors.init
    piped = make_pipeline(StandardScaler(), KMeans(3, init=SETS["wine"][:3])).fit(load_wine().data)
    assert np.array_equal(piped.predict(load_wine().data), mine.labels_) and np.isclose(piped.score(load_wine().data), -mine.inertia_)
    assert list(mine.get_feature_names_out()) == ["kmeans0", "kmeans1", "kmeans2"] and mine.n_features_in_ == 13


def test_grid_search():
    search = GridSearchCV(make_pipeline(StandardScaler(), KMeans(random_state=0)), {"kmeans__n_clusters": [2, 6]}, cv=KFold(3, shuffle=True, random_state=0)).fit(X)
    assert search.best_params_ == {"kmeans__n_clusters": 6} and search.best_estimator_.predict(X).shape == (1500,)


def test_parameters_are_those_of_scikit_learn():
    assert KMeans().get_params() == sklearn.cluster.KMeans().get_params()


def test_a_callable_starts_each_run_with_data_of_the_kind_given():
    seen = []
    def start(points, k, random_state): seen.append(type(points)); return points[random_state.randint(0, len(points), k)]
    assert KMeans(6, init=start, random_state=0).fit(X)._n_init == len(seen) == 10 and set(seen) == {np.ndarray}
    KMeans(6, init=start, n_init=2, random_state=0).fit(torch.from_numpy(X))
    assert seen[10:] == [torch.Tensor] * 2


def test_more_runs_are_no_worse():
    scores = [KMeans(6, init="random", n_init=n, max_iter=1, random_state=0).fit(X).inertia_ for n in (1, 5, 20)]
    assert scores == sorted(scores, reverse=True)


def test_fewer_distinct_points_than_clusters_is_a_convergence_warning_at_the_callers_line():
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(2\) found smaller than n_clusters \(3\)") as said: mine = KMeans(3, random_state=0).fit([[0], [0], [1], [1]])
    assert len(said) == 1 and said[0].filename == __file__ and mine.inertia_ == 0
    with pytest.warns(ConvergenceWarning, match=r"\(2\)"): KMeans(3, random_state=0).fit([[0.0], [1], [9]], sample_weight=[1, 1, 0])


def test_nothing_is_changed_and_no_global_random_state_moved():
    points, start, weights = X.copy(), X[:6].copy(), np.linspace(1, 2, len(X))
    copies = [a.copy() for a in (points, start, weights)]
    ours, theirs = torch.get_rng_state(), np.random.get_state()[1].copy()
    for init in (start, "k-means++", "random"): KMeans(6, init=init, copy_x=False, random_state=0).fit(points, sample_weight=weights).score(points, sample_weight=weights)
    assert all(np.array_equal(a, b) for a, b in zip((points, start, weights), copies))
    assert torch.equal(ours, torch.get_rng_state()) and np.array_equal(theirs, np.random.get_state()[1])


def test_random_state_rules():
    same, generator = [KMeans(6, init="random", n_init=1, max_iter=1, random_state=3) for _ in range(2)], np.random.RandomState(3)
    first = same[0].fit(X).cluster_centers_
    assert np.array_equal(first, same[1].fit(X).cluster_centers_) and np.array_equal(first, same[0].fit(X).cluster_centers_)
    moving = KMeans(6, init="random", n_init=1, max_iter=1, random_state=generator)
    assert np.array_equal(first, moving.fit(X).cluster_centers_) and not np.array_equal(first, moving.fit(X).cluster_centers_)


def test_read_only_memory_map_is_neither_copied_nor_written_nor_spoken_of(tmp_path):
    np.save(tmp_path / "points.npy", X)
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    where = []
    def start(points, k, random_state): where.append(points.ctypes.data); return points[:k]
    torch.set_warn_always(True)
    try:
        with pytest.warns(UserWarning, match="not writable"): torch.from_numpy(mapped)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mine = KMeans(6, init=start, n_init=1).fit(mapped)
            assert np.array_equal(mine.predict(mapped), mine.labels_)
    finally:
        torch.set_warn_always(False)
    assert where == [mapped.ctypes.data] and np.array_equal(mapped, X)


BAD = [
    (ValueError, "n_clusters: got 0, wanted at least 1", dict(n_clusters=0)),
    (TypeError, "n_clusters: got 2.5, wanted an integer", dict(n_clusters=2.5)),
    (ValueError, "n_samples=5 should be >= n_clusters=6", dict(n_clusters=6)),
    (ValueError, "max_iter: got 0, wanted at least 1", dict(max_iter=0)),
    (ValueError, "tol: got -1, wanted a finite number", dict(tol=-1)),
    (ValueError, "n_init: got 'many', wanted 'auto' or an integer", dict(n_init="many")),
    (ValueError, "n_init: got 0, wanted at least 1", dict(n_init=0)),
    (ValueError, "init: got 'best', wanted 'k-means", dict(init="best")),
    (ValueError, r"initial centers \(3, 2\) does not match the number of clusters 2", dict(init=np.zeros((3, 2)))),
    (ValueError, r"initial centers \(2, 3\) does not match the number of features of the data 2", dict(init=torch.zeros(2, 3))),
    (ValueError, "algorithm: got 'full', wanted 'lloyd' or 'elkan'", dict(algorithm="full")),
    (ValueError, "cannot be used to seed", dict(random_state="x")),
]


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
@pytest.mark.parametrize("error, words, params", BAD, ids=[words for _, words, _ in BAD])
def test_bad_parameters_are_refused_in_words(error, words, params, kind):
    with pytest.raises(error, match=words): KMeans(**{"n_clusters": 2} | params).fit(kind([[0.0, 1], [1, 0], [2, 2], [5, 3], [4, 4]]))


def test_bad_data_are_refused_in_words():
    mine, good = KMeans(2, random_state=0), torch.from_numpy(X[:20])
    with pytest.raises(NotFittedError): mine.predict(good)
    mine.fit(good)
    for bad, words in ((good[0], r"X: got shape \(2,\), wanted"), (good[:, :1], "1 features, but KMeans is expecting 2"), (good * torch.nan, "NaN or infinity"), (good.to_sparse(), "dense tensor")):
        for call in (mine.predict, mine.transform, mine.score):
            with pytest.raises((ValueError, TypeError), match=words): call(bad)
    for weights, words in ((torch.ones(3), r"weights: got shape \(3,\)"), (-torch.ones(20), "a negative one"), (np.zeros(20), "none above zero"), ([1] * 19 + [np.nan], "NaN")):
        for call in (mine.fit, mine.score):
            with pytest.raises(ValueError, match=words): call(good, sample_weight=weights)


@pytest.mark.parametrize("form", ["csr_array", "csr_matrix", "csc_array", "coo_array"])
def test_a_sparse_matrix_is_its_dense_one(form):
    thin = np.where(np.abs(X) < 10, 0, X)
    given, dense = getattr(pytest.importorskip("scipy.sparse"), form)(thin), KMeans(6, random_state=0).fit(thin)
    sparse = KMeans(6, random_state=0).fit(given)
    assert np.array_equal(sparse.labels_, dense.labels_) and np.array_equal(sparse.cluster_centers_, dense.cluster_centers_)
    assert np.array_equal(sparse.transform(given), dense.transform(thin)) and sparse.score(given) == dense.score(thin)


def test_without_scikit_learn_the_import_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None\ntry: import clusterlab.estimators\nexcept ImportError as e: print(e)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "needs scikit-learn" in said and "pip install 'clusterlab[" in said
