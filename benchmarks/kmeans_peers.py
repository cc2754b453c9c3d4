"""The contestants of kmeans.py: each library driven from a given start for a given number of iterations, and for whole fits with its own seeding."""
import contextlib
import io
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from clusterlab.kmeans import _fit, k_means_cluster
from clusterlab.lesson.kmeans_v2 import k_means_cluster_v2
from clusterlab.lesson.kmeans_v3 import k_means_cluster_v3, k_means_cluster_v3_1

START = 0


def first_centroids(points: Tensor, k: int) -> Tensor:
    "k of the points: those that the lesson's versions and fastkmeans, which take no start, draw themselves after torch.manual_seed(START)."
    torch.manual_seed(START)
    return points[torch.randperm(len(points))[:k]]


# ---- from a given start

class Contestant(NamedTuple):
    """package: what pip calls it; module: what Python calls it; labels: those it gives belong to the "final" centroids, or to those "before" the last update, or it gives "none";
    floats(n, d, k): how many it holds at once, about; run(points, start, iterations) -> centroids, number of iterations (None: all that were asked, unless they converged)."""
    run: Callable
    package: str
    module: str
    labels: str
    floats: Callable


CONTESTANTS: dict[str, Contestant] = {}


def contestant(name, package, labels, module=None, floats=lambda n, d, k: n * d):
    def register(run):
        CONTESTANTS[name] = Contestant(run, package, module or package.replace("-", "_"), labels, floats)
        return run
    return register


@contestant("clusterlab", "clusterlab", "final")
def _(points, start, iterations): return k_means_cluster(len(start), points, iterations, 0., init=start)[0], None


def lesson(version):
    def run(points, start, iterations):
        torch.manual_seed(START)
        return version(len(start), points, iterations, 0.), None
    return run


for name, version in {"lesson-v2": k_means_cluster_v2, "lesson-v3": k_means_cluster_v3, "lesson-v3.1": k_means_cluster_v3_1}.items():
    contestant(name, "clusterlab", "none", floats=lambda n, d, k: n * (k + d))(lesson(version))


def sklearn(algorithm):
    def run(points, start, iterations):
        from sklearn.cluster import KMeans
        model = KMeans(len(start), init=start.numpy(), n_init=1, max_iter=iterations, tol=0, algorithm=algorithm).fit(points.numpy())
        return torch.from_numpy(model.cluster_centers_), model.n_iter_
    return run


contestant("sklearn-lloyd", "scikit-learn", "final", "sklearn", lambda n, d, k: 2 * n * d)(sklearn("lloyd"))
contestant("sklearn-elkan", "scikit-learn", "final", "sklearn", lambda n, d, k: n * (2 * d + k))(sklearn("elkan"))


@contestant("faiss", "faiss-cpu", "none", "faiss")
def _(points, start, iterations):
    import faiss
    model = faiss.Kmeans(points.shape[1], len(start), niter=iterations, max_points_per_centroid=len(points), min_points_per_centroid=1)
    model.train(points.numpy(), init_centroids=start.numpy())
    return torch.from_numpy(model.centroids), len(model.obj)


@contestant("fast-pytorch-kmeans", "fast-pytorch-kmeans", "before", floats=lambda n, d, k: n * (4 * k + 3 * d))
def _(points, start, iterations):
    from fast_pytorch_kmeans import KMeans
    model = KMeans(len(start), max_iter=iterations, tol=-1.)
    model.fit_predict(points, start.clone())
    return model.centroids, iterations


@contestant("torch-kmeans", "torch-kmeans", "final", floats=lambda n, d, k: 5 * n * d * k)
def _(points, start, iterations):
    from torch_kmeans import KMeans
    model = KMeans(num_init=1, max_iter=iterations, tol=0., verbose=False, n_clusters=len(start))
    return model(points[None], k=len(start), centers=start[None].clone()).centers[0], None


@contestant("kmeans-pytorch", "kmeans-pytorch", "before", floats=lambda n, d, k: 3 * n * d * k)
def _(points, start, iterations):
    "It has no limit on iterations and takes no start: its progress bar, moved once an iteration, ends it, and its draw of a start is replaced."
    import kmeans_pytorch
    centroids, saved = start.clone(), (kmeans_pytorch.initialize, kmeans_pytorch.tqdm)

    class Stop(Exception): pass

    class Bar:
        def __init__(self, **_): self.left = iterations
        def set_postfix(self, **_): pass

        def update(self):
            self.left -= 1
            if not self.left: raise Stop
    kmeans_pytorch.initialize, kmeans_pytorch.tqdm = lambda *_: centroids, Bar
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Stop): kmeans_pytorch.kmeans(points, len(start), tol=-1.)
    finally: kmeans_pytorch.initialize, kmeans_pytorch.tqdm = saved
    return centroids, iterations


@contestant("fastkmeans", "fastkmeans", "before", floats=lambda n, d, k: 3 * 51_200 * k + 2 * n)
def _(points, start, iterations):
    from fastkmeans import FastKMeans
    model = FastKMeans(points.shape[1], len(start), niter=iterations, tol=-1., gpu=False, seed=START)
    model.train(points.numpy())
    return torch.from_numpy(model.centroids), iterations


@contestant("flash-kmeans", "flash-kmeans", "before")
def _(points, start, iterations):
    from flash_kmeans import batch_kmeans_Euclid
    return batch_kmeans_Euclid(points[None], len(start), max_iters=iterations, tol=-1., init_centroids=start[None].clone())[1][0], iterations


# ---- whole fits: f(k, points, seed) -> centroids, iterations or None

def fit_clusterlab(k, points, seed):
    "k_means_cluster, by what it calls, which also says how many iterations there were."
    found = _fit(k, points, 300, 1e-4, "k-means++", 1, None, Generator().manual_seed(seed))
    return found.centroids, found.n_iter


def fit_sklearn(algorithm):
    def fit(k, points, seed):
        from sklearn.cluster import KMeans
        model = KMeans(k, n_init=1, random_state=seed, algorithm=algorithm).fit(points.numpy())
        return torch.from_numpy(model.cluster_centers_), model.n_iter_
    return fit


def fit_faiss(**options):
    def fit(k, points, seed):
        import faiss
        model = faiss.Kmeans(points.shape[1], k, seed=seed, **{name: len(points) if value == "all" else value for name, value in options.items()})
        model.train(points.numpy())
        return torch.from_numpy(model.centroids), len(model.obj)
    return fit


def fit_fast_pytorch(k, points, seed):
    import numpy
    from fast_pytorch_kmeans import KMeans
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    model = KMeans(k)
    model.fit_predict(points)
    return model.centroids, None


def fit_fastkmeans(k, points, seed):
    from fastkmeans import FastKMeans
    model = FastKMeans(points.shape[1], k, gpu=False, seed=seed)
    model.train(points.numpy())
    return torch.from_numpy(model.centroids), None


FITS = {  # name: contestant, settings, fit
    "clusterlab": ("clusterlab", "k-means++, at most 300 iterations, tol 1e-4", fit_clusterlab),
    "sklearn-lloyd": ("sklearn-lloyd", "its defaults: k-means++, at most 300, tol 1e-4", fit_sklearn("lloyd")),
    "sklearn-elkan": ("sklearn-elkan", "the same", fit_sklearn("elkan")),
    "faiss": ("faiss", "its defaults: random start, 25 iterations, at most 256 points a cluster", fit_faiss()),
    "faiss-all": ("faiss", "k-means++ (init_method=1), 25 iterations, all points", fit_faiss(init_method=1, max_points_per_centroid="all")),
    "fast-pytorch-kmeans": ("fast-pytorch-kmeans", "its defaults: random start, at most 100, tol 1e-4", fit_fast_pytorch),
    "fastkmeans": ("fastkmeans", "its defaults: random start, 25 iterations", fit_fastkmeans)}
