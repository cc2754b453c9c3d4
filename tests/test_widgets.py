"The widgets: what is drawn, forward and back, and what they refuse."
import base64

import pytest
import torch

pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")

from clusterlab.data import lesson_data
from clusterlab.widgets import BandwidthExplorer, KMeansStepper, voronoi

_, data = lesson_data()


def blobs(n, seed=0, d=2):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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


def test_few_clusters_and_a_wide_bandwidth_leave_the_counts_in_view():
    "Ticks beyond the limits once widened the axis."
    explorer = BandwidthExplorer(blobs(40), bandwidth=15, bandwidths=(8,))
    counts = explorer.draw()[0].axes[1]
    assert counts.get_ylim() == pytest.approx((0.8, 1.6)) and counts.get_xticks().tolist() == [8, 15]


def test_explorer_says_when_it_shows_a_part_of_the_points():
    explorer = BandwidthExplorer(blobs(1600), bandwidth=3, bandwidths=())
    assert len(explorer.points) == 1500 and "drawn at random" in explorer.words.value
    assert repr(explorer) == "BandwidthExplorer(1600 points, bandwidth=3)"


@pytest.mark.parametrize("widget", [KMeansStepper, BandwidthExplorer])
@pytest.mark.parametrize("points,words", [(torch.zeros(5, 3), r"shape \(5, 3\)"), (torch.zeros(5), r"\(5,\)"), (torch.zeros(0, 2), r"\(0, 2\)"),
                                          (torch.tensor([[0.0, float("nan")]]), "finite"), (torch.zeros(2, 2, dtype=torch.complex64), "complex")])
def test_bad_points_are_refused(widget, points, words):
    with pytest.raises((TypeError, ValueError), match=f"points: got .*{words}"): widget(points)


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
