"Lesson 04: k-means with Python loops."
import math

import pytest
import torch

from clusterlab.data import lesson_data
from clusterlab.lesson.kmeans_v1 import assign_points, distance, initialize_centroids, k_means_cluster_v1, labels_of, update_centroids, wcss
from clusterlab.plots import cluster_style

SHAPES = [(1, 1, 1), (5, 2, 5), (30, 1, 4), (60, 3, 1), (80, 2, 9)]


def cloud(n, d, seed=0): return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * 10


def k_means(k, points, seed=0, **kwargs):
    torch.manual_seed(seed)
    return k_means_cluster_v1(k, points, **kwargs)


def plain_distance(a, b): return math.sqrt(sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist())))


def nearest(points, centroids): return [min(range(len(centroids)), key=lambda j: (plain_distance(p, centroids[j]), j)) for p in points]


@pytest.mark.parametrize("n, d, k", SHAPES)
def test_distance(n, d, k):
    A, B = cloud(n, d), cloud(n, d, seed=1)
    assert torch.allclose(distance(A, B), torch.tensor([plain_distance(a, b) for a, b in zip(A, B)]))
    assert torch.allclose(distance(A[:, None], B[:k]), torch.tensor([[plain_distance(a, b) for b in B[:k]] for a in A]))


@pytest.mark.parametrize("n, d, k", SHAPES)
def test_initialize_centroids_takes_k_different_rows(n, d, k):
    points = cloud(n, d)
    rows = (initialize_centroids(k, points)[:, None] == points).all(2).nonzero()
    assert rows[:, 0].tolist() == list(range(k)) and len(set(rows[:, 1].tolist())) == k


def test_initialize_centroids_is_a_copy():
    points = cloud(10, 2)
    before = points.clone()
    initialize_centroids(10, points).zero_()
    assert torch.equal(points, before)


@pytest.mark.parametrize("n, d, k", SHAPES)
@pytest.mark.parametrize("max_iters", [0, 1, 20])
def test_k_means_against_plain_python(n, d, k, max_iters):
    points = cloud(n, d).double()
    torch.manual_seed(0)
    centroids = initialize_centroids(k, points)
    labels = nearest(points, centroids)
    for _ in range(max_iters):
        centroids = torch.stack([torch.stack([p for p, label in zip(points, labels) if label == j]).mean(0) for j in range(k)])
        labels = nearest(points, centroids)
    clusters, found = k_means(k, points, max_iters=max_iters)
    assert torch.allclose(found, centroids) and labels_of(clusters).tolist() == labels


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_point_is_in_one_cluster_and_the_points_are_unchanged(dtype):
    points = cloud(50, 2).to(dtype)
    before = points.clone()
    clusters, centroids = k_means(7, points)
    assert sorted(i for c in clusters for i in c) == list(range(50))
    assert centroids.shape == (7, 2) and centroids.dtype == dtype and torch.equal(points, before)


def test_the_same_seed_gives_the_same_answer():
    one, two = k_means(4, cloud(40, 2), seed=5), k_means(4, cloud(40, 2), seed=5)
    assert one[0] == two[0] and torch.equal(one[1], two[1])


@pytest.mark.parametrize("seed", range(4))
def test_wcss_never_rises(seed):
    points = cloud(100, 2).double()
    torch.manual_seed(seed)
    centroids, trace = initialize_centroids(5, points), []
    for _ in range(8):
        clusters = assign_points(centroids, points)
        trace.append(wcss(clusters, centroids, points))
        centroids = update_centroids(clusters, points)
        trace.append(wcss(clusters, centroids, points))
    assert (torch.stack(trace).diff() <= 1e-9).all()


@pytest.mark.parametrize("max_iters", [0, 1, 2, 3])
def test_defect_labels_from_before_the_last_update(max_iters):
    data = lesson_data()[1]
    clusters, centroids = k_means(6, data, seed=42, max_iters=max_iters)
    assert clusters == assign_points(centroids, data)


def test_defect_labels_from_before_the_last_update_when_tol_stops_early():
    data = lesson_data()[1]
    clusters, centroids = k_means(6, data, seed=42, tol=1e9)
    assert clusters == assign_points(centroids, data)


def test_defect_allclose_rtol_swamps_tol():
    far = lesson_data()[1].double() + 10_000
    clusters, centroids = k_means(6, far, seed=3, max_iters=100)
    assert torch.equal(update_centroids(clusters, far), centroids)
    assert clusters == k_means(6, far - 10_000, seed=3, max_iters=100)[0]


def test_tol_is_the_distance_moved():
    points = cloud(200, 2)
    assert torch.equal(k_means(5, points, tol=1e9)[1], k_means(5, points, max_iters=1)[1])
    assert not torch.equal(k_means(5, points, tol=0)[1], k_means(5, points, max_iters=1)[1])


def test_defect_mean_of_an_empty_cluster_is_nan():
    points = cloud(20, 2)
    centroids = update_centroids([list(range(20)), []], points)
    assert torch.allclose(centroids[0], points.mean(0)) and (centroids[1] == points).all(1).any()


@pytest.mark.parametrize("seed", range(8))
def test_duplicates_leave_no_nan(seed):
    points = torch.tensor([[0.0], [0.0], [0.0], [0.0], [10.0]])
    clusters, centroids = k_means(2, points, seed=seed)
    assert sorted(centroids.flatten().tolist()) == [0, 10] and sorted(map(len, clusters)) == [1, 4]


def test_an_empty_cluster_has_no_label_and_no_share_in_the_wcss():
    points = torch.tensor([[0.0], [2.0], [7.0]])
    clusters = [[0, 1], [], [2]]
    assert labels_of(clusters).tolist() == [0, 0, 2]
    assert wcss(clusters, torch.tensor([[1.0], [99.0], [7.0]]), points) == 2


def test_fewer_distinct_points_than_clusters():
    clusters, centroids = k_means(3, torch.ones(4, 2))
    assert torch.equal(centroids, torch.ones(3, 2)) and sum(map(len, clusters)) == 4


def test_defect_forgy_gets_stuck_and_the_wcss_tells():
    data = lesson_data()[1]
    stuck, found = (wcss(*k_means(6, data, seed=seed), data) for seed in (42, 0))
    assert stuck > 7 * found


def test_defect_colours_for_only_six_clusters():
    assert len({tuple(cluster_style(j).values()) for j in range(24)}) == 24


def test_defect_colours_of_the_truth(monkeypatch):
    from clusterlab import plots
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
    drawn = {tuple(s.get_facecolor()[0]): s.get_offsets().tolist() for s in plots.plot_clusters(points, torch.tensor([0, 1, 0])).collections}
    plots.plt.close("all")
    assert sorted(drawn.values()) == [[[0.0, 0.0], [5.0, 0.0]], [[0.0, 1.0]]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_on_a_gpu():
    points = cloud(60, 2)
    (clusters, centroids), (gpu_clusters, gpu_centroids) = k_means(4, points), k_means(4, points.cuda())
    assert gpu_centroids.is_cuda and clusters == gpu_clusters and torch.allclose(centroids, gpu_centroids.cpu(), atol=1e-5)
