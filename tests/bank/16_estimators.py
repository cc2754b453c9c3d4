import numpy as np
import torch
from sklearn.metrics import rand_score
from sklearn.preprocessing import StandardScaler


def agreed_matrix(a, b):
    same = ((a[:, None] == a) == (b[:, None] == b)).double()
    return (same.sum() - len(a)) / (len(a) * (len(a) - 1))
def agreed_triangle(a, b):
    i, j = torch.triu_indices(len(a), len(a), 1)
    return ((a[i] == a[j]) == (b[i] == b[j])).double().mean()
def agreed_sklearn(a, b): return rand_score(a.numpy(), b.numpy())
def agreed_accuracy(a, b): return (a == b).double().mean()
def agreed_accuracy_numpy(a, b): return np.mean(a.numpy() == b.numpy())
def agreed_itself(a, b): return ((a[:, None] == a) == (b[:, None] == b)).double().mean()
def agreed_together(a, b):
    i, j = torch.triu_indices(len(a), len(a), 1)
    return ((a[i] == a[j]) & (b[i] == b[j])).double().mean()
def agreed_twice(a, b): return 2 * agreed_triangle(a, b)
def agreed_not(a, b): return 1 - agreed_matrix(a, b)
def agreed_loop(a, b):
    n = len(a)
    return sum(((a[i] == a[j]) == (b[i] == b[j])).item() for i in range(n) for j in range(i)) / (n * (n - 1) / 2)


def fit_torch(estimator, X):
    estimator.mean_ = X.mean(0)
    return estimator
def fit_numpy(estimator, X):
    estimator.mean_ = X.numpy().mean(axis=0)
    return estimator
def fit_list(estimator, X):
    estimator.mean_ = [sum(c) / len(c) for c in zip(*X.tolist())]
    return estimator
def fit_nothing(estimator, X): estimator.mean_ = X.mean(0)
def fit_mean_itself(estimator, X):
    estimator.mean_ = X.mean(0)
    return estimator.mean_
def fit_bare(estimator, X):
    estimator.mean = X.mean(0)
    return estimator
def fit_parameter(estimator, X):
    estimator.mean_, estimator.scale = X.mean(0), int(estimator.scale)
    return estimator
def fit_all(estimator, X):
    estimator.mean_ = X.mean()
    return estimator
def fit_features(estimator, X):
    estimator.mean_ = X.mean(1)
    return estimator


def scaled_torch(known, new): return (new - known.mean(0)) / known.std(0, correction=0)
def scaled_sklearn(known, new): return StandardScaler().fit(known.numpy()).transform(new.numpy())
def scaled_numpy(known, new): return (new.numpy() - known.numpy().mean(0)) / known.numpy().std(0)
def scaled_itself(known, new): return (new - new.mean(0)) / new.std(0, correction=0)
def scaled_no_mean(known, new): return new / known.std(0, correction=0)
def scaled_no_deviation(known, new): return new - known.mean(0)
def scaled_together(known, new):
    both = torch.cat([known, new])
    return (new - both.mean(0)) / both.std(0, correction=0)
def scaled_n_1(known, new): return (new - known.mean(0)) / known.std(0)
def scaled_once(known, new): return (new - known.mean()) / known.std(correction=0)


RIGHT = {"pairs_agreed": [agreed_matrix, agreed_triangle, agreed_sklearn], "fit_mean": [fit_torch, fit_numpy, fit_list], "scaled_like": [scaled_torch, scaled_sklearn, scaled_numpy],
         "flat_modes": [(11, "kernel"), [11, "Kernel"], (torch.tensor(11), "kernel")]}
WRONG = {
    "pairs_agreed": [(agreed_accuracy, "numbers compared"), (agreed_accuracy_numpy, "numbers compared"), (agreed_itself, "pairs with itself"), (agreed_together, "together only"), (agreed_twice, "each pair twice"),
                     (agreed_not, "disagreement"), (agreed_loop, "a loop")],
    "fit_mean": [(fit_nothing, "self not returned"), (fit_mean_itself, "the result returned"), (fit_bare, "no underscore"), (fit_parameter, "parameter changed"), (fit_all, "mean of everything"), (fit_features, "mean over the features")],
    "scaled_like": [(scaled_itself, "scaled by itself"), (scaled_no_mean, "mean kept"), (scaled_no_deviation, "not divided"), (scaled_together, "learned from all rows"), (scaled_n_1, "n - 1"), (scaled_once, "one scale for all")],
    "flat_modes": [((6, "kernel"), "the same bandwidth"), ([6, "Kernel"], "the same bandwidth"), ((11, "start"), "start blamed"), ((11, "scale"), "scale blamed"), ((torch.tensor(6), "kernel"), "the same bandwidth")],
}
