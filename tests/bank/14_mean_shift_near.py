import numpy as np
import torch


def line(x, y):
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    return (x * y).sum() / (x * x).sum()
def slope_centred(sizes, seconds): return line(sizes.log(), seconds.log())
def slope_polyfit(sizes, seconds): return np.polyfit(np.log10(sizes.numpy()), np.log10(seconds.numpy()), 1)[0]
def slope_lstsq(sizes, seconds):
    X = torch.stack([sizes.double().log2(), torch.ones(len(sizes)).double()], 1)
    return torch.linalg.lstsq(X, seconds.double().log2()[:, None]).solution[0, 0]
def slope_plain(sizes, seconds): return line(sizes, seconds)
def slope_half(sizes, seconds): return line(sizes, seconds.log())
def slope_ends(sizes, seconds): return (seconds[-1] / seconds[0]).log() / (sizes[-1] / sizes[0]).log()
def slope_back(sizes, seconds): return line(seconds.log(), sizes.log())
def slope_origin(sizes, seconds): return (sizes.log() * seconds.log()).sum() / sizes.log().square().sum()
def slope_loop(sizes, seconds):
    x, y = [s.log() for s in sizes.double()], [s.log() for s in seconds.double()]
    a, b = sum(x) / len(x), sum(y) / len(y)
    return sum((p - a) * (q - b) for p, q in zip(x, y)) / sum((p - a) ** 2 for p in x)


def met_product(points, weights): return torch.cat([weights @ points / weights.sum(), weights.sum()[None]])
def met_numpy(points, weights): return [*np.average(points.numpy(), axis=0, weights=weights.numpy()), weights.sum().item()]
def met_repeated(points, weights):
    rows = points.double().repeat_interleave(weights.long(), 0)
    return torch.cat([rows.mean(0), torch.tensor([len(rows)])])
def met_plain(points, weights): return torch.cat([points.mean(0), weights.sum()[None]])
def met_averaged(points, weights): return torch.cat([weights @ points / weights.sum(), weights.mean()[None]])
def met_one(points, weights): return torch.cat([weights @ points / weights.sum(), torch.ones(1)])
def met_counted(points, weights): return torch.cat([weights @ points / weights.sum(), torch.tensor([len(points)])])
def met_sum(points, weights): return torch.cat([(weights[:, None] * points).sum(0), weights.sum()[None]])


RIGHT = {"growth_exponent": [slope_centred, slope_polyfit, slope_lstsq], "met": [met_product, met_numpy, met_repeated]}
WRONG = {
    "growth_exponent": [(slope_plain, "no logarithms"), (slope_half, "only times logged"), (slope_ends, "only the ends"), (slope_back, "axes exchanged"), (slope_origin, "line through the origin"), (slope_loop, "a loop")],
    "met": [(met_plain, "weights forgotten"), (met_averaged, "weights averaged"), (met_one, "weight 1 again"), (met_counted, "counted, not weighed"), (met_sum, "sum not divided")],
}
