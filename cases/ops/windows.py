"""Windows, diagonals and triangles."""

import torch
from torch.nn import functional as F

from case import Case, integers, randn, specials

CASES = [
    Case("overlapping", lambda x: x.unfold(1, 3, 2), randn(2, 8, 3)),
    Case("touching", lambda x: x.unfold(1, 3, 3), randn(2, 8, 3)),
    Case("last-axis", lambda x: x.unfold(-1, 2, 1), randn(2, 5)),
    Case("columns", lambda x: F.unfold(x, 3, padding=1), randn(1, 2, 4, 5)),
    Case("columns-dilated", lambda x: F.unfold(x, (2, 3), dilation=(2, 1), stride=(1, 2)), randn(2, 3, 5, 7)),
    Case("columns-touching", lambda x: F.unfold(x, 2, stride=2), randn(2, 3, 4, 6)),
    Case("columns-of-one-image", lambda x: F.unfold(x, 2), randn(3, 3, 4)),
    Case("diagonal", lambda x: x.diagonal(), randn(3, 4)),
    Case("diagonal-above", lambda x: x.diagonal(1), randn(3, 4)),
    Case("diagonal-below", lambda x: x.diagonal(-1, 1, 2), randn(2, 4, 3)),
    Case("diagonal-of-outer-axes", lambda x: x.diagonal(0, 0, 2), randn(3, 2, 4)),
    Case("strided", lambda x: x.as_strided((3, 4), (2, 1)), randn(2, 5)),
    Case("strided-from", lambda x: (x * 2).as_strided((2, 2, 2), (1, 3, 2), 1), randn(12)),
    Case("strided-packed", lambda x: x.as_strided((2, 3), (3, 1), 2), randn(10)),
    Case("matrix-of-diagonal", torch.diag, randn(3)),
    Case("diagonal-of-matrix", lambda x: torch.diag(x, -1), randn(4, 3)),
    Case("embedded-diagonal", lambda x: torch.diag_embed(x, 1), randn(2, 3)),
    Case("embedded-diagonal-of-outer-axes", lambda x: torch.diag_embed(x, 0, 0, 2), integers(2, 3)),
    Case("identity", lambda x: x @ torch.eye(3) + torch.eye(3, 3), randn(3, 3)),
    Case("triangle-places", lambda x: x[:, *torch.tril_indices(3, 3, -1)], randn(2, 3, 3)),
    Case("upper-triangle-places", lambda x: x[*torch.triu_indices(3, 4)], randn(3, 4)),
    Case("write-diagonal", lambda x, y: write_diagonal(x, y), randn(3, 4), randn(3)),
    Case("fill-diagonal", lambda x: fill_diagonal(x), randn(4, 3)),
    Case("lower", lambda x: x.tril(-1), randn(2, 3, 4)),
    Case("upper", lambda x: x.triu(), randn(4, 3)),
    Case("upper-above", lambda x: x.triu(diagonal=1), integers(3, 3)),
    Case("triangle-of-specials", lambda x: x.tril(), specials().reshape(4, 4)),
    Case("causal-mask", lambda x: (x + torch.full((4, 4), float("-inf")).triu(1)).softmax(-1), randn(4, 4)),
]


def write_diagonal(x, y):
    z = x.clone()
    z.diagonal().copy_(y)
    return z


def fill_diagonal(x):
    z = x * 2
    z.diagonal(-1).zero_()
    return z
