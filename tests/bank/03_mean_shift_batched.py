"Answers to the exercises of lesson 03."
import numpy as np
import torch

from clusterlab.lesson.mean_shift import gaussian
from clusterlab.lesson.mean_shift_batched import dist_b, label_met, meanshift_labels, update_b


def watch(gpu, f):
    gpu.synchronize()
    began = gpu.now
    f(gpu)
    gpu.synchronize()
    return gpu.now - began


def time_helper(gpu, copy, work):
    copy(gpu)
    return watch(gpu, work)
def time_twice(gpu, copy, work):
    copy(gpu)
    gpu.synchronize()
    gpu.synchronize()
    start, _, _ = gpu.now, work(gpu), gpu.synchronize()
    return float(gpu.now - start)
def time_first(gpu, copy, work):
    gpu.synchronize()
    copy(gpu)
    gpu.synchronize()
    end = -gpu.now
    work(gpu)
    gpu.synchronize()
    return torch.tensor(end + gpu.now)
def time_asking(gpu, copy, work):
    copy(gpu)
    gpu.synchronize()
    start = gpu.now
    work(gpu)
    return gpu.now - start
def time_queue(gpu, copy, work):
    copy(gpu)
    start = gpu.now
    work(gpu)
    gpu.synchronize()
    return gpu.now - start
def time_copy(gpu, copy, work): return watch(gpu, lambda gpu: [copy(gpu), work(gpu)])
def time_copy_waited(gpu, copy, work): return watch(gpu, copy) + watch(gpu, work)
def time_everything(gpu, copy, work):
    start = gpu.now
    copy(gpu)
    work(gpu)
    gpu.synchronize()
    return gpu.now - start


def settled(X, bw):
    for _ in range(400): X = update_b(X, bw=bw)
    return X
def five(X, bw):
    for _ in range(5): X = update_b(X, bw=bw)
    return X
def labels_long(X, bw): return label_met(settled(X, bw), bw)[1]
def labels_small(X, bw):
    while True:
        old, X = X, update_b(X, 3, bw)
        if torch.allclose(old, X, rtol=0, atol=1e-5): return label_met(X, bw / 2)[1].tolist()
def labels_numpy(X, bw):
    near = (torch.cdist(settled(X, bw), settled(X, bw)) < bw / 2).numpy()
    first = near.argmax(1)
    return np.array([np.unique(first).tolist().index(i) for i in first])
def labels_five(X, bw): return label_met(five(X, bw), bw)[1]
def labels_data(X, bw): return label_met(X, bw)[1]
def labels_one(X, bw): return label_met(update_b(X, bw=bw), bw)[1]
def labels_modes(X, bw): return meanshift_labels(X, bw)[0]
def labels_tool(X, bw): return meanshift_labels(X, bw)[1]
def labels_places(X, bw):
    while True:
        old, X = X, update_b(X, bw=bw)
        if (X - old).abs().max() <= 1e-3: return X


def tent(x, X, reach): return (1 - dist_b(X, x) / reach).clamp_min(0)
def tri_product(x, X, reach): return tent(x, X, reach) @ X / tent(x, X, reach).sum(1, keepdim=True)
def tri_relu(x, X, reach):
    w = torch.relu(1 - torch.cdist(x.double(), X.double()) / reach)
    return (w[..., None] * X).sum(1) / w.sum(1)[:, None]
def tri_numpy(x, X, reach):
    x, X = x.numpy(), X.numpy()
    w = np.maximum(0, 1 - np.linalg.norm(x[:, None] - X, axis=2) / reach)
    return w / w.sum(1, keepdims=True) @ X
def tri_flat_sum(x, X, reach): return tent(x, X, reach) @ X / tent(x, X, reach).sum(1)
def tri_negative(x, X, reach):
    w = 1 - dist_b(X, x) / reach
    return w @ X / w.sum(1, keepdim=True)
def tri_flat(x, X, reach):
    w = (dist_b(X, x) < reach).float()
    return w @ X / w.sum(1, keepdim=True)
def tri_sum(x, X, reach): return tent(x, X, reach) @ X
def tri_gauss(x, X, reach):
    w = gaussian(dist_b(X, x), reach)
    return w @ X / w.sum(1, keepdim=True)
def tri_loop(x, X, reach): return torch.stack([tri_product(p[None], X, reach)[0] for p in x])


def pulled(points, data, bw):
    w = gaussian(torch.cdist(points, data), bw)
    return w @ data / w.sum(1, keepdim=True)
def climb_many(points, data, bw):
    for _ in range(150): points = pulled(points, data, bw)
    return points
def climb_each(points, data, bw): return [climb_many(p[None], data, bw)[0].tolist() for p in points]
def climb_double(points, data, bw): return climb_many(points.double(), data.double(), bw).numpy()
def climb_five(points, data, bw):
    for _ in range(5): points = pulled(points, data, bw)
    return points
def climb_one(points, data, bw): return pulled(points, data, bw)
def climb_old(points, data, bw):
    w = gaussian(dist_b(data, points), bw)
    for _ in range(100): points = w @ data / w.sum(1, keepdim=True)
    return points
def climb_all_move(points, data, bw):
    for _ in range(60): points, data = pulled(points, data, bw), pulled(data, data, bw)
    return points
def climb_five_batches(points, data, bw): return torch.cat([climb_five(p, data, bw) for p in points.split(1)])


RIGHT = {
    "time_work": [time_helper, time_twice, time_first],
    "shift_to_labels": [labels_long, labels_small, labels_numpy],
    "move_tri": [tri_product, tri_relu, tri_numpy],
    "climb": [climb_many, climb_each, climb_double],
    "batches_in_three_calls": [[94, 15, 15], torch.tensor([94, 15, 15]), np.array([94.0, 15, 15])],
    "places_of_zeros": [["cpu", "meta", "cpu", "meta", "cpu"], ("CPU", "meta", "CPU", "meta", "cpu"), ("cpu ", "meta", "cpu", " meta", "cpu")],
    "updates_at_five": [[49, "meeting"], (50, "meeting"), (torch.tensor(48), "Meeting")],
}
WRONG = {
    "time_work": [(time_asking, "the asking is timed"), (time_queue, "the queue is in the time"), (time_copy, "the copy is in the time"), (time_copy_waited, "the copy is timed and waited for"),
                  (time_everything, "queue and copy are in the time")],
    "shift_to_labels": [(labels_five, "five updates"), (five, "places, not labels"), (labels_places, "places, though settled"), (labels_data, "the data are grouped"), (labels_one, "one update"),
                        (labels_modes, "modes instead of labels"), (labels_tool, "a forbidden word")],
    "move_tri": [(tri_flat_sum, "the column is forgotten"), (tri_negative, "negative weights"), (tri_flat, "a flat kernel"), (tri_sum, "a sum, not a mean"), (tri_gauss, "a Gaussian"), (tri_loop, "a loop")],
    "climb": [(climb_five, "five updates of the points"), (climb_one, "one update, or old weights"), (climb_old, "one update, or old weights"), (climb_all_move, "the data move as well"),
              (climb_five_batches, "five updates of the points")],
    "batches_in_three_calls": [((15, 15, 15), "a default follows the global"), ((94, 3, 15), "the body is read at def"), ((93, 15, 15), "the short batch is forgotten"),
                               ([94, 15, 94], "the default beats the argument"), (torch.tensor([15, 15, 15]), "a default follows the global")],
    "places_of_zeros": [(("cpu", "meta", "cpu", "cpu", "cpu"), "the switch ends with its cell"), (("cpu", "meta", "meta", "meta", "cpu"), "the block does not count"),
                        (["meta", "meta", "cpu", "meta", "cpu"], "old tensors move too"), (("cpu", "meta", "cpu", "meta", "meta"), "the switch is for good"),
                        (["cpu", "meta", "cpu", "cpu", "cpu"], "the switch ends with its cell")],
    "updates_at_five": [((5, "meeting"), "five is enough"), ((10, "meeting"), "stopped at a lull"), ((49, "rounding"), "it is rounding"), ((49, "batches"), "it is the batches"), ([49, "Rounding"], "it is rounding")],
}
