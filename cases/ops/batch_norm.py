"""Batch normalization with the statistics it has learned."""

from torch import nn, ops

from case import Case, randn, uniform

CASES = [
    Case("two-axes", nn.BatchNorm2d(4), randn(2, 4, 3, 5)),
    Case("eps", nn.BatchNorm2d(4, eps=1e-3), randn(2, 4, 3, 5)),
    Case("large-eps", nn.BatchNorm2d(4, eps=0.5), randn(2, 4, 3, 5)),
    Case("not-affine", nn.BatchNorm2d(4, affine=False), randn(2, 4, 3, 5)),
    Case("no-statistics", nn.BatchNorm2d(4, track_running_stats=False), randn(2, 4, 3, 5)),
    Case("one-axis", nn.BatchNorm1d(4), randn(2, 4, 5)),
    Case("features", nn.BatchNorm1d(4), randn(3, 4)),
    Case("three-axes", nn.BatchNorm3d(4), randn(1, 4, 2, 3, 2)),
    Case("then-relu", nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), randn(2, 4, 3, 5)),
    Case(
        "functional",
        lambda x, w, b, m, v: (lambda y: (y[0], y[3], y[4]))(
            ops.aten._native_batch_norm_legit_functional(x, w, b, m, v, False, 0.1, 1e-5)
        ),
        randn(2, 4, 3, 5),
        randn(4),
        randn(4),
        randn(4),
        uniform(4, low=0.5, high=2.0),
    ),
]
