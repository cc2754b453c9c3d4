"Lesson 07: distances by cdist, k-means by masks, held against the loops of lesson 04."
import pytest
import torch

from clusterlab.data import default_device, lesson_data
from clusterlab.lesson.kmeans_v1 import distance, k_means_cluster_v1
from clusterlab.lesson.kmeans_v2 import dist_batch, k_means_cluster_v2

DEVICE = default_device()
SHAPES = [(1, 1, 1), (7, 1, 2), (25, 25, 3), (26, 4, 2), (40, 30, 5), (300, 6, 2)]


def seeded(f, seed, *args, **kwargs):
    torch.manual_seed(seed)
    return f(*args, **kwargs)


def draw(n, d, seed=0, dtype=torch.float64):
    return (torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 10).to(DEVICE)


@pytest.mark.parametrize("n, k, d", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dist_batch_is_the_loop(n, k, d, dtype):
    points, centroids = draw(n, d, dtype=dtype), draw(k, d, 1, dtype)
    loop = torch.stack([distance(centroids, p) for p in points])
    assert dist_batch(points, centroids).shape == (n, k)
    torch.testing.assert_close(dist_batch(points, centroids), loop)


@pytest.mark.parametrize("offset", [1e3, 1e4, 1e5])
def test_dist_batch_is_right_far_from_the_origin(offset):
    centroids, points = (t.to(DEVICE) for t in lesson_data())
    points, centroids = points + offset, centroids + offset
    exact = dist_batch(points.double(), centroids.double())
    assert (dist_batch(points, centroids) - exact).abs().max() < 1e-4
    assert (dist_batch(points, points).diagonal() == 0).all()


@pytest.mark.parametrize("n, k, d", [s for s in SHAPES if s[1] <= s[0]])
@pytest.mark.parametrize("seed", range(3))
def test_v2_is_v1(n, k, d, seed):
    points = draw(n, d, seed)
    _, v1 = seeded(k_means_cluster_v1, seed, k, points)
    torch.testing.assert_close(seeded(k_means_cluster_v2, seed, k, points), v1)


def test_v2_is_v1_on_the_lesson_data():
    points = lesson_data()[1].to(DEVICE)
    _, v1 = seeded(k_means_cluster_v1, 42, 6, points)
    torch.testing.assert_close(seeded(k_means_cluster_v2, 42, 6, points), v1)


@pytest.mark.parametrize("seed", range(3))
def test_v2_is_v1_where_clusters_go_empty(seed):
    points = draw(4, 2).repeat(5, 1)
    _, v1 = seeded(k_means_cluster_v1, seed, 6, points)
    torch.testing.assert_close(seeded(k_means_cluster_v2, seed, 6, points), v1)


def test_empty_cluster_is_not_left_at_the_origin():
    assert (seeded(k_means_cluster_v2, 0, 3, torch.full((5, 2), 10.0, device=DEVICE)) == 10).all()
    points = draw(4, 2).repeat(5, 1) + 100
    found = seeded(k_means_cluster_v2, 0, 6, points)
    assert dist_batch(points, found).min(0).values.max() < 60


def test_empty_cluster_does_not_spread_nan():
    assert seeded(k_means_cluster_v2, 0, 6, draw(4, 2).repeat(5, 1)).isfinite().all()


@pytest.mark.parametrize("seed", range(3))
def test_v2_finds_the_same_clusters_far_from_the_origin(seed):
    points = lesson_data()[1].to(DEVICE)
    near, far = seeded(k_means_cluster_v2, seed, 6, points), seeded(k_means_cluster_v2, seed, 6, points + 1e4)
    torch.testing.assert_close(far - 1e4, near, atol=2e-2, rtol=0)


def test_stop_is_absolute_not_allclose():
    "Small moves next to large coordinates: allclose would stop after the first."
    points = torch.cat([torch.arange(8.0) * 1e-3, 5e-3 + torch.arange(8.0) * 2e-3]).double()[:, None].to(DEVICE) + 1e3
    once, done = (seeded(k_means_cluster_v2, 1, 2, points, max_iters=m) for m in (1, 50))
    labels = dist_batch(points, done).argmin(1)
    assert torch.allclose(once, done) and not torch.equal(once, done)
    torch.testing.assert_close(done, torch.stack([points[labels == j].mean(0) for j in range(2)]), rtol=0, atol=1e-9)


def test_max_iters_counts_updates_and_the_input_is_left_alone():
    points = draw(50, 2)
    before, start = points.clone(), seeded(k_means_cluster_v2, 0, 3, points, max_iters=0)
    labels = dist_batch(points, start).argmin(1)
    means = torch.stack([points[labels == j].mean(0) for j in range(3)])
    torch.testing.assert_close(seeded(k_means_cluster_v2, 0, 3, points, max_iters=1), means)
    assert torch.equal(points, before)
