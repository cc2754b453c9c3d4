"Answers to the exercises of lesson 05."
import numpy as np
import torch


def step(labels, points, k): return torch.stack([points[labels == j].mean(0) for j in range(k)])
def label(m, points): return torch.cdist(points, m).argmin(1)


def pairs_list(start, points, updates):
    history = [(label(start, points), start)]
    for _ in range(updates):
        m = step(history[-1][0], points, len(start))
        history.append((label(m, points), m))
    return [a.tolist() for a, _ in history], [m.tolist() for _, m in history]
def pairs_broadcast(start, points, updates):
    ms, labels = [], []
    for i in range(updates + 1):
        ms.append(start)
        labels.append((points[:, None] - start).square().sum(2).argmin(1))
        start = step(labels[-1], points, len(start))
    return torch.stack(labels), torch.stack(ms)
def pairs_numpy(start, points, updates):
    m, x, labels, ms = start.numpy(), points.numpy(), [], []
    for i in range(updates + 1):
        labels.append(np.linalg.norm(x[:, None] - m, axis=2).argmin(1))
        ms.append(m)
        m = np.stack([x[labels[-1] == j].mean(0) for j in range(len(m))])
    return np.stack(labels), np.stack(ms)


def pairs_new_old(start, points, updates):
    labels, out = label(start, points), []
    for _ in range(updates + 1):
        new = step(labels, points, len(start))
        labels = label(new, points)
        out.append((labels, start))
        start = new
    return torch.stack([a for a, _ in out]), torch.stack([m for _, m in out])
def pairs_new_old_short(start, points, updates):
    labels, ms = pairs_new_old(start, points, updates)
    return labels[:-1], ms[:-1]
def pairs_old_new(start, points, updates):
    m, ls, ms = start, [], []
    for _ in range(updates + 1):
        ls.append(label(m, points))
        m = step(ls[-1], points, len(start))
        ms.append(m)
    return torch.stack(ls), torch.stack(ms)
def pairs_no_start(start, points, updates):
    labels, ms = pairs_broadcast(start, points, updates)
    return labels[1:], ms[1:]
def pairs_no_last(start, points, updates):
    ls, ms, m = [], [], start
    for _ in range(updates):
        ls.append(label(m, points))
        ms.append(m)
        m = step(ls[-1], points, len(start))
    return torch.stack(ls), torch.stack(ms)
def pairs_one_tensor(start, points, updates):
    m, ls, ms = start.clone(), [], []
    for i in range(updates + 1):
        if i: m[:] = step(ls[-1], points, len(start))
        ls.append(label(m, points))
        ms.append(m)
    return torch.stack(ls), torch.stack(ms)


def glide_linspace(start, end, steps): return start + (end - start) * torch.linspace(0, 1, steps + 1)[:, None, None]
def glide_lerp(start, end, steps): return torch.lerp(start[None], end[None], torch.linspace(0, 1, steps + 1)[:, None, None])
def glide_numpy(start, end, steps): return np.linspace(start.numpy(), end.numpy(), steps + 1)
def glide_double(start, end, steps): return torch.einsum("s,kd->skd", torch.arange(steps + 1).double() / steps, (end - start).double()) + start.double()
def glide_no_end(start, end, steps): return start + (end - start) * (torch.arange(steps) / steps)[:, None, None]
def glide_no_start(start, end, steps): return start + (end - start) * (torch.arange(1, steps + 1) / steps)[:, None, None]
def glide_fine(start, end, steps): return start + (end - start) * (torch.arange(steps + 1) / (steps + 1))[:, None, None]
def glide_steps(start, end, steps): return start + (end - start) * torch.linspace(0, 1, steps)[:, None, None]
def glide_back(start, end, steps): return end + (start - end) * torch.linspace(0, 1, steps + 1)[:, None, None]
def glide_loop(start, end, steps): return torch.stack([start + (end - start) * i / steps for i in range(steps + 1)])


RIGHT = {
    "history_pairs": [pairs_list, pairs_broadcast, pairs_numpy],
    "glide": [glide_linspace, glide_lerp, glide_numpy, glide_double],
    "film_of_five": [[4, 6], torch.tensor([4, 6]), (4.0, np.int64(6))],
    "converged_and_stuck": [[15, "pull"], (torch.tensor(15), "Pull"), (15.0, " pull")],
}
WRONG = {
    "history_pairs": [(pairs_new_old, "new clusters, old centroids"), (pairs_new_old_short, "new clusters, old centroids, no start"), (pairs_old_new, "old clusters, new centroids"),
                      (pairs_no_start, "the start is left out"), (pairs_no_last, "the last frame is left out"), (pairs_one_tensor, "one tensor, many names")],
    "glide": [(glide_no_end, "the end is left out"), (glide_no_start, "the start is left out"), (glide_fine, "the way is cut too fine"), (glide_steps, "frames counted as steps"),
              (glide_back, "backwards"), (glide_loop, "a loop")],
    "film_of_five": [((5, 5), "frames are updates"), ((5, 6), "the film is complete"), ([4, 5], "the start needs no frame"), ((4, 7), "a frame too many"), (torch.tensor([6, 6]), "the film plays on")],
    "converged_and_stuck": [((0, "pull"), "converged means best"), ((5, "pull"), "the best are counted"), ((15, "updates"), "more updates would do"),
                            ([15, "rounding"], "rounding holds them"), ((20, "pull"), "all are stuck")],
}
