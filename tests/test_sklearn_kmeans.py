"""scikit-learn's own tests of KMeans, from the installed package, with our class in the place of theirs.

Every case of sklearn/cluster/tests/test_k_means.py falls into one of three groups, by the rules below:
runs (must pass), XFAIL (must fail, each with its reason), and out of scope (our class does not occur in it; not run).
`pytest tests/test_sklearn_kmeans.py -rxP` prints the reasons and, at the end, the counts.
"""
import importlib.util
import itertools
import os
from collections import Counter
from unittest.mock import patch

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")
import sklearn.cluster

from clusterlab.estimators import KMeans

VERBOSE = "verbose shows a progress bar on standard error; scikit-learn prints its own lines on standard output"
PRIVATE = "calls scikit-learn's private method _init_centroids; the same promise is held in tests/test_kmeans.py, test_weight_zero_is_never_chosen_and_still_labelled"
ELKAN = "the warning says that Lloyd replaces Elkan for one cluster; we have one engine for both names, so nothing is replaced"
XFAIL = {
    "test_kmeans_verbose": VERBOSE,
    "test_sample_weight_init": PRIVATE,
    "test_sample_weight_zero": PRIVATE,
    "test_warning_elkan_1_cluster": ELKAN,
}


def theirs():
    "Their test module, executed with our KMeans in sklearn.cluster."
    spec = importlib.util.find_spec("sklearn.cluster.tests.test_k_means")
    if spec is None: pytest.skip("this scikit-learn comes without its tests", allow_module_level=True)
    module = importlib.util.module_from_spec(spec)
    with patch.object(sklearn.cluster, "KMeans", KMeans): spec.loader.exec_module(module)
    return module


def cases(test):
    "All combinations of the parameters of a test: pairs (id, {name: value})."
    axes = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name != "parametrize": continue
        names, values = mark.args
        names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
        rows = [v.values if hasattr(v, "values") and hasattr(v, "marks") else v if len(names) > 1 else (v,) for v in values]
        ids = mark.kwargs.get("ids") or ["-".join(word(v, f"{n}{i}") for n, v in zip(names, row)) for i, row in enumerate(rows)]
        axes.append([(id, dict(zip(names, row))) for id, row in zip(ids, rows)])
    for combination in itertools.product(*reversed(axes)):
        yield "-".join(str(id) for id, _ in combination), {n: v for _, row in combination for n, v in row.items()}


def word(value, otherwise):
    "A value in an id."
    if isinstance(value, (str, int, float, type(None))): return str(value)
    return getattr(value, "__name__", otherwise)


def ours(test, values):
    "Does our class occur in the case: among its parameters, or by name where no parameter chooses between classes?"
    classes = {v for v in values.values() if isinstance(v, type) and v.__module__.startswith(("sklearn.cluster", "clusterlab"))}
    return KMeans in classes if classes else "KMeans" in test.__code__.co_names


def case(test, id, values):
    "The case as a parameter of pytest, and its group."
    if test.__name__ in XFAIL: group, marks = "xfail", [pytest.mark.xfail(reason=XFAIL[test.__name__], strict=True)]
    else: group, marks = "runs", []
    GROUPS[group] += 1
    return pytest.param(*values.values(), id=id, marks=marks)


GROUPS, upstream = Counter(), theirs()
for name, function in vars(upstream).copy().items():
    if not name.startswith("test_"): continue
    every = list(cases(function))
    kept = [(id, values) for id, values in every if ours(function, values)]
    GROUPS["out of scope"] += len(every) - len(kept)
    if not kept: continue
    names = list(kept[0][1])
    function.pytestmark = [m for m in getattr(function, "pytestmark", []) if m.name != "parametrize"]
    globals()[name] = pytest.mark.parametrize(names, [case(function, *one) for one in kept])(function)


@pytest.fixture
def global_random_seed():
    "As scikit-learn: 42, or another number (0 to 99) from the environment."
    return int(os.environ.get("SKLEARN_TESTS_GLOBAL_RANDOM_SEED", 42))


@pytest.fixture(params=[np.float32, np.float64])
def global_dtype(request): return request.param


def test_zz_the_counts():
    print(dict(GROUPS), "of", GROUPS.total())
    assert set(XFAIL) <= set(globals()) and all(XFAIL.values())
    assert GROUPS["xfail"] < 38 and GROUPS["runs"] >= 140
