"""Products of matrices, linear layers and attention."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, booleans, randn

CASES = [
    Case("linear", nn.Linear(5, 4), randn(3, 5)),
    Case("linear-no-bias", nn.Linear(5, 4, bias=False), randn(3, 5)),
    Case("linear-vector", nn.Linear(5, 4), randn(5)),
    Case("linear-rank-3", nn.Linear(5, 4), randn(2, 3, 5)),
    Case("linear-rank-4", nn.Linear(5, 4), randn(2, 3, 2, 5)),
    Case("linear-then-relu", nn.Sequential(nn.Linear(5, 4), nn.ReLU()), randn(3, 5)),
    Case("linear-weight-is-an-input", F.linear, randn(3, 5), randn(4, 5)),
    Case("matrices", torch.matmul, randn(3, 5), randn(5, 4)),
    Case("matrix-and-vector", torch.matmul, randn(3, 5), randn(5)),
    Case("vector-and-matrix", torch.matmul, randn(5), randn(5, 4)),
    Case("vectors", torch.matmul, randn(5), randn(5)),
    Case("batch", torch.matmul, randn(2, 3, 5), randn(2, 5, 4)),
    Case("batch-broadcast", torch.matmul, randn(2, 1, 3, 5), randn(4, 5, 2)),
    Case("batch-and-matrix", torch.matmul, randn(2, 3, 5), randn(5, 4)),
    Case("batch-rank-5", torch.matmul, randn(1, 2, 1, 3, 5), randn(2, 1, 2, 5, 4)),
    Case("constant-at-the-left", lambda x: torch.linspace(-1, 1, 12).reshape(3, 4) @ x, randn(2, 4, 5)),
    Case("constant-at-the-right", lambda x: x @ torch.linspace(-1, 1, 12).reshape(4, 3), randn(2, 5, 4)),
    Case("transposed", lambda x, y: x @ y.transpose(-1, -2), randn(2, 3, 5), randn(2, 4, 5)),
    Case("bmm", torch.bmm, randn(2, 3, 5), randn(2, 5, 4)),
    Case("mm", torch.mm, randn(3, 5), randn(5, 4)),
    Case("addmm", torch.addmm, randn(4), randn(3, 5), randn(5, 4)),
    Case("addmm-factors", lambda b, x, y: torch.addmm(b, x, y, beta=0.5, alpha=2), randn(4), randn(3, 5), randn(5, 4)),
    Case("baddbmm", torch.baddbmm, randn(2, 3, 4), randn(2, 3, 5), randn(2, 5, 4)),
    Case("einsum-positions", lambda q, r: torch.einsum("bhwc,hkc->bhwk", q, r), randn(2, 3, 4, 5), randn(3, 6, 5)),
    Case("einsum-outer", lambda x, y: torch.einsum("i,j->ij", x, y), randn(3), randn(4)),
    Case("attention", F.scaled_dot_product_attention, *[randn(1, 2, 4, 3)] * 3),
    Case(
        "attention-causal",
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        *[randn(1, 2, 4, 3)] * 3,
    ),
    Case(
        "attention-mask",
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        *[randn(1, 2, 4, 3)] * 3,
        randn(4, 4),
    ),
    Case(
        "attention-boolean-mask",
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m | torch.eye(4, dtype=torch.bool)),
        *[randn(1, 2, 4, 3)] * 3,
        booleans(4, 4),
    ),
    Case("attention-scale", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.3), *[randn(2, 4, 3)] * 3),
    Case("multi-head", nn.MultiheadAttention(6, 2, batch_first=True), *[randn(1, 4, 6)] * 3),
    Case("einsum-attention", lambda q, k: torch.einsum("bhid,bhjd->bhij", q, k), randn(1, 2, 3, 4), randn(1, 2, 5, 4)),
    Case("einsum-implied", lambda x, y: torch.einsum("ij,jk", x, y), randn(3, 4), randn(4, 2)),
    Case("einsum-ellipsis", lambda x, y: torch.einsum("...ij,jk->...ki", x, y), randn(2, 3, 4), randn(4, 2)),
    Case("einsum-sums", lambda x, y: torch.einsum("ijk,jl->li", x, y), randn(2, 3, 4), randn(3, 5)),
    Case("einsum-three", lambda x, y, z: torch.einsum("ij,jk,kl->il", x, y, z), randn(2, 3), randn(3, 4), randn(4, 2)),
    Case("einsum-one", lambda x: torch.einsum("bij->ji", x), randn(2, 3, 4)),
    Case("einsum-constant", lambda x: torch.einsum("bi,ij->bj", x, torch.linspace(-1, 1, 12).reshape(4, 3)), randn(2, 4)),
    Case(
        "attention-grouped",
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True, is_causal=True),
        randn(1, 4, 5, 3),
        *[randn(1, 2, 5, 3)] * 2,
    ),
    Case(
        "attention-row-without-keys",
        lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m),
        randn(1, 2, 3, 4),
        torch.tensor([[True, False, True], [False, False, False], [True, True, True]]),
    ),
    Case(
        "attention-additive-row-without-keys",
        lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m),
        randn(1, 2, 3, 4),
        torch.tensor([[0.0, 1.0, -1.0], [float("-inf")] * 3, [float("-inf"), 0.0, 0.5]]),
    ),
    Case("matrix-products-rank-6", torch.matmul, randn(1, 2, 2, 1, 3, 5), randn(1, 2, 2, 1, 5, 4)),
    Case("einsum-columns", lambda q, r: torch.einsum("bhwc,wkc->bhwk", q, r), randn(2, 3, 4, 5), randn(4, 6, 5)),
]
