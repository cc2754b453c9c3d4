import operator

import numpy as np
import torch

SIGNS = {"+": operator.add, "-": operator.sub, "×": operator.mul}
def rtl_recursive(numbers, signs): return numbers[0] if not signs else SIGNS[signs[0]](numbers[0], rtl_recursive(numbers[1:], signs[1:]))
def rtl_stack(numbers, signs):
    numbers = list(numbers)
    for sign in reversed(signs):
        right, left = numbers.pop(), numbers.pop()
        numbers.append(SIGNS[sign](left, right))
    return numbers[0]
def rtl_brackets(numbers, signs): return eval("".join(f"{n}{s}(" for n, s in zip(numbers, signs.replace("×", "*"))) + str(numbers[-1]) + ")" * len(signs))
def ltr(numbers, signs):
    value = numbers[0]
    for i, sign in enumerate(signs): value = SIGNS[sign](value, numbers[i + 1])
    return value
def ltr_recursive(numbers, signs): return numbers[0] if not signs else SIGNS[signs[-1]](ltr_recursive(numbers[:-1], signs[:-1]), numbers[-1])
def school(numbers, signs): return eval("".join(map("".join, zip(map(str, numbers), signs.replace("×", "*") + " "))))
def sides(numbers, signs): return numbers[0] if not signs else SIGNS[signs[0]](sides(numbers[1:], signs[1:]), numbers[0])
def wrong_signs(numbers, signs):
    value, rest = numbers[-1], numbers[:-1]
    for sign in signs:
        value, rest = SIGNS[sign](rest[-1], value), rest[:-1]
    return value


def first_running(mask): return mask * (mask.cumsum(1) == 1)
def first_argmax(mask): return torch.nn.functional.one_hot(mask.argmax(1), mask.shape[1]) * mask
def first_numpy(mask): return (mask.numpy() == 1) & (np.cumsum(mask.numpy(), axis=1) < 2)
def first_all(mask): return mask
def first_last(mask): return mask.flip(1).mul(mask.flip(1).cumsum(1) == 1).flip(1)
def first_columns(mask): return mask * (mask.cumsum(0) == 1)
def first_after(mask): return mask.cummax(1).values
def first_zeros(mask): return torch.nn.functional.one_hot(mask.argmax(1), mask.shape[1])
def first_loop(mask):
    out = torch.zeros_like(mask)
    for row, new in zip(mask, out):
        if row.any(): new[row.argmax()] = 1
    return out


def outer_torch(a, b): return (torch.zeros(a)[(...,) + (None,) * len(b)] + torch.zeros(b)).shape
def outer_numpy(a, b): return np.add.outer(np.zeros(a), np.zeros(b)).shape
def outer_lists(a, b): return list(a) + list(b)
def outer_swapped(a, b): return b + a
def outer_flat(a, b): return (int(np.prod(a) * np.prod(b)),)
def outer_broadcast(a, b): return (torch.zeros(a) + torch.zeros(b)).shape
def outer_product(a, b): return a + b if not a or not b else a[:-1] + b[1:]
def outer_first(a, b): return a[:1] + b[:1]


RIGHT = {"right_to_left": [rtl_recursive, rtl_stack, rtl_brackets], "first_ones": [first_running, first_argmax, first_numpy], "outer_shape": [outer_torch, outer_numpy, outer_lists],
         "reduced_shapes": [((3, 4), (4, 5)), [[3, 4], [4, 5]], (torch.Size([3, 4]), torch.Size([4, 5]))]}
WRONG = {
    "right_to_left": [(ltr, "left to right"), (ltr_recursive, "left to right"), (school, "precedence"), (sides, "sides exchanged"), (wrong_signs, "signs from the left")],
    "first_ones": [(first_all, "all ones kept"), (first_last, "last one"), (first_columns, "down the columns"), (first_after, "everything after"), (first_zeros, "a row without ones"), (first_loop, "a loop")],
    "outer_shape": [(outer_swapped, "right shape first"), (outer_flat, "sizes multiplied"), (outer_broadcast, "broadcast"), (outer_product, "matrix product"), (outer_first, "the first axes only")],
    "reduced_shapes": [(((4, 5), (3, 4)), "axes exchanged"), ([[4, 5], [3, 4]], "axes exchanged"), (((3,), (5,)), "one axis kept"), (((), ()), "to a number"), (((3, 4, 1), (1, 4, 5)), "the axis stays")],
}
