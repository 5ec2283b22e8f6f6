"""Tensors taken apart, put together, and written into."""

import torch

from case import Case, integers, randn

CASES = [
    Case("chunk-uneven", lambda x: x.chunk(3, 1), randn(2, 7)),
    Case("split-last-short", lambda x: x.split(3), randn(7, 2)),
    Case("tensor-split", lambda x: x.tensor_split(3, dim=1), randn(2, 7)),
    Case("tensor-split-at", lambda x: x.tensor_split((1, 4), dim=1), randn(2, 6)),
    Case("tensor-split-crossed", lambda x: x.tensor_split((4, 2), dim=0)[::2], randn(6, 2)),
    Case("columns", lambda x: torch.hsplit(x, 2), randn(2, 4)),
    Case("columns-at", lambda x: torch.hsplit(x, (1, 2)), randn(4, 5)),
    Case("rows", lambda x: torch.vsplit(x, 2), randn(4, 3)),
    Case("depth", lambda x: torch.dsplit(x, (1,)), randn(2, 2, 3)),
    Case("unbind-vector", lambda x: x.unbind(), randn(3)),
    Case("apart-and-together", lambda x: torch.cat(x.split(2, 1), 1) * 2, randn(2, 6)),
    Case("some-together", lambda x: torch.cat(x.chunk(3, 1)[1:], 1), randn(2, 6)),
    Case("empty-part", lambda x: torch.cat([x[:, 3:], x], 1), randn(2, 3)),
    Case("step-over-end", lambda x: x[:, 1:100:3], randn(2, 8)),
    Case("two-steps", lambda x: x[::2, 1::2], randn(5, 6)),
    Case("negative-select", lambda x: x.select(1, -2), randn(2, 3)),
    Case("hstack", lambda x, y: torch.hstack([x, y]), randn(2, 3), randn(2, 1)),
    Case("hstack-vectors", lambda x, y: torch.hstack([x, y]), randn(3), randn(2)),
    Case("vstack", lambda x, y: torch.vstack([x, y]), randn(3), randn(2, 3)),
    Case("dstack", lambda x, y: torch.dstack([x, y]), randn(2, 3), randn(2, 3)),
    Case("column-stack", lambda x, y: torch.column_stack([x, y]), randn(3), randn(3, 2)),
    Case("stack-numbers", lambda x: torch.stack([x[0], x[2], x[0]]), randn(3)),
    Case("stack-mixed", lambda x, y: torch.stack([x, y]), randn(3), integers(3)),
    Case("cat-seven", lambda x: torch.cat([x] * 7, 1), randn(2, 3)),
    Case("write-steps", lambda x, y: write(x, y, slice(1, None, 2)), randn(2, 7), randn(2, 3)),
    Case("write-steps-to-end", lambda x, y: write(x, y, slice(None, None, 3)), randn(2, 7), randn(2, 3)),
    Case("write-number", lambda x: write(x, 2.5, slice(-3, None)), randn(2, 5)),
    Case("write-into-empty", lambda x: write_into_empty(x), randn(2, 3)),
    Case("fill-with-tensor", lambda x: write(x, x[0, 0] * 2, slice(0, 1)), randn(2, 3)),
    Case("ravel", lambda x: torch.ravel(x.mT), randn(2, 3)),
    Case("write-all", lambda x, y: write(x, y, slice(None)), randn(2, 3), randn(2, 3)),
    Case("write-row", lambda x, y: write(x, y, slice(1, 3)), randn(2, 5), randn(2)),
    Case("write-one", lambda x: write_one(x), randn(3, 4)),
    Case("write-integers", lambda x: write(x, 7, slice(1, 2)), integers(2, 3)),
    Case("write-channel", lambda x: write_channel(x), randn(1, 3, 4, 4)),
]


def write(x, y, place):
    """y written over some columns; a vector is repeated along them."""
    z = x.clone()
    if isinstance(y, torch.Tensor) and y.dim() == 1:
        y = y[:, None]
    z[:, place] = y
    return z


def write_one(x):
    z = x.clone()
    z[1, 2] = 0.5
    return z


def write_channel(x):
    z = torch.zeros_like(x)
    z[:, 0] = x[:, 1]
    z[:, 1:, ::2] = x[:, 1:, ::2] * 2
    return z


def write_into_empty(x):
    z = torch.empty(2, 6)
    z[:, :3] = x
    z[:, 3:] = -x
    return z
