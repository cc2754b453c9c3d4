"""scikit-learn's own tests of DBSCAN and MeanShift, from the installed package, with our classes in the place of theirs.

As in test_sklearn_kmeans.py, every case runs (must pass), is in XFAIL (must fail, with its reason), or is out of scope: neither class nor their functions `dbscan`, `mean_shift` occur in it.
The two functions are ours too: fit, and the learned values. `pytest tests/test_sklearn_density.py -rxP` prints the reasons and the counts.
"""
import importlib.util
import warnings
from collections import Counter
from unittest.mock import patch

import pytest

pytest.importorskip("sklearn", minversion="1.6")
import sklearn.cluster
from test_sklearn_kmeans import cases, global_dtype, global_random_seed  # noqa: F401

from clusterlab.estimators import DBSCAN, MeanShift

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PRECOMPUTED = "gives a matrix of distances; ours takes points, and measures Euclidean distance alone"
METRIC = "gives another metric than the Euclidean one, which ours refuses in words"
PARTLY = "gives points, which works, and then a matrix of distances; its other lines are in test_estimators_density.py, test_weights_as_scikit_learn_tests_them"
SEEDS = "starts copies of chosen points (seeds, bin_seeding) through fixed data; ours moves all the points"
ORPHANS = "leaves points far from all modes out (cluster_all); with ours every point moves to a mode"
WIDER = "bandwidth 2 is a disc's radius there and a Gaussian's standard deviation here, which makes one cluster of the six points; with 1: test_estimators_density.py, test_modes_of_equal_weight"
JOBS = "sets n_jobs; torch's number of threads is its own"
XFAIL = {
    "test_dbscan_similarity": PRECOMPUTED,
    "test_dbscan_sparse_precomputed": PRECOMPUTED,
    "test_dbscan_sparse_precomputed_different_eps": PRECOMPUTED,
    "test_dbscan_input_not_modified_precomputed_sparse_nodiag": PRECOMPUTED,
    "test_dbscan_precomputed_metric_with_degenerate_input_arrays": PRECOMPUTED,
    "test_dbscan_precomputed_metric_with_initial_rows_zero": PRECOMPUTED,
    "test_dbscan_no_warning_unsorted_precomputed": PRECOMPUTED,
    "test_dbscan_no_warning_presorted_precomputed": PRECOMPUTED,
    "test_dbscan_callable": METRIC,
    "test_dbscan_metric_params": METRIC,
    "test_dbscan_balltree": PRECOMPUTED,
    "test_weighted_dbscan": PARTLY,
    "test_mean_shift": ORPHANS,
    "test_meanshift_all_orphans": SEEDS,
    "test_mean_shift_zero_bandwidth": SEEDS,
    "test_parallel": JOBS,
    "test_cluster_intensity_tie": WIDER,
}


def dbscan(X, eps=0.5, *, sample_weight=None, **options):
    found = DBSCAN(eps, **options).fit(X, sample_weight=sample_weight)
    return found.core_sample_indices_, found.labels_


def mean_shift(X, **options):
    found = MeanShift(**options).fit(X)
    return found.cluster_centers_, found.labels_


OURS = {"DBSCAN": DBSCAN, "MeanShift": MeanShift, "dbscan": dbscan, "mean_shift": mean_shift}
GROUPS = Counter()


def theirs(name):
    "A test module of theirs, executed with ours in sklearn.cluster."
    spec = importlib.util.find_spec(f"sklearn.cluster.tests.{name}")
    if spec is None: pytest.skip("this scikit-learn comes without its tests", allow_module_level=True)
    module = importlib.util.module_from_spec(spec)
    with patch.multiple(sklearn.cluster, **OURS), warnings.catch_warnings():
        warnings.simplefilter("ignore", pytest.PytestUnknownMarkWarning)
        spec.loader.exec_module(module)
    return module


def case(test, id, values):
    "The case as a parameter of pytest, and its group."
    reason = PRECOMPUTED if values.get("metric") == "precomputed" else XFAIL.get(test.__name__)
    GROUPS["xfail" if reason else "runs"] += 1
    return pytest.param(*values.values(), id=id, marks=[pytest.mark.xfail(reason=reason, strict=True)] if reason else [])


for module in ("test_dbscan", "test_mean_shift"):
    for name, function in vars(theirs(module)).items():
        if not name.startswith("test_"): continue
        every = list(cases(function))
        if not set(OURS) & set(function.__code__.co_names):
            GROUPS["out of scope"] += len(every)
            continue
        assert name not in globals()
        function.pytestmark = [m for m in getattr(function, "pytestmark", []) if m.name != "parametrize"]
        globals()[name] = pytest.mark.parametrize(list(every[0][1]), [case(function, *one) for one in every])(function)


def test_zz_the_counts():
    print(dict(GROUPS), "of", GROUPS.total())
    assert set(XFAIL) <= set(globals()) and all(XFAIL.values())
    assert GROUPS["runs"] >= 15
