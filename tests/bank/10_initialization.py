"Right and wrong answers to the exercises of lesson 10, a good start."
import numpy as np
import torch


def away(points, chosen): return torch.cdist(points, chosen)
def share(mass): return mass / mass.sum()
def lines(mass, spots): return torch.searchsorted(mass.cumsum(0), spots * mass.sum(), right=True)


def chances_by_loop(points, chosen, weights):
    mass = torch.tensor([w * min(((p - c) ** 2).sum() for c in chosen) for p, w in zip(points, weights)])
    return share(mass)


def chances_by_numpy(points, chosen, weights):
    mass = weights.numpy() * ((points.numpy()[:, None] - chosen.numpy()) ** 2).sum(2).min(1)
    return mass / mass.sum()


def surely(points, chosen, weights):
    mass = weights * away(points, chosen).amin(1) ** 2
    return torch.nn.functional.one_hot(mass.argmax(), len(points))


def rows_by_loop(mass, spots):
    ends, found = mass.cumsum(0), []
    for at in spots * ends[-1]: found.append(int((ends > at).nonzero()[0, 0]))
    return found


RIGHT = {
    "next_chances": [chances_by_loop, chances_by_numpy, lambda points, chosen, weights: share(weights.double() * away(points.double(), chosen.double()).min(1).values ** 2)],
    "drawn_rows": [lines, rows_by_loop, lambda mass, spots: np.searchsorted(mass.numpy().cumsum(), spots.numpy() * mass.numpy().sum(), side="right"), lambda mass, spots: torch.bucketize(spots * mass.sum(), mass.cumsum(0), right=True)],
    "farthest_start": [(5, "outliers"), [torch.tensor(5), "Outliers"], (np.int64(5), "outliers"), (5.0, "outliers")]}
WRONG = {
    "next_chances": [(lambda points, chosen, weights: share(weights * away(points, chosen).amin(1)), "distance not squared"),
                     (lambda points, chosen, weights: share(weights * (points - chosen[-1]).square().sum(1)), "the last chosen alone"),
                     (lambda points, chosen, weights: share(weights * away(points, chosen).square().sum(1)), "all chosen added"),
                     (lambda points, chosen, weights: share(weights * away(points, chosen).square().mean(1)), "all chosen added"),
                     (lambda points, chosen, weights: share(weights * away(points, chosen).amax(1) ** 2), "the farthest chosen"),
                     (lambda points, chosen, weights: share(away(points, chosen).amin(1) ** 2), "weights forgotten"),
                     (lambda points, chosen, weights: weights * away(points, chosen).amin(1) ** 2, "not probabilities"), (surely, "the farthest for certain")],
    "drawn_rows": [(lambda mass, spots: torch.searchsorted(mass.cumsum(0), spots * mass.sum()), "the border falls to the left"),
                   (lambda mass, spots: torch.searchsorted(mass.cumsum(0), spots, right=True), "the line is as long as 1"),
                   (lambda mass, spots: (spots * len(mass)).long(), "every row alike"), (lambda mass, spots: mass.argmax().repeat(len(spots)), "the heaviest row always"),
                   (lambda mass, spots: lines(mass, spots) + 1, "one too far"),
                   (lambda mass, spots: torch.searchsorted(mass, spots * mass.sum(), right=True), "masses not added up")],
    "farthest_start": [((5, "coverage"), "farthest is called smart"), ((5, "chance"), "there is no chance in it"), ((6, "outliers"), "the first is given"), ((1, "outliers"), "drawn, not taken"), ((10, "outliers"), "all far points counted")]}
