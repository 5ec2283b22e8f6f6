"""Elements of another type, and tensors made from numbers."""

import torch

from case import Case, booleans, integers, randn, specials, ties

CASES = [
    Case("float-to-integer", lambda x: x.to(torch.int32), randn(3, 4, scale=5.0)),
    Case("float-to-i64", lambda x: x.long(), ties(3, 4)),
    Case("integer-to-float", lambda x: x.float(), integers(3, 4)),
    Case("i64-to-i32", lambda x: x.int(), integers(3, 4)),
    Case("boolean-to-float", lambda x: x.float(), booleans(3, 4)),
    Case("float-to-boolean", lambda x: x.bool(), ties(3, 4)),
    Case("specials-to-boolean", lambda x: x.bool(), specials()),
    Case("float-to-half-and-back", lambda x: x.half().float(), randn(3, 4)),
    Case("to-itself", lambda x: x.to(torch.float32) + 1, randn(3, 4)),
    Case("clone", lambda x: x.clone(), randn(3, 4)),
    Case("detach", lambda x: x.detach() * 2, randn(3, 4)),
    Case("dropout", lambda x: torch.nn.functional.dropout(x, 0.5, training=False), randn(3, 4)),
    Case("input-is-output", lambda x: x, randn(3, 4)),
    Case("two-outputs-alike", lambda x: (x + 1, x + 1), randn(3, 4)),
    Case("constant-output", lambda x: (x + 1, torch.arange(4)), randn(3, 4)),
    Case("unused-input", lambda x, y: y * 2, randn(3, 4), randn(2)),
    Case("zeros-like", lambda x: torch.zeros_like(x) + x, randn(3, 4)),
    Case("full", lambda x: torch.full((3, 4), 0.25) * x, randn(3, 4)),
    Case("new-ones", lambda x: x.new_ones(3, 4) - x, randn(3, 4)),
    Case("arange", lambda x: x + torch.arange(0, 2, 0.5), randn(3, 4)),
    Case("linspace", lambda x: x + torch.linspace(0, 1, 4), randn(3, 4)),
    Case("eye", lambda x: x + torch.eye(4), randn(3, 4, 4)),
    Case("scalar-tensor", lambda x: x * torch.tensor(3), randn(3, 4)),
    Case("type-as", lambda x, y: x.type_as(y) + y, integers(3, 4), randn(3, 4)),
    Case("to-device", lambda x: x.to("cpu") * 2, randn(3, 4)),
    Case("to-device-and-type", lambda x: x.to(device="cpu", dtype=torch.float32), integers(3, 4)),
    Case("ones-like", lambda x: torch.ones_like(x) - x, randn(3, 4)),
    Case("full-like", lambda x: torch.full_like(x, 0.5) * x, randn(3, 4)),
    Case("new-zeros", lambda x: x.new_zeros(3, 4) - x, randn(3, 4)),
    Case("ones", lambda x: torch.ones(3, 1) - x, randn(3, 4)),
    Case("arange-start", lambda x: x + torch.arange(1, 5), randn(3, 4)),
    Case("mesh", lambda x: x + sum(torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")), randn(3, 4)),
    Case("mesh-xy", lambda x: x + torch.meshgrid(torch.arange(4), torch.arange(3), indexing="xy")[0], randn(3, 4)),
    Case("alias", lambda x: torch.ops.aten.alias(x) + 1, randn(3, 4)),
]
