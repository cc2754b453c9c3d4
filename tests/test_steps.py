"What the widgets show: half steps of k-means and modes of mean shift against slow loops, and their words."
import pytest
import torch

from clusterlab.data import lesson_data
from clusterlab.kmeans import assign, k_means_cluster
from clusterlab.steps import (bandwidth_words, cells, forgy, k_means_steps, mean_shift_modes, means, pixels, plane_points, share_within,
                              square_around, step_name, step_words)

_, data = lesson_data()


def blobs(n, seed=0, d=2):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def nearest_slow(points, centroids):
    return torch.tensor([min(range(len(centroids)), key=lambda j: sum((p - c) ** 2 for p, c in zip(x, centroids[j]))) for x in points.tolist()])


def steps_slow(points, centroids, max_iters):
    "Every half step by plain loops; no cluster may become empty."
    steps, labels = [("start", centroids, None)], None
    for i in range(max_iters + 1):
        old, labels = labels, nearest_slow(points, centroids.tolist())
        steps.append(("assign", centroids, labels))
        if i == max_iters or (old is not None and old.tolist() == labels.tolist()): return steps
        centroids = torch.stack([points[labels == j].mean(0) for j in range(len(centroids))])
        steps.append(("update", centroids, labels))


@pytest.mark.parametrize("n,k,d", [(1, 1, 2), (7, 3, 2), (60, 5, 2), (40, 4, 3)])
def test_steps_are_those_of_the_slow_loop(n, k, d):
    points = blobs(n, seed=n, d=d)
    steps, slow = k_means_steps(points, forgy(k, points)), steps_slow(points, forgy(k, points), 50)
    assert [s.kind for s in steps] == [kind for kind, _, _ in slow]
    for step, (_, centroids, labels) in zip(steps, slow):
        assert torch.allclose(step.centroids, centroids)
        if labels is None: continue
        assert torch.equal(step.labels, labels)
        assert step.wcss == pytest.approx(sum(((p - centroids[j]) ** 2).sum().item() for p, j in zip(points, labels)))


@pytest.mark.parametrize("k", [1, 2, 6, 12])
@pytest.mark.parametrize("seed", range(3))
def test_wcss_never_rises_and_the_end_is_a_fixed_point(k, seed):
    points = data.double()
    steps = k_means_steps(points, forgy(k, points, seed))
    assert all(b.wcss <= a.wcss * (1 + 1e-12) for a, b in zip(steps[1:], steps[2:]))
    assert torch.equal(steps[-1].labels, steps[-2].labels) and torch.equal(steps[-1].labels, assign(points, steps[-1].centroids))
    assert torch.allclose(means(points, steps[-1].labels, steps[-1].centroids), steps[-1].centroids)


def test_steps_stop_at_max_iters_and_leave_their_input_alone():
    start = forgy(6, data)
    kept = start.clone()
    steps = k_means_steps(data, start, max_iters=2)
    assert [s.kind for s in steps] == ["start", "assign", "update", "assign", "update", "assign"]
    assert torch.equal(start, kept) and torch.equal(steps[0].centroids, kept)
    assert step_words(steps, 5, data).endswith("not converged.")
    assert len(k_means_steps(data, start, max_iters=0)) == 2


def test_an_empty_cluster_takes_the_farthest_point_and_it_is_said():
    points = torch.tensor([[0.0, 0.0]] * 8 + [[4.0, 0.0], [5.0, 1.0], [2.0, 3.0], [2.0, 4.0]])
    steps = k_means_steps(points, points[[8, 0, 1]])
    mean = points[steps[1].labels == 0].mean(0)
    farthest = max(range(12), key=lambda i: (points[i] - steps[2].centroids[steps[1].labels[i]]).norm())
    assert torch.equal(steps[2].centroids[0], mean) and torch.equal(steps[2].centroids[2], points[farthest])
    assert "Centroid 2 had no points and takes the point farthest" in step_words(steps, 2, points)
    assert steps[-1].labels.bincount(minlength=3).min() > 0


def test_fewer_places_than_centroids_still_ends():
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]]).repeat_interleave(4, 0)
    steps = k_means_steps(points, points[[0, 1, 4, 8]])
    assert steps[-1].wcss == 0 and len(steps) == 4
    assert "Centroid 1 had no points and stays" in step_words(steps, 2, points)


def test_two_empty_clusters_take_two_points():
    new = means(torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 6.0]]), torch.zeros(3, dtype=torch.long), torch.zeros(3, 2))
    assert new.tolist() == [[3, 2], [9, 0], [0, 6]]


def test_words():
    steps = k_means_steps(data, forgy(6, data))
    assert [step_name(i) for i in range(4)] == ["start", "assign 1", "update 1", "assign 2"]
    changed = (steps[3].labels != steps[1].labels).sum().item()
    assert step_words(steps, 3, data).startswith(f"assign 2: {changed} points changed cluster.")
    assert f"{changed} points now in another cell" in step_words(steps, 2, data)
    assert "no label changed: converged after 5 updates" in step_words(steps, len(steps) - 1, data)
    one = k_means_steps(data, forgy(1, data))
    assert "converged after 1 update." in step_words(one, len(one) - 1, data)
    assert step_words(k_means_steps(blobs(1), blobs(1)), 0, blobs(1)).startswith("start: 1 point drawn")


def test_forgy_draws_points_and_moves_nobody_elses_random_numbers():
    state = torch.get_rng_state()
    one, two = forgy(5, data, 3), forgy(5, data, 3)
    assert torch.equal(one, two) and torch.equal(state, torch.get_rng_state())
    assert not torch.equal(one, forgy(5, data, 4)) and (torch.cdist(one, data).min(1).values == 0).all()


def test_the_end_is_where_the_tool_ends():
    for k, seed in ((3, 0), (6, 1), (9, 2)):
        last = k_means_steps(data.double(), forgy(k, data.double(), seed))[-1]
        centroids, labels = k_means_cluster(k, data.double(), 50, 0, init=forgy(k, data.double(), seed))
        assert torch.equal(labels, last.labels) and torch.allclose(centroids, last.centroids)


def test_a_square_holds_all_points_and_one_point_too():
    left, right, bottom, top = square_around(blobs(50))
    assert right - left == pytest.approx(top - bottom)
    assert (blobs(50) > torch.tensor([left, bottom])).all() and (blobs(50) < torch.tensor([right, top])).all()
    assert square_around(torch.ones(1, 2)) == (0, 2, 0, 2)


def test_cells_are_the_slow_loop_top_row_first():
    centroids = torch.tensor([[-3.0, 2.0], [1.0, -1.0], [2.0, 3.3]])
    assert pixels((-4, 4, -4, 4), 2).tolist() == [[-2, 2], [2, 2], [-2, -2], [2, -2]]
    assert torch.equal(cells(centroids, (-4, 4, -4, 4), 16).flatten(), nearest_slow(pixels((-4, 4, -4, 4), 16), centroids.tolist()))


def mean_shift_slow(points, bandwidth, tol=1e-3):
    at, moved = points.double(), float("inf")
    while moved > tol:
        new = torch.stack([(w := torch.exp(-0.5 * ((at - x) / bandwidth).square().sum(1))) @ at / w.sum() for x in at])
        at, moved = new, torch.linalg.vector_norm(new - at, dim=1).max()
    return at


@pytest.mark.parametrize("bandwidth", [0.2, 0.5, 1, 3])
def test_mean_shift_ends_where_the_slow_loop_does(bandwidth):
    points = blobs(80, seed=1)
    modes, labels, _ = mean_shift_modes(points, bandwidth)
    end = mean_shift_slow(points, bandwidth)
    assert torch.allclose(end, modes[labels], atol=2e-3)
    assert labels.unique().tolist() == list(range(len(modes)))


def test_mean_shift_counts_on_the_lessons_data():
    assert [len(mean_shift_modes(data, b)[0]) for b in (1, 2.5, 5, 8, 15)] == [16, 6, 4, 3, 1]
    _, labels, updates = mean_shift_modes(data, 2.5)
    assert updates == 5 and torch.equal(labels, torch.arange(6).repeat_interleave(250))


def test_mean_shift_of_one_point_and_of_one_place():
    for points in (torch.zeros(1, 2), torch.ones(20, 2)):
        modes, labels, updates = mean_shift_modes(points, 2.5)
        assert torch.equal(modes, points[:1]) and labels.unique().tolist() == [0] and updates == 1 and modes.dtype == points.dtype


def test_share_within_is_the_slow_loop():
    points = blobs(30)
    slow = sum((p - q).norm() <= 0.7 for p in points for q in points) / 900
    assert share_within(points, 0.7) == pytest.approx(slow.item())
    assert round(100 * share_within(data, 2.5), 1) == 4.4


def test_bandwidth_words():
    for points, bandwidth, end in ((blobs(1), 1, "finds 1 cluster, after 1 update."), (blobs(20), 3, "drawn at random.)"), (data, 2.5, "finds 6 clusters, after 5 updates.")):
        assert bandwidth_words(points, bandwidth, 0, mean_shift_modes(points, bandwidth), 30 if len(points) == 20 else len(points)).endswith(end)


@pytest.mark.parametrize("points", [[[0, 1], [2, 3]], torch.tensor([[0, 1], [2, 3]]), torch.tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)])
def test_points_of_the_plane_are_plain_float64(points):
    points = plane_points(points)
    assert points.dtype == torch.float64 and not points.requires_grad and points.tolist() == [[0, 1], [2, 3]]
