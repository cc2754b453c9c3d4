"The widgets: their algorithms against slow loops, forward and back, and what they refuse."
import base64

import pytest
import torch

pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")

from clusterlab.data import lesson_data
from clusterlab.widgets import (BandwidthExplorer, KMeansStepper, forgy, k_means_steps, mean_shift_modes, means, nearest, share_within,
                                step_name, step_words, voronoi)

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


def test_nearest_is_the_slow_loop_far_from_the_origin():
    points = blobs(50) + 1e6
    assert torch.equal(nearest(points, points[:12]), nearest_slow(points, points[:12].tolist()))


@pytest.mark.parametrize("k", [1, 2, 6, 12])
@pytest.mark.parametrize("seed", range(3))
def test_wcss_never_rises_and_the_end_is_a_fixed_point(k, seed):
    points = data.double()
    steps = k_means_steps(points, forgy(k, points, seed))
    assert all(b.wcss <= a.wcss * (1 + 1e-12) for a, b in zip(steps[1:], steps[2:]))
    assert torch.equal(steps[-1].labels, steps[-2].labels) and torch.equal(steps[-1].labels, nearest(points, steps[-1].centroids))
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


def test_voronoi_pixels_have_the_colour_of_the_nearest_centroid():
    centroids = torch.tensor([[-3.0, 2.0], [1.0, -1.0], [2.0, 3.0]])
    picture = voronoi(centroids, (-4, 4, -4, 4), m=64)
    at = lambda c: picture[int((4 - c[1]) * 8), int((c[0] + 4) * 8)]
    assert len({tuple(at(c).tolist()) for c in centroids}) == 3
    assert torch.equal(at((-4, 3.9)), at(centroids[0])) and torch.equal(at((0, -3.9)), at(centroids[1]))


def test_forward_and_back_show_the_same_bytes():
    stepper = KMeansStepper(blobs(25), k=3)
    forward = [stepper.png]
    for _ in stepper.steps[1:]:
        stepper.forward.click()
        forward.append(stepper.png)
    assert len(set(forward)) == len(stepper.steps) and stepper.step.index == len(stepper.steps) - 1
    stepper.forward.click()
    assert stepper.step.index == len(stepper.steps) - 1
    back = [stepper.png]
    for _ in stepper.steps[1:]:
        stepper.back.click()
        back.append(stepper.png)
    assert back == forward[::-1]
    stepper.back.click()
    assert stepper.step.index == 0


def test_twelve_clusters():
    stepper = KMeansStepper(data, k=12, step=-1)
    assert len(stepper.steps[0].centroids) == 12 and stepper.step.index == len(stepper.steps) - 1
    assert "converged" in stepper.words.value


def test_new_start_changes_the_centroids_and_goes_to_the_start():
    stepper = KMeansStepper(blobs(60), k=3, step=2)
    before, png = stepper.steps[0].centroids, stepper.png
    stepper.new_start.click()
    assert not torch.equal(stepper.steps[0].centroids, before) and stepper.step.index == 0 and stepper.png != png
    assert stepper.play.max == len(stepper.steps) - 1 == len(stepper.step.options) - 1
    stepper.step.index = 1
    assert "assign 1" in stepper.words.value


def test_k_changes_the_run_and_the_lowest_wcss_is_kept_for_each_k():
    stepper = KMeansStepper(blobs(60), k=3)
    stepper.k.value = 5
    assert len(stepper.steps[0].centroids) == 5 and repr(stepper) == "KMeansStepper(60 points, k=5)"
    ends = [stepper.steps[-1].wcss]
    for _ in range(4):
        stepper.new_start.click()
        ends.append(stepper.steps[-1].wcss)
    assert stepper.best[5] == min(ends) and set(stepper.best) == {3, 5}


def test_what_is_left_without_a_kernel():
    for widget in (KMeansStepper(blobs(30), k=3), BandwidthExplorer(blobs(30), bandwidth=1)):
        bundle, metadata = widget._repr_mimebundle_()
        assert sorted(bundle) == ["application/vnd.jupyter.widget-view+json", "image/png", "text/plain"]
        assert bundle["text/plain"] == repr(widget) and "30 points" in repr(widget)
        assert base64.b64decode(bundle["image/png"]) == widget.png and widget.png.startswith(b"\x89PNG")
        assert metadata["image/png"]["alt"] and f'alt="{metadata["image/png"]["alt"]}"' in widget.picture.value


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


def test_explorer_answers_to_both_sliders():
    explorer = BandwidthExplorer(blobs(60), bandwidth=0.33, bandwidths=(0.2, 1, 3))
    assert [b for _, b in explorer.bandwidth.options] == [0.2, 0.33, 1, 3]
    pictures = [explorer.png]
    for control, value in ((explorer.bandwidth, 3), (explorer.at, 59), (explorer.bandwidth, 0.2)):
        control.value = value
        pictures.append(explorer.png)
    assert len(set(pictures)) == 4 and f"finds {len(explorer.found[0.2][0])} clusters" in explorer.words.value
    explorer.bandwidth.value, explorer.at.value = 0.33, 0
    assert explorer.png == pictures[0]


def test_explorer_says_when_it_shows_a_part_of_the_points():
    explorer = BandwidthExplorer(blobs(1600), bandwidth=3, bandwidths=())
    assert len(explorer.points) == 1500 and "drawn at random" in explorer.words.value
    assert repr(explorer) == "BandwidthExplorer(1600 points, bandwidth=3)"


@pytest.mark.parametrize("widget", [KMeansStepper, BandwidthExplorer])
@pytest.mark.parametrize("points,words", [(torch.zeros(5, 3), r"points: got shape \(5, 3\)"), (torch.zeros(5), r"\(5,\)"), (torch.zeros(0, 2), r"\(0, 2\)"),
                                          (torch.tensor([[0.0, float("nan")]]), "finite"), (torch.zeros(2, 2, dtype=torch.complex64), "complex")])
def test_bad_points_are_refused(widget, points, words):
    with pytest.raises(ValueError, match=words): widget(points)


@pytest.mark.parametrize("k", [0, 13, -1, 2.5, "6", None])
def test_bad_k_is_refused(k):
    with pytest.raises(ValueError, match="k: got .* wanted a whole number from 1 to 12"): KMeansStepper(blobs(20), k=k)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="from 1 to 4"): KMeansStepper(blobs(4), k=5)
    with pytest.raises(ValueError, match="step: got 999"): KMeansStepper(blobs(20), k=2, step=999)
    for bandwidth in (0, -1, float("nan"), float("inf"), None, "2"):
        with pytest.raises(ValueError, match="bandwidth: got"): BandwidthExplorer(blobs(20), bandwidth=bandwidth)
    for at in (-1, 20, 0.5):
        with pytest.raises(ValueError, match="at: got"): BandwidthExplorer(blobs(20), at=at)


def test_whole_numbers_and_one_place_are_drawn():
    assert KMeansStepper(torch.tensor([[0, 0], [3, 1], [3, 2]]), k=2, step=-1).png
    assert KMeansStepper(torch.ones(5, 2), k=2, step=-1).png
    assert BandwidthExplorer(torch.ones(5, 2)).png
