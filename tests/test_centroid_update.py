"One step of k-means: sums that move with the points, labels that bounds spare, few points at once."
import pytest
import torch
from torch import Generator

from clusterlab import assignment, centroid_update
from clusterlab.assignment import Tiles, by_differences, nearest
from clusterlab.centroid_update import Few, Sums


def seeded(seed=0): return Generator().manual_seed(seed)


def blocks_of(monkeypatch, block):
    for module in (assignment, centroid_update): monkeypatch.setattr(module, "BLOCK", block)


# ---- sums

@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [1, 8, 9, 30])
@pytest.mark.parametrize("block", [1 << 10, 1 << 20])
def test_update_is_refill_after_many_changes(monkeypatch, block, d, weighted):
    blocks_of(monkeypatch, block)
    n, k, g = 1500, 7, seeded()
    points = torch.randn(n, d, generator=g) + 3
    weights = torch.rand(n, generator=g, dtype=torch.float64) if weighted else None
    tiles = Tiles(points, k, torch.float32, points.mean(0))
    moving, fresh = Sums(tiles, k, weights), Sums(tiles, k, weights)
    assert (not tiles.only) == (block == 1 << 10) == (len(moving.rows.flatten()) < n * (d + 1))
    kind = torch.int64 if tiles.only else torch.uint8
    old = torch.randint(0, k, (n,), generator=g).to(kind)
    moving.refill(old)
    for fraction in [0, 0.01, 0.1, 0.3, 0.34, 1] * 8:
        new = torch.where(torch.rand(n, generator=g) < fraction, torch.randint(0, k, (n,), generator=g).to(kind), old)
        moving.update(old, new)
        old = new
    fresh.refill(old)
    assert torch.allclose(moving.totals, fresh.totals, rtol=0, atol=1e-9)
    totals = fresh.totals.T if fresh.axis else fresh.totals
    w = torch.ones(n, dtype=torch.float64) if weights is None else weights
    member = torch.nn.functional.one_hot(old.long(), k).double() * w[:, None]
    assert torch.allclose(totals[:, :-1], member.T @ (points - points.mean(0)).double()) and torch.allclose(totals[:, -1], member.sum(0))


def test_a_cluster_that_loses_all_its_points_has_no_mass(monkeypatch):
    blocks_of(monkeypatch, 1 << 10)
    points = torch.randn(900, 2, generator=seeded())
    sums = Sums(Tiles(points, 3, torch.float32), 3, None)
    old = (torch.arange(900) % 10 == 0).to(torch.uint8)
    sums.refill(old)
    sums.update(old, torch.zeros_like(old))
    assert sums.totals[-1].tolist() == [900, 0, 0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, k, d", [(1, 1, 1), (7, 3, 2), (1500, 6, 2), (20, 20, 700), (0, 4, 3)])
def test_a_step_of_few_points_is_a_step_of_many(n, k, d, weighted):
    g = seeded()
    points, centroids = torch.randn(n, d, generator=g) + 5, torch.randn(k, d, generator=g, dtype=torch.float64)
    weights = torch.rand(n, generator=g, dtype=torch.float64) if weighted else None
    center = torch.full((d,), 5.0, dtype=torch.float64)
    one, other = Few(points, k, center, weights), Sums(Tiles(points, k, torch.float32, center.float()), k, weights)
    for _ in range(2):
        (labels, totals), (wanted, sums) = one.step(centroids), other.step(centroids)
        assert torch.equal(labels, wanted.long()) and torch.allclose(totals, sums, atol=1e-4)
        centroids = centroids + 0.1
    assert torch.allclose(one.shift(points.double()), other.shift(points))


@pytest.mark.parametrize("n", [assignment.SMALL, assignment.SMALL + 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_block_of_many_points_moves_only_what_moved(n, weighted):
    g = seeded()
    points = torch.randn(n, 2, generator=g)
    weights = torch.rand(n, generator=g, dtype=torch.float64) if weighted else None
    steps, centroids = Sums(Tiles(points, 3, torch.float32), 3, weights), points[:3].double()
    assert steps.tiles.only and (steps.loaded is None) == (n > assignment.SMALL)
    for _ in range(4):
        labels, totals = steps.step(centroids)
        assert torch.equal(labels.long(), by_differences(points, centroids.float()).argmin(1))
        w = torch.ones(n, dtype=torch.float64) if weights is None else weights
        member = torch.nn.functional.one_hot(labels.long(), 3).double() * w[:, None]
        assert torch.allclose(totals[:, :-1], member.T @ points.double()) and torch.allclose(totals[:, -1], member.sum(0))
        centroids = totals[:, :-1] / totals[:, -1:]
        assert torch.equal(steps.nearest(centroids.float())[0], nearest(points, centroids.float(), torch.float32)[0])


# ---- bounds

def crowd(kind: str, n: int, d: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    "Points, and where their centroids start."
    g = seeded()
    points = torch.randn(n, d, generator=g) + 6 * torch.randn(k, d, generator=g)[torch.randint(k, (n,), generator=g)]
    if kind == "grid": points = torch.randint(-2, 3, (n, d), generator=g).float()
    if kind == "duplicates": points = points[torch.randint(2 * k, (n,), generator=g)]
    if kind == "far": points = points + 1000
    if kind == "doubles": points = points.double()
    centroids = points[torch.randperm(n, generator=g)[:k]].double()
    if kind == "equal centroids": centroids[k // 2:] = centroids[:k - k // 2].clone()
    return points, centroids


def jump(centroids): return centroids.flip(0)
def crawl(centroids): return centroids + 1e-3 * torch.randn(centroids.shape, generator=seeded(1), dtype=centroids.dtype)
def one_runs(centroids): return torch.cat([centroids[:1] + 3, centroids[1:]])
def stay(centroids): return centroids
def crawl_back(centroids): return crawl(centroids.flip(0)).flip(0)


@pytest.mark.parametrize("kind", ["crowds", "grid", "duplicates", "far", "doubles", "equal centroids"])
@pytest.mark.parametrize("d, k", [(3, 2), (3, 20), (20, 7)])
def test_labels_that_bounds_spare_are_the_nearest(monkeypatch, kind, d, k):
    blocks_of(monkeypatch, 1 << 12)
    monkeypatch.setattr(centroid_update, "DEAR", 0)
    points, centroids = crowd(kind, 2000, d, k)
    center = points.mean(0) if kind == "far" else None
    steps = Sums(Tiles(points, k, points.dtype, center), k, None)
    spared = 0
    for move in [stay, crawl, crawl, stay, one_runs, crawl_back, *[crawl] * 20, jump, crawl, one_runs, stay]:
        steps.enough = len(points)
        centroids = move(centroids).to(points.dtype).double()
        labels, totals = steps.step(centroids - steps.center)
        near = by_differences(points.double(), centroids).square()
        assert (near.gather(1, labels[:, None].long())[:, 0] - near.amin(1)).max() <= 1e-3
        assert torch.allclose(totals[:, :-1], torch.zeros(k, d, dtype=torch.float64).index_add_(0, labels.long(), steps.shift(points)), atol=1e-6)
        assert torch.equal(totals[:, -1], labels.long().bincount(minlength=k).double())
        if steps.bounds is not None:
            spared += 1
            exact = (crawl(centroids)).to(points.dtype)
            assert torch.equal(steps.nearest(exact)[0], nearest(points, exact, points.dtype)[0])
    assert spared >= 10 or kind in ("grid", "equal centroids")


def test_bounds_are_kept_only_where_they_spare_much(monkeypatch):
    "Few changes, fewer where the centroids have less than two thousand numbers, and at least half of the points spared; never for one cluster, one block or differences."
    points, centroids = crowd("crowds", 3000, 32, 100)
    blocks_of(monkeypatch, 1 << 16)
    tiles = lambda k, **o: Tiles(points, k, torch.float32, **o)
    for cheap in (Sums(tiles(100, differences=True), 100, None), Sums(Tiles(points[:500], 100, torch.float32), 100, None), Sums(tiles(1), 1, None)): assert cheap.enough < 0
    steps = Sums(tiles(100), 100, None)
    assert steps.enough == 3000 / 20 and Sums(tiles(10), 10, None).enough == 3000 / 400
    scored, blocks = [], Tiles.blocks
    monkeypatch.setattr(Tiles, "blocks", lambda self, some=None: (scored.append(len(points) if some is None else len(some)), blocks(self, some))[1])
    for _ in range(4):
        steps.step(centroids)
    assert scored[:2] == [3000, 3000] and steps.bounds is not None and scored[-1] < 300
    kept, steps.changed = steps.bounds, 100
    steps.step(centroids.flip(0))
    assert steps.bounds is None and steps.enough == 50 and scored[-1] == 3000
    assert kept.passed(centroids, steps.labels).numel() == 3000
