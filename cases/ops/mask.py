"""Updates of the elements that a mask picks, whose number PyTorch knows at run time only."""

import torch

from case import Case, booleans, integers, randn, specials, ties


def luminance(x):
    """Both sides of a threshold, each by its own formula; the mask is computed anew for each use."""
    x = 100 * x
    x[x <= 127] = 17 * (1 - torch.sqrt(x[x <= 127] / 127 + 1e-5))
    mask = x > 127
    x[~mask] = 3 / 128 * (x[~mask] - 127) + 3
    return x


def roots(x):
    """Roots of what has one: elsewhere a NaN would be computed."""
    y = x.clone()
    mask = y > 0
    y[mask] = y[mask].sqrt().log()
    return y


def of_two(x, y):
    x = x.clone()
    x[x < y] = x[x < y] * 2 - y[x < y]
    return x


def rows(x, mask, shift):
    """Whole rows, and what all of them share."""
    x = x.clone()
    x[mask] = (x[mask] + shift).relu() * shift[:1]
    return x


def number(x, mask):
    x = x.clone()
    x[mask] = 0.5
    return x


def row(x, mask, values):
    x = x.clone()
    x[mask] = values
    return x


def nested(x):
    x = x.clone()
    mask = x > 0
    picked = x[mask]
    x[mask] = torch.where(picked > 1, picked.exp(), picked.clamp(max=0.25)).to(torch.float32)
    return x


def counts(x, y):
    x = x.clone()
    x[x > 0] = (x[x > 0] + 3) % 5
    return x + y


def total(x):
    return x[x > 0].sum() + x


def turned(x):
    x = x.clone()
    x[x > 0] = x[x > 0].flip(0)
    return x


def quotients(x, y):
    x = x.clone()
    mask = y != 0
    x[mask] = torch.div(x[mask], y[mask], rounding_mode="trunc")
    return x


CASES = [
    Case("two-sides", luminance, randn(1, 1, 5, 7)),
    Case("two-sides-specials", luminance, specials()[[0, *range(2, 14)]]),
    Case("nan-left-out", roots, specials()[:14]),
    Case("two-tensors", of_two, ties(4, 6), ties(4, 6)),
    Case("rows", rows, randn(5, 3), booleans(5), randn(3)),
    Case("rows-of-matrix", rows, randn(2, 4, 3), booleans(2, 4), randn(3)),
    Case("number", number, randn(4, 5), booleans(4, 5)),
    Case("number-of-rows", number, randn(4, 5), booleans(4)),
    Case("one-row", row, randn(4, 5), booleans(4), randn(5)),
    Case("choice-within", nested, randn(3, 4, scale=2)),
    Case("integers", counts, integers(4, 5), integers(4, 5)),
    Case("core", luminance, randn(2, 3), core=True),
    Case("none", lambda x: roots(-x.abs() - 1), randn(6)),
    # Not functions of each element, or not of the elements that are written.
    Case("refused-sum", total, randn(4, 5)),
    Case("refused-flip", turned, randn(1, 6)),
    Case("refused-division", quotients, integers(4, 5, dtype=torch.int32), integers(4, 5, dtype=torch.int32)),
]
