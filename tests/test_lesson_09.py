"Lesson 09: points in space, and the start that k-means needs."
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_rgb

from clusterlab.lesson.kmeans_v1 import initialize_centroids
from clusterlab.lesson.kmeans_v2 import dist_batch, k_means_cluster_v2
from clusterlab.lesson.three_dimensions import plot_3d_data, sample_from_distribution
from clusterlab.plots import cluster_style


def cloud():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        centres = torch.rand(6, 3) * 70 - 35
        return centres, torch.cat([sample_from_distribution(m, 250) for m in centres])


def inertia(points, centroids):
    return dist_batch(points, centroids).min(1).values.square().sum()


@pytest.mark.parametrize("n", [0, 1, 250])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sample_shape_and_dtype(n, dtype):
    points = sample_from_distribution(torch.zeros(3, dtype=dtype), n)
    assert points.shape == (n, 3) and points.dtype == dtype


def test_sample_has_the_mean_and_a_variance_of_5():
    torch.manual_seed(0)
    mean = torch.tensor([1.0, -2.0, 30.0])
    points = sample_from_distribution(mean, 20_000)
    assert torch.allclose(points.mean(0), mean, atol=0.1)
    assert torch.allclose(points.T.cov(), 5 * torch.eye(3), atol=0.2)


def test_same_seed_same_points():
    assert torch.equal(cloud()[1], cloud()[1])


def test_plot_draws_every_slice_and_every_centroid():
    centres, data = cloud()
    ax = plot_3d_data(centres, data, 250, title="six")
    assert ax.name == "3d" and ax.get_title() == "six"
    assert [len(c._offsets3d[0]) for c in ax.collections] == [250] * 6
    assert [to_rgb(c.get_facecolor()[0][:3]) for c in ax.collections] == [to_rgb(cluster_style(i)["color"]) for i in range(6)]
    crosses = [tuple(v[0] for v in line.get_data_3d()) for line in ax.lines]
    assert torch.allclose(torch.tensor(crosses[::2]).float(), centres) and crosses[::2] == crosses[1::2]
    plt.close("all")


def test_plot_uses_the_axes_given_and_takes_a_short_last_slice():
    ax = plt.figure().add_subplot(projection="3d")
    assert plot_3d_data(torch.zeros(1, 3), torch.randn(25, 3), 10, ax) is ax
    assert [len(c._offsets3d[0]) for c in ax.collections] == [10, 10, 5]
    plt.close("all")


def test_centroids_are_drawn_over_the_points():
    ax = plot_3d_data(*cloud(), 250)
    ax.figure.canvas.draw()
    assert min(line.get_zorder() for line in ax.lines) > max(c.get_zorder() for c in ax.collections)
    plt.close("all")


def test_k_means_runs_unchanged_in_three_dimensions():
    centres, data = cloud()
    torch.manual_seed(5)
    found = k_means_cluster_v2(6, data)
    assert found.shape == (6, 3)
    assert dist_batch(centres, found).min(1).values.max() < 0.5


def test_forgy_local_optimum_is_seen_in_the_inertia():
    _, data = cloud()
    ends = []
    for seed in range(20):
        torch.manual_seed(seed)
        ends.append(inertia(data, k_means_cluster_v2(6, data)))
    ends = torch.stack(ends)
    best = ends < 1.01 * ends.min()
    assert 0 < best.sum() < 20 and ends[~best].min() > 2 * ends.min()


def test_forgy_draws_two_from_one_cluster():
    centres, data = cloud()
    touched = []
    for seed in range(100):
        torch.manual_seed(seed)
        touched.append(len(dist_batch(initialize_centroids(6, data), centres).argmin(1).unique()))
    assert sum(t == 6 for t in touched) < 10


def test_plots_coloured_by_the_truth_do_not_change_with_the_result():
    centres, data = cloud()
    right, wrong = (plot_3d_data(c, data, 250) for c in (centres, torch.zeros(6, 3)))
    colors = [[tuple(c.get_facecolor()[0]) for c in ax.collections] for ax in (right, wrong)]
    assert colors[0] == colors[1]
    plt.close("all")
