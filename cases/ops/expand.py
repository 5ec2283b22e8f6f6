"""Tensors repeated along their axes, and grids."""

import torch

from case import Case, booleans, integers, randn, specials

CASES = [
    Case("rows", lambda x: x.expand(4, 3), randn(3)),
    Case("nothing", lambda x: x.expand(2, 3), randn(2, 3)),
    Case("new-axis-of-one", lambda x: x.expand(1, 2, 3), randn(2, 3)),
    Case("broadcast-to", lambda x: torch.broadcast_to(x, (2, 4, 3)), randn(2, 1, 3)),
    Case("number", lambda x: x.expand(2, 3), torch.tensor(1.5)),
    Case("integers", lambda x: x.expand(3, -1), integers(1, 2)),
    Case("booleans", lambda x: x.expand(3, 2), booleans(1, 2)),
    Case("specials", lambda x: x.expand(2, 16), specials()),
    Case("together", lambda x, y: torch.broadcast_tensors(x, y), randn(2, 1), randn(3)),
    Case("rank-5", lambda x: x.expand(2, 2, 3, 2, 2), randn(2, 1, 3, 1, 2)),
    Case("token-before-patches", lambda t, x: torch.cat([t.expand(2, -1, -1), x], 1), randn(1, 1, 3), randn(2, 4, 3)),
    Case("two-expanded", lambda x, y: x.expand(2, 3) * y.expand(2, 3), randn(3), randn(2, 1)),
    Case("repeat-rank-1", lambda x: x.repeat(3), randn(4)),
    Case("repeat-many", lambda x: x.repeat(1, 7), randn(2, 3)),
    Case("repeat-once", lambda x: x.repeat(1, 1), randn(2, 3)),
    Case("repeat-integers", lambda x: x.repeat(2, 2), integers(2, 3)),
    Case("repeat-interleave-flat", lambda x: x.repeat_interleave(3), randn(2, 3)),
    Case("repeat-interleave-first", lambda x: x.repeat_interleave(2, dim=0), randn(2, 3)),
    Case("grid", lambda x, y: torch.meshgrid(x, y, indexing="ij"), randn(2), randn(3)),
    Case("grid-xy", lambda x, y: torch.stack(torch.meshgrid(x, y, indexing="xy")), randn(2), randn(3)),
    Case("grid-of-places", lambda x: x + torch.stack(torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")), randn(2, 2, 3)),
    Case("linspace", lambda x: x * torch.linspace(-1, 1, 24), randn(2, 24)),
    Case("linspace-down", lambda x: x + torch.linspace(7.3, 0.1, 33), randn(33)),
    Case("linspace-one", lambda x: x + torch.linspace(2, 5, 1), randn(3)),
]
