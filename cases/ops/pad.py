"""Tensors grown, or cut, at their ends."""

from torch import nn
from torch.nn import functional as F

from case import Case, integers, randn


def padded(pad, **options):
    return lambda x: F.pad(x, pad, **options)


CASES = [
    Case("zero", padded((1, 2, 0, 3)), randn(1, 2, 4, 5)),
    Case("zero-module", nn.ZeroPad2d((1, 2, 0, 1)), randn(1, 2, 4, 5)),
    Case("zero-of-rank-2", padded((1, 2)), randn(3, 4)),
    Case("zero-all-axes", padded((1, 0, 0, 1, 2, 0, 1, 1)), randn(1, 2, 3, 4)),
    Case("zero-rank-5", padded((1, 0, 0, 1)), randn(1, 2, 3, 2, 2)),
    Case("nothing", padded((0, 0, 0, 0)), randn(1, 2, 4, 5)),
    Case("value", padded((1, 1), value=-1.5), randn(2, 3)),
    Case("minus-infinity", padded((1, 1, 1, 1), value=float("-inf")), randn(1, 2, 3, 3)),
    Case("integers", padded((2, 1), value=7), integers(2, 3)),
    Case("negative", padded((-1, 2, 1, -2)), randn(1, 2, 5, 6)),
    Case("negative-only", padded((-1, -2)), randn(2, 7)),
    Case("reflect", nn.ReflectionPad2d(1), randn(1, 2, 4, 5)),
    Case("reflect-wide", nn.ReflectionPad2d((3, 2, 1, 3)), randn(1, 2, 4, 5)),
    Case("reflect-1d", nn.ReflectionPad1d(2), randn(1, 2, 5)),
    Case("reflect-rank-3", nn.ReflectionPad2d(1), randn(2, 4, 5)),
    Case("reflect-3d", nn.ReflectionPad3d(1), randn(1, 1, 3, 3, 4)),
    Case("replicate", nn.ReplicationPad2d(1), randn(1, 2, 4, 5)),
    Case("replicate-wide", nn.ReplicationPad2d((2, 3, 0, 2)), randn(1, 2, 4, 5)),
    Case("replicate-1d", nn.ReplicationPad1d((1, 2)), randn(1, 2, 5)),
    Case("circular", nn.CircularPad2d((1, 2, 0, 1)), randn(1, 2, 4, 5)),
    Case("circular-wide", nn.CircularPad2d((4, 3, 2, 4)), randn(1, 2, 4, 5)),
    Case("replicate-3d", nn.ReplicationPad3d(2), randn(1, 1, 2, 3, 3)),
    Case("zero-rank-6", padded((1, 0, 0, 1)), randn(1, 1, 2, 2, 2, 2)),
    Case("minus-zero", padded((1, 1), value=-0.0), randn(2, 3)),
    Case("booleans", lambda x: F.pad(x > 0, (1, 1), value=True), randn(2, 3)),
]
