"""Parts of a tensor: slices, single places, chunks."""

import torch

from case import Case, integers, randn

CASES = [
    Case("range", lambda x: x[:, 1:3], randn(2, 5, 3)),
    Case("from-the-end", lambda x: x[:, -3:-1], randn(2, 5, 3)),
    Case("step", lambda x: x[:, ::2], randn(2, 5, 3)),
    Case("start-and-step", lambda x: x[..., 1::3], randn(2, 8)),
    Case("past-the-end", lambda x: x[:, 2:100], randn(2, 5, 3)),
    Case("all", lambda x: x[:], randn(2, 5, 3)),
    Case("several-axes", lambda x: x[1:, :-1, ::2], randn(3, 4, 5)),
    Case("rank-5", lambda x: x[:, :, 1:, :, :1], randn(1, 2, 3, 2, 2)),
    Case("integers", lambda x: x[1:], integers(4, 3)),
    Case("select", lambda x: x[:, 1], randn(2, 5, 3)),
    Case("select-last", lambda x: x[-1], randn(4, 3)),
    Case("select-of-vector", lambda x: x[2], randn(4)),
    Case("narrow", lambda x: x.narrow(1, 2, 2), randn(2, 5, 3)),
    Case("split", lambda x: x.split(2, dim=1), randn(2, 5, 3)),
    Case("split-sizes", lambda x: x.split([1, 3, 1], dim=1), randn(2, 5, 3)),
    Case("chunk", lambda x: x.chunk(3, dim=-1), randn(2, 6)),
    Case("one-chunk-used", lambda x: x.chunk(2, dim=1)[1], randn(2, 6, 3)),
    Case("unbind", lambda x: x.unbind(1), randn(2, 3, 4)),
    Case("flip", lambda x: x.flip(-1, 0), randn(2, 3, 4)),
    Case("roll", lambda x: x.roll((1, -2), dims=(1, 2)), randn(1, 3, 5, 2)),
    Case("triangle", lambda x: x.tril(), randn(4, 4)),
    Case("tensor-split", lambda x: x.tensor_split((1, 4), dim=1), randn(2, 5, 3)),
    Case("sliding", lambda x: x.unfold(1, 3, 2), randn(2, 7)),
    Case("write-slice", lambda x: write_slice(x), randn(3, 4)),
    Case("write-select", lambda x: write_select(x), randn(3, 4)),
]


def write_slice(x):
    """A view written through, which changes the tensor under it."""
    y = x.clone()
    y[:, 1:3] = 0.0
    y[0].mul_(2)
    return y


def write_select(x):
    y = torch.zeros(3, 5)
    y[:, 0] = x[:, 0]
    y[1, 1:].copy_(x[2])
    return y
