"Lesson 05: k-means, animated."
import matplotlib.pyplot as plt
import pytest
import torch

from clusterlab.lesson.kmeans_animation import animate_k_means, k_means_cluster_historic, plot_data_k_means
from clusterlab.lesson.kmeans_v1 import assign_points, initialize_centroids, k_means_cluster_v1, update_centroids
from clusterlab.plots import animation_html


def cloud(n, d, seed=0): return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * 10


def seeded(f, *args, seed=0, **kwargs):
    torch.manual_seed(seed)
    return f(*args, **kwargs)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("n, d, k", [(1, 1, 1), (5, 2, 5), (30, 1, 4), (60, 3, 1), (80, 2, 9)])
@pytest.mark.parametrize("max_iters", [0, 1, 20])
def test_historic_ends_where_v1_does(n, d, k, max_iters):
    points = cloud(n, d)
    clusters, centroids, history = seeded(k_means_cluster_historic, k, points, max_iters)
    v1_clusters, v1_centroids = seeded(k_means_cluster_v1, k, points, max_iters)
    assert clusters == v1_clusters and torch.equal(centroids, v1_centroids)
    assert history[-1][0] == clusters and torch.equal(history[-1][1], centroids)


def test_history_is_the_start_and_every_update():
    points = cloud(80, 2)
    history = seeded(k_means_cluster_historic, 5, points)[2]
    assert torch.equal(history[0][1], seeded(initialize_centroids, 5, points))
    for (clusters, _), (_, centroids) in zip(history, history[1:]):
        assert torch.equal(centroids, update_centroids(clusters, points))
    assert len(history) > 3 and history[-1][0] == history[-2][0]
    assert all(a[0] != b[0] for a, b in zip(history[:-1], history[1:-1]))


@pytest.mark.parametrize("seed", range(3))
def test_defect_history_pairs_new_clusters_with_old_centroids(seed):
    points = cloud(100, 2)
    history = seeded(k_means_cluster_historic, 6, points, seed=seed)[2]
    assert all(clusters == assign_points(centroids, points) for clusters, centroids in history)


def test_history_holds_no_tensor_twice():
    centroids = [c for _, c in seeded(k_means_cluster_historic, 5, cloud(80, 2))[2]]
    assert len({c.data_ptr() for c in centroids}) == len(centroids)
    assert not torch.equal(centroids[0], centroids[-1])


def test_duplicates_leave_no_nan():
    for seed in range(8):
        _, centroids, _ = seeded(k_means_cluster_historic, 2, torch.tensor([[0.0], [0.0], [0.0], [10.0]]), seed=seed)
        assert sorted(centroids.flatten().tolist()) == [0, 10]


def test_plot_follows_the_clusters_given():
    ax = plt.subplots()[1]
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
    assert plot_data_k_means(ax, points, [[0, 2], [1]], points[:2]) is ax
    assert [s.get_offsets().tolist() for s in ax.collections] == [[[0.0, 0.0], [5.0, 0.0]], [[0.0, 1.0]]]


def test_defect_a_film_that_leaves_updates_out(capsys):
    points = cloud(40, 2)
    history = seeded(k_means_cluster_historic, 4, points)[2]
    film = seeded(animate_k_means, 4, points)
    assert capsys.readouterr().out == f"Converged after {len(history) - 1} updates.\n"
    assert animation_html(film, alt="k-means").data.count("data:image/png;base64") == len(history)


def test_film_draws_each_pair_once_and_says_how_it_ended(capsys):
    film = seeded(animate_k_means, 4, cloud(40, 2), max_iters=1)
    assert capsys.readouterr().out == "Stopped, not converged, after 1 update.\n"
    ax, titles = film._fig.axes[0], []
    for i in range(2):
        film._func(i)
        titles.append(ax.get_title())
    assert titles == ["start", "stopped, not converged, after 1 update"]
    animation_html(film, alt="k-means")


def test_interval_is_passed_on(capsys):
    film = animate_k_means(2, cloud(10, 2), interval=250)
    assert film._interval == 250
    animation_html(film, alt="k-means")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_on_a_gpu(capsys):
    points = cloud(60, 2)
    clusters, centroids, _ = seeded(k_means_cluster_historic, 4, points)
    gpu_clusters, gpu_centroids, _ = seeded(k_means_cluster_historic, 4, points.cuda())
    assert gpu_centroids.is_cuda and clusters == gpu_clusters and torch.allclose(centroids, gpu_centroids.cpu(), atol=1e-5)
    assert plot_data_k_means(plt.subplots()[1], points.cuda(), gpu_clusters, gpu_centroids)
    animation_html(seeded(animate_k_means, 2, points.cuda(), 1), alt="k-means")
