"Lesson 06: the mistakes that raise nothing, held against the loop over points."
import pytest
import torch

from clusterlab.data import lesson_data
from clusterlab.lesson.kmeans_v1 import distance
from clusterlab.lesson.kmeans_v2 import dist_batch

SHAPES = [(6, 2, 2), (7, 3, 2), (4, 4, 3), (2, 2, 2), (1, 1, 1), (5, 1, 2)]


def loop_labels(points, centroids):
    return torch.stack([distance(p, centroids).argmin() for p in points])


def random(n, k, d, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=g), torch.randn(k, d, generator=g)


def by_broadcasting(points, centroids):
    "The lesson's orientation: (k, n)."
    return torch.linalg.vector_norm(points[None] - centroids[:, None], dim=-1)


@pytest.mark.parametrize("n, k, d", SHAPES)
def test_argmin_reduces_the_dim_of_the_centroids(n, k, d):
    for seed in range(20):
        points, centroids = random(n, k, d, seed)
        expected = loop_labels(points, centroids)
        assert torch.equal(by_broadcasting(points, centroids).argmin(0), expected)
        assert torch.equal(dist_batch(points, centroids).argmin(1), expected)


def test_argmin_over_the_wrong_dim_has_the_right_shape_when_n_equals_k():
    points, centroids = torch.tensor([[1.0, 2], [1, 4]]), torch.tensor([[10.5, 2], [1.5, 2]])
    right, wrong = dist_batch(points, centroids).argmin(1), dist_batch(points, centroids).argmin(0)
    assert wrong.shape == right.shape and not torch.equal(wrong, right)
    assert right.tolist() == loop_labels(points, centroids).tolist() == [1, 1]


@pytest.mark.parametrize("n, k, d", SHAPES)
def test_two_unit_axes_give_all_pairs(n, k, d):
    points, centroids = random(n, k, d)
    expected = torch.stack([torch.stack([distance(p, c) for c in centroids]) for p in points])
    dif = points[None] - centroids[:, None]
    for found in (by_broadcasting(points, centroids).T, torch.einsum("cpj,cpj->cp", dif, dif).sqrt().T, dist_batch(points, centroids)):
        assert found.shape == (n, k) and torch.allclose(found, expected, atol=1e-6)


def test_distance_refuses_a_batch_without_unit_axes():
    with pytest.raises(RuntimeError, match="must match"):
        distance(torch.zeros(3, 2), torch.zeros(2, 2))


def test_needless_root():
    centroids, data = lesson_data()
    squared = (data[:, None] - centroids[None]).square().sum(-1)
    assert torch.equal(squared.argmin(1), loop_labels(data, centroids))


def test_column_of_labels_against_a_row():
    labels = torch.tensor([1, 1, 1, 0, 0, 0])
    assert (labels[:, None] == labels).shape == (6, 6)
    assert dist_batch(*random(6, 2, 2)).argmin(1).shape == (6,)
