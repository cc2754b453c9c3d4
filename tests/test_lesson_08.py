"Lesson 08: k-means by scatter_add_ and scatter_reduce_, held against a slow loop and the earlier versions."
import pytest
import torch

from clusterlab.data import default_device, lesson_data
from clusterlab.lesson.kmeans_v1 import distance, initialize_centroids, k_means_cluster_v1
from clusterlab.lesson.kmeans_v2 import dist_batch, k_means_cluster_v2
from clusterlab.lesson.kmeans_v3 import k_means_cluster_v3, k_means_cluster_v3_1

DEVICE = default_device()
VERSIONS = pytest.mark.parametrize("f", [k_means_cluster_v3, k_means_cluster_v3_1])
SHAPES = [(1, 1, 1), (7, 1, 2), (5, 5, 2), (12, 9, 1), (26, 4, 3), (60, 20, 5), (300, 6, 2)]


def seeded(f, seed, *args, **kwargs):
    torch.manual_seed(seed)
    return f(*args, **kwargs)


def draw(n, d, seed=0):
    return (torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 10).to(DEVICE)


def slow(k, points, max_iters=20):
    "Point by point; an empty cluster keeps its centroid."
    centroids = initialize_centroids(k, points)
    for _ in range(max_iters):
        clusters = [[] for _ in range(k)]
        for p in points: clusters[distance(centroids, p).argmin()].append(p)
        centroids = torch.stack([sum(c) / len(c) if c else old for c, old in zip(clusters, centroids)])
    return centroids


@VERSIONS
@pytest.mark.parametrize("n, k, d", SHAPES)
def test_is_the_slow_loop(f, n, k, d):
    points = draw(n, d)
    torch.testing.assert_close(seeded(f, 1, k, points), seeded(slow, 1, k, points))


@VERSIONS
@pytest.mark.parametrize("seed", [0, 42])
def test_agrees_with_v1_and_v2_on_the_lesson_data(f, seed):
    points = lesson_data()[1].to(DEVICE)
    found = seeded(f, seed, 6, points)
    torch.testing.assert_close(found, seeded(k_means_cluster_v1, seed, 6, points)[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found, seeded(k_means_cluster_v2, seed, 6, points), rtol=1e-4, atol=1e-4)


@VERSIONS
@pytest.mark.parametrize("per_cluster", [5, 250])
def test_no_phantom_zero_in_the_mean(f, per_cluster):
    "The mean of one cluster is the mean of its points, however few and however far from the origin."
    points = draw(per_cluster, 2) + 100
    torch.testing.assert_close(seeded(f, 0, 1, points)[0], points.mean(0))
    assert (seeded(f, 0, 1, torch.full((5, 1), 10.0, device=DEVICE)) == 10).all()


@VERSIONS
@pytest.mark.parametrize("seed", range(3))
def test_empty_cluster_keeps_its_centroid(f, seed):
    points = draw(4, 2).repeat(5, 1) + 100
    found = seeded(f, seed, 6, points)
    assert dist_batch(found, points).min(1).values.max() < 60 and found.isfinite().all()
    torch.testing.assert_close(found, seeded(slow, seed, 6, points))


@VERSIONS
def test_empty_cluster_is_not_left_at_the_origin(f):
    assert (seeded(f, 0, 3, torch.full((5, 2), 10.0, device=DEVICE)) == 10).all()


@VERSIONS
def test_every_column_is_summed(f):
    "An index of one column drops the others without a word."
    points = draw(40, 5) + 50
    found = seeded(f, 0, 3, points, max_iters=1)
    assert (found > 20).all()


@VERSIONS
def test_start_is_not_overwritten_so_it_does_not_stop_at_once(f):
    points = lesson_data()[1].to(DEVICE)
    before = points.clone()
    one, many = (seeded(f, 42, 6, points, max_iters=m) for m in (1, 20))
    assert not torch.allclose(one, many, atol=1e-2) and torch.equal(points, before)


@VERSIONS
def test_same_clusters_far_from_the_origin(f):
    points = lesson_data()[1].to(DEVICE)
    torch.testing.assert_close(seeded(f, 0, 6, points + 1e4) - 1e4, seeded(f, 0, 6, points), atol=2e-2, rtol=0)
