"""Elements looked up by tensors of indices."""

import torch
from torch.nn import functional as F

from case import Case, integers, randn, specials

CASES = [
    Case("apart", lambda x, i, j: x[i, :, j], randn(4, 5, 3), integers(6, low=0, high=3), integers(6, low=0, high=2)),
    Case("apart-and-one-left", lambda x, i, j: x[:, i, :, j], randn(2, 3, 4, 5), *[integers(2, low=-3, high=2)] * 2),
    Case("together", lambda x, i, j: x[:, i, j], randn(2, 4, 3), *[integers(5, low=-3, high=2)] * 2),
    Case("grid", lambda x, i, j: x[i[:, None], j], randn(4, 5), integers(3, low=0, high=3), integers(2, low=-5, high=4)),
    Case("three", lambda x, i, j, k: x[i, j, k], randn(3, 3, 3), *[integers(4, low=-3, high=2)] * 3),
    Case("i32", lambda x, i, j: x[i, j], randn(4, 3), *[integers(5, low=0, high=2, dtype=torch.int32)] * 2),
    Case("mixed-dtypes", lambda x, i, j: x[i, j.int()], randn(4, 3), *[integers(5, low=0, high=2)] * 2),
    Case("constant-negative", lambda x: x[:, [-1, 0, -2]], randn(2, 4, 3)),
    Case("constant-run", lambda x: x[:, torch.arange(1, 4)], randn(2, 5, 3)),
    Case("constant-steps", lambda x: x[torch.tensor([0, 2, 4])], randn(6, 3)),
    Case("constant-backwards", lambda x: x[torch.tensor([3, 2, 1, 0])], randn(4, 3)),
    Case("constant-matrix", lambda x: x[:, torch.tensor([[0, 1], [2, 3]])], randn(2, 4)),
    Case("constant-pairs", lambda x: x[torch.tensor([0, 2, 1]), torch.tensor([1, 1, 0])], randn(3, 2, 2)),
    Case("of-weight", lambda i: (torch.arange(12.0).reshape(4, 3) * 0.5)[i], integers(2, 2, low=0, high=3)),
    Case("specials", lambda x, i: x[i], specials(), torch.tensor([0, 1, 2, 3, 4, 15])),
    Case("of-integers", lambda x, i: x[i], integers(5, 2), integers(3, low=0, high=4)),
    Case("gather-middle", lambda x, i: x.gather(1, i), randn(2, 5, 3), integers(2, 4, 2, low=0, high=4)),
    Case("gather-last", lambda x, i: x.gather(-1, i), randn(2, 3, 5), integers(2, 3, 4, low=0, high=4)),
    Case("gather-fewer-rows", lambda x, i: x.gather(1, i), randn(4, 5), integers(2, 3, low=0, high=4)),
    Case("take", torch.take, randn(3, 4), integers(2, 3, low=-12, high=11)),
    Case("take-along", lambda x, i: torch.take_along_dim(x, i, dim=1), randn(2, 4, 3), integers(1, 2, 3, low=0, high=3)),
    Case("take-along-flat", lambda x, i: torch.take_along_dim(x, i), randn(2, 4), integers(5, low=0, high=7)),
    Case("one-hot-of-row", lambda i: F.one_hot(i, 4).float() * 2, integers(5, low=0, high=3)),
]
