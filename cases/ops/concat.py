"""Tensors joined: end to end, stacked, repeated."""

import torch

from case import Case, integers, randn

CASES = [
    Case("channels", lambda x, y: torch.cat([x, y], dim=1), randn(1, 2, 3, 4), randn(1, 3, 3, 4)),
    Case("last-axis", lambda x, y: torch.cat([x, y], dim=-1), randn(2, 3), randn(2, 1)),
    Case("first-axis", lambda x, y, z: torch.cat([x, y, z]), randn(2, 3), randn(1, 3), randn(4, 3)),
    Case("with-itself", lambda x: torch.cat([x, x], dim=1), randn(2, 3)),
    Case("one", lambda x: torch.cat([x], dim=1), randn(2, 3)),
    Case("with-constant", lambda x: torch.cat([x, torch.arange(6.0).reshape(2, 3)]), randn(2, 3)),
    Case("with-empty", lambda x: torch.cat([x, x[:, :0]], dim=1), randn(2, 3)),
    Case("mixed", lambda x, y: torch.cat([x, y]), randn(2, 3), integers(1, 3)),
    Case("integers", lambda x, y: torch.cat([x, y]), integers(2, 3), integers(1, 3)),
    Case("stack", lambda x, y: torch.stack([x, y], dim=1), randn(2, 3), randn(2, 3)),
    Case("stack-last", lambda x, y: torch.stack([x, y], dim=-1), randn(2, 3), randn(2, 3)),
    Case("repeat", lambda x: x.repeat(2, 3), randn(2, 3)),
    Case("repeat-more-axes", lambda x: x.repeat(2, 1, 3), randn(2, 3)),
    Case("repeat-over-image", lambda x: x[:, :, None, None].repeat(1, 1, 4, 5), randn(2, 3)),
    Case("repeat-interleave", lambda x: x.repeat_interleave(2, dim=1), randn(2, 3)),
    Case("tile", lambda x: torch.tile(x, (2, 2)), randn(2, 3)),
    Case("expand", lambda x: x.expand(2, 3, 4), randn(3, 1)),
    Case("expand-then-add", lambda x, y: x.expand(-1, 3, -1) + y, randn(2, 1, 4), randn(2, 3, 4)),
    Case("expand-as", lambda x, y: x.expand_as(y) * y, randn(3, 1), randn(2, 3, 4)),
]
