"""Normalizations over the values of one sample: layer, group, instance, RMS, and to unit length."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, randn

CASES = [
    Case("layer", nn.LayerNorm(6), randn(2, 5, 6)),
    Case("layer-eps", nn.LayerNorm(6, eps=1e-6), randn(2, 5, 6)),
    Case("layer-two-axes", nn.LayerNorm([5, 6]), randn(2, 3, 5, 6)),
    Case("layer-not-affine", nn.LayerNorm(6, elementwise_affine=False), randn(2, 5, 6)),
    Case("layer-no-bias", nn.LayerNorm(6, bias=False), randn(2, 5, 6)),
    Case("layer-far-from-zero", lambda x: F.layer_norm(x + 30, (6,)), randn(2, 5, 6)),  # beyond, PyTorch is off
    Case("layer-nearly-constant", lambda x: F.layer_norm(x, (6,)), randn(2, 5, 6, scale=1e-4)),
    Case("layer-vector", nn.LayerNorm(6), randn(6)),
    Case("layer-nhwc", nn.LayerNorm(4), randn(1, 3, 5, 4)),
    Case("layer-of-permuted", lambda x: F.layer_norm(x.movedim(1, -1), (4,)).movedim(-1, 1), randn(1, 4, 3, 5)),
    Case("channels-first-by-hand", lambda x: channels_first(x), randn(2, 4, 3, 5)),
    Case("group", nn.GroupNorm(2, 6), randn(2, 6, 3, 4)),
    Case("group-of-one", nn.GroupNorm(1, 6), randn(2, 6, 3, 4)),
    Case("group-not-affine", nn.GroupNorm(3, 6, affine=False), randn(1, 6, 3, 4)),
    Case("group-of-vectors", nn.GroupNorm(2, 6), randn(3, 6)),
    Case("instance", nn.InstanceNorm2d(4), randn(2, 4, 3, 5)),
    Case("instance-affine", nn.InstanceNorm2d(4, affine=True), randn(2, 4, 3, 5)),
    Case("rms", nn.RMSNorm(6), randn(2, 5, 6)),
    Case("rms-eps", nn.RMSNorm(6, eps=1e-3), randn(2, 5, 6)),
    Case("unit-length", lambda x: F.normalize(x, dim=1), randn(2, 4, 3, 5)),
    Case("unit-length-of-zero", lambda x: F.normalize(x * 0, dim=1), randn(2, 4)),
    Case("vector-norm", lambda x: torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True), randn(2, 3, 4, 5)),
    Case("vector-norm-1", lambda x: torch.linalg.vector_norm(x, ord=1, dim=-1), randn(2, 3, 4)),
]


def channels_first(x):
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-6)
