"The engine below k-means: labels as by a float64 loop on hostile input, blocks that hold each point once."
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from clusterlab import assignment
from clusterlab.assignment import Tiles, by_differences, exact_products, largest, nearest, score_error, squares

AWKWARD = (1, 2, 15, 16, 17, 31, 32, 33, 511, 512, 513, 1023, 1024, 1025)


def seeded(seed=0): return Generator().manual_seed(seed)


@pytest.fixture
def tiny_blocks(monkeypatch):
    monkeypatch.setattr(assignment, "BLOCK", 1 << 10)
    monkeypatch.setattr(assignment, "SMALL", 0)


# ---- largest

@given(st.integers(1, 4), st.integers(1, 300), st.integers(1, 70), st.integers(0, 10**6), st.booleans(), st.sampled_from([torch.float32, torch.float64]))
def test_largest_is_max_and_ties_go_to_the_lowest(b, k, c, seed, ties, dtype):
    scores = torch.randint(-2, 2, (b, k, c), generator=seeded(seed)).to(dtype) if ties else torch.randn(b, k, c, generator=seeded(seed), dtype=dtype)
    values, labels = largest(scores)
    assert torch.equal(values, scores.amax(1)) and labels.dtype == torch.int64
    assert torch.equal(labels, (scores == scores.amax(1, keepdim=True)).byte().argmax(1))


def test_largest_of_a_part_of_the_room_and_of_infinities():
    room = torch.randn(6, 9, 16, generator=seeded())
    assert torch.equal(largest(room[:2])[1], room[:2].argmax(1))
    assert torch.equal(largest(torch.full((1, 3, 16), -torch.inf))[1], torch.zeros(1, 16, dtype=torch.long))


# ---- nearest

def check_nearest(points, centroids, dtype, slack=1e-6):
    labels, _ = nearest(points, centroids, dtype)
    squared = torch.cat([(rows[:, None].double() - centroids[None].double()).square().sum(2) for rows in points.split(max(1, 2**21 // centroids.numel()))])
    own = squared.gather(1, labels[:, None])[:, 0]
    assert labels.dtype == torch.int64 and labels.shape == (len(points),)
    assert (own.sqrt() <= squared.amin(1).sqrt() * (1 + slack)).all()
    return labels, squared


@given(st.integers(1, 700), st.sampled_from([1, 2, 3, 8, 9, 40]), st.integers(1, 40), st.integers(0, 10**6),
       st.sampled_from(["gaussian", "grid", "offset", "pairs", "outlier", "centroid outlier", "equal", "tiny", "huge"]), st.sampled_from([torch.float32, torch.float64]), st.booleans())
def test_nearest_is_the_slow_argmin_on_hostile_input(n, d, k, seed, kind, dtype, small):
    g = seeded(seed)
    points, centroids = torch.randn(n, d, generator=g, dtype=torch.float64), torch.randn(k, d, generator=g, dtype=torch.float64)
    if kind == "grid": points, centroids = points.round(), centroids.round()
    if kind == "offset": points, centroids = points + 1e5, centroids + 1e5
    if kind == "pairs": points, centroids = (1e4 * (t * 2).round() + 0.1 * t for t in (points, centroids))
    if kind == "outlier": points[0] = 1e7
    if kind == "centroid outlier": centroids[0] = 1e7
    if kind == "equal": centroids = points[torch.zeros(k, dtype=torch.long)]
    if kind in ("tiny", "huge"): points, centroids = (t * (1e-12 if kind == "tiny" else 1e12) for t in (points, centroids))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignment, "BLOCK", 1 << 10)
        if not small: patch.setattr(assignment, "SMALL", 0)
        labels, squared = check_nearest(points.to(dtype), centroids.to(dtype), dtype)
    if kind in ("grid", "equal"): assert torch.equal(labels, (squared == squared.amin(1, keepdim=True)).byte().argmax(1))


@pytest.mark.parametrize("points", [torch.randint(0, 256, (700, 3), dtype=torch.uint8, generator=seeded()), (torch.randn(700, 3, generator=seeded()) + 500).half(),
                                    torch.randn(3, 700, generator=seeded()).T, torch.randn(700, 6, generator=seeded())[:, ::2]], ids=["bytes", "halves", "columns", "strided"])
def test_nearest_of_any_layout(tiny_blocks, points):
    check_nearest(points, points[:30].float(), torch.float32)


@pytest.mark.parametrize("d, k", [(2100, 3), (3, 2100), (2060, 2060)])
def test_more_than_2048_features_or_centroids(d, k):
    points = torch.randn(17, d, generator=seeded())
    labels, _ = check_nearest(points, torch.randn(k, d, generator=seeded(1)), torch.float32)
    tiles = Tiles(points, k, torch.float32)
    tiles.set(torch.randn(k, d, generator=seeded(1)))
    assert torch.equal(tiles.assign(torch.empty(17, dtype=torch.int64)), labels)


def test_the_scores_own_up_when_they_are_wrong():
    "Pairs of centroids 0.1 apart at 1e4: products in float32 cannot tell which of a pair is nearer."
    places = 1e4 * torch.randn(30, 1, 2, generator=seeded())
    centroids = (places + torch.tensor([[0., 0], [0.1, 0]])).flatten(0, 1)
    points = centroids.repeat(100, 1) + 0.01 * torch.randn(6000, 2, generator=seeded(1))
    check_nearest(points, centroids, torch.float32)
    assert nearest(points, centroids, torch.float32)[1] > 60
    assert nearest(points[:120], centroids, torch.float32)[1] > 0


@pytest.mark.parametrize("d, k", [(1, 1), (1, 2), (2, 9), (10, 40)])
@pytest.mark.parametrize("doubts", ["none", "one", "last", "some", "all"])
@pytest.mark.parametrize("n", [1, 511, 512, 513, 5000])
def test_doubt_is_where_the_second_score_is_within_rounding(monkeypatch, n, doubts, d, k):
    "Centroids along a line, and points halfway between two of them: at the origin, as the rows that fill the last tile."
    monkeypatch.setattr(assignment, "BLOCK", 1 << 14)
    centroids = torch.randn(k, d, generator=seeded())
    centroids[:2] = 0
    centroids[:, 0] = 10 * torch.arange(k) - 5
    points = centroids[torch.randint(0, k, (n,), generator=seeded(n))] + 0.01 * torch.randn(n, d, generator=seeded(k))
    halfway = {"none": [], "one": [n // 2], "last": [n - 1], "some": range(0, n, 7), "all": range(n)}[doubts] if k > 1 else []
    points[list(halfway)] = 0
    tiles, found = Tiles(points, k, torch.float32), []
    tiles.set(centroids)
    for at, rows, *block in tiles.blocks():
        label, best, second, _, error = tiles.leads(rows, *block)
        again, some = tiles.doubtful(rows, *block)
        assert torch.equal(again, label) and torch.equal(some, (best - second <= error).nonzero()[:, 0])
        found += (some + at.start).tolist()
    assert found == list(halfway)


@pytest.mark.parametrize("d", [1, 3, 32, 128, 512])
@pytest.mark.parametrize("kind", ["around the origin", "positive", "aligned", "a thousand away", "heavy tails"])
def test_rounding_moves_a_lead_by_less_than_a_tenth_of_its_bound(kind, d):
    "Where it counts: for centroids that are not clearly farther than the nearest."
    g, k = seeded(), 64
    points, centroids = torch.randn(4096, d, generator=g), torch.randn(k, d, generator=g)
    if kind == "positive": points, centroids = points.abs(), centroids.abs()
    if kind == "aligned": points, centroids = (1 + 1e-3 * t for t in (points, centroids))
    if kind == "a thousand away": points, centroids = points + 1000, centroids + 1000
    if kind == "heavy tails": points, centroids = points**5, centroids**5
    tiles = Tiles(points, k, torch.float32)
    tiles.set(centroids)
    for _, rows, *block in tiles.blocks():
        found = tiles.score(*block).transpose(1, 2).reshape(-1, k)[:len(rows)].double()
        x, c = rows.double(), centroids.double()
        true = x @ c.T - c.square().sum(1) / 2
        best, label = true.max(1, keepdim=True)
        bound = score_error(rows) * (10 * x.square().sum(1) - 4 * found.amax(1))[:, None]
        moved = ((found - found.gather(1, label)) - (true - best)).abs()
        assert (moved / bound)[best - true <= 2 * bound].max() < 0.1


# ---- tiles

@pytest.mark.parametrize("d, k", [(1, 1), (2, 5), (70, 3), (3, 300), (2100, 2)])
@pytest.mark.parametrize("centered", [False, True])
def test_blocks_hold_each_point_once(d, k, centered, monkeypatch):
    monkeypatch.setattr(assignment, "BLOCK", 1 << 14)
    steps = Tiles(torch.zeros(100_000 // d, d), k, torch.float32).step
    for n in sorted({*AWKWARD, steps - 1, steps, steps + 1, 2 * steps, 2 * steps + 1} - {0}):
        if n * d > 300_000: continue
        points = torch.arange(n * d, dtype=torch.float32).view(n, d) / (n * d)
        center = points.mean(0) if centered else None
        tiles = Tiles(points, k, torch.float32, center)
        seen = []
        for at, rows, x, scores, centroids in tiles.blocks():
            seen += range(at.start, at.stop)
            assert rows.shape == (at.stop - at.start, d) and x.shape == (len(scores), tiles.tile, d) and scores.shape == (len(x), k, tiles.tile)
            assert centroids.shape == (len(x), k, d) and at.start % tiles.tile == 0
            assert torch.equal(rows, points[at] if center is None else points[at] - center)
            assert (x.view(-1, d)[len(rows):] == 0).all()
        assert seen == list(range(n))


@pytest.mark.parametrize("n", [1024, 1025, 5000])
def test_blocks_that_are_kept_survive_blocks_of_some(monkeypatch, n):
    "Kept blocks are views where they can be, hold the last points in a room of their own, and are not kept where they would be many."
    monkeypatch.setattr(assignment, "BLOCK", 1 << 12)
    points = torch.randn(n, 3, generator=seeded())
    tiles = Tiles(points, 4, torch.float32)
    before = [rows.clone() for _, rows, *_ in tiles.blocks()]
    for _ in tiles.blocks(torch.arange(n).flip(0)[:n // 2]): pass
    assert torch.equal(torch.cat(before), points) and all(torch.equal(rows, old) for (_, rows, *_), old in zip(tiles.blocks(), before))
    assert tiles.kept is not None and tiles.kept[0][1].data_ptr() == points.data_ptr()
    monkeypatch.setattr(assignment, "KEPT", 1)
    assert (Tiles(points, 4, torch.float32).kept is None) == (n > tiles.step)


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("n", [1, 17, 513, 3000])
def test_assign_is_the_argmin_of_the_distances(tiny_blocks, n, differences):
    points, centroids = torch.randn(n, 5, generator=seeded(), dtype=torch.float64), torch.randn(9, 5, generator=seeded(1), dtype=torch.float64)
    for center in ([None] if differences else [None, points.mean(0)]):
        tiles = Tiles(points, 9, torch.float64, center, differences)
        tiles.set(tiles.shift(centroids))
        assert torch.equal(tiles.assign(torch.empty(n, dtype=torch.uint8)).long(), by_differences(points, centroids).argmin(1))


# ---- settings

def precisions(): return torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision


@pytest.mark.parametrize("setting", ["none", "ieee", "tf32"])
def test_exact_products_gives_the_settings_back(setting):
    before = precisions()
    try:
        torch.backends.cuda.matmul.fp32_precision = torch.backends.mkldnn.matmul.fp32_precision = setting
        mine = precisions()
        with exact_products():
            assert precisions() == ("ieee", "ieee")
            with exact_products(): pass
            assert precisions() == ("ieee", "ieee")
        assert precisions() == mine
        with pytest.raises(KeyError), exact_products(): raise KeyError
        assert precisions() == mine
    finally: torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision = before


@pytest.mark.parametrize("d", [1, 8, 9, 300])
def test_squares(d):
    rows = torch.randn(50, d, generator=seeded())
    assert torch.allclose(squares(rows), (rows ** 2).sum(1)) and squares(rows[:0]).shape == (0,)
