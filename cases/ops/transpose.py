"""Axes in a new order."""

from torch.nn import functional as F

from case import Case, integers, randn

CASES = [
    Case("permute", lambda x: x.permute(0, 2, 3, 1), randn(2, 3, 4, 5)),
    Case("permute-back", lambda x: x.permute(0, 2, 3, 1).relu().permute(0, 3, 1, 2), randn(2, 3, 4, 5)),
    Case("transpose", lambda x: x.transpose(1, 2), randn(2, 3, 4)),
    Case("transpose-negative", lambda x: x.transpose(-1, 0), randn(2, 3, 4)),
    Case("matrix", lambda x: x.t(), randn(2, 3)),
    Case("property", lambda x: x.mT, randn(2, 3, 4)),
    Case("move-axis", lambda x: x.moveaxis(0, -1), randn(2, 3, 4)),
    Case("move-axes", lambda x: x.movedim((0, 3), (2, 0)), randn(2, 3, 4, 5)),
    Case("swap-dims", lambda x: x.swapdims(0, 2), randn(2, 3, 4)),
    Case("integers", lambda x: x.permute(1, 0), integers(2, 3)),
    Case("nothing", lambda x: x.permute(0, 1, 2), randn(2, 3, 4)),
    Case("ones-moved", lambda x: x.permute(2, 0, 1), randn(1, 3, 1)),
    Case("rank-5", lambda x: x.permute(0, 3, 1, 4, 2), randn(1, 2, 3, 4, 5)),
    Case("rank-6-windows", lambda x: windows(x), randn(1, 4, 6, 3)),
    Case("shuffle-channels", lambda x: x.view(1, 2, 3, 4, 5).transpose(1, 2).reshape(1, 6, 4, 5), randn(1, 6, 4, 5)),
    Case("swap-axes", lambda x: x.swapaxes(0, 2), randn(2, 3, 4)),
    Case("then-linear", lambda x, w: F.linear(x.transpose(1, 2), w), randn(2, 3, 4), randn(5, 3)),
]


def windows(x):
    """[N, H, W, C] cut into windows of 2×2, as window attention does."""
    n, h, w, c = x.shape
    return x.view(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 2, 2, c)
