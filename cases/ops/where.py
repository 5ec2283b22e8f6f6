"""A choice between two tensors, element by element."""

import torch

from case import Case, booleans, integers, randn, specials

CASES = [
    Case("tensors", torch.where, booleans(2, 3), randn(2, 3), randn(2, 3)),
    Case("broadcast", torch.where, booleans(3, 1), randn(2, 1, 4), randn(4)),
    Case("number", lambda c, x: torch.where(c, x, 0.0), booleans(2, 3), randn(2, 3)),
    Case("two-numbers", lambda c: torch.where(c, 1.0, -1.0), booleans(2, 3)),
    Case("integers", torch.where, booleans(2, 3), integers(2, 3), integers(2, 3)),
    Case("mixed", torch.where, booleans(2, 3), integers(2, 3), randn(2, 3)),
    Case("masked-fill", lambda x, m: x.masked_fill(m, float("-inf")), randn(2, 3), booleans(3)),
    Case("nan-not-taken", lambda x: torch.where(x.isnan(), torch.zeros(()), x), specials()),
    Case("mask-update", lambda x: masked_square(x), randn(4, 5)),
    Case("rank-5", torch.where, booleans(1, 2, 1, 2, 3), randn(2, 2, 1, 2, 3), randn(2, 1, 2, 1, 3)),
    Case("integers-and-fraction", lambda c, x: torch.where(c, x, 0.5), booleans(2, 3), integers(2, 3)),
    Case("masked-fill-integers", lambda x, m: x.masked_fill(m, -1), integers(2, 3), booleans(2, 3)),
    Case("masked-fill-tensor", lambda x, m: x.masked_fill(m, torch.tensor(2.5)), randn(2, 3), booleans(2, 3)),
    Case("scalars", lambda c, x: torch.where(c, 1.0, x), torch.tensor(True), torch.tensor(0.5)),
]


def masked_square(x):
    """An update under a mask, which exports as index and index_put with a size known only at run time."""
    y = x.clone()
    mask = y > 0
    y[mask] = y[mask] ** 2
    return y
