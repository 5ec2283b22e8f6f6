"""The same elements in another shape."""

from case import Case, integers, randn

CASES = [
    Case("view", lambda x: x.view(2, 12), randn(2, 3, 4)),
    Case("inferred", lambda x: x.view(-1, 4), randn(2, 3, 4)),
    Case("reshape-of-transposed", lambda x: x.transpose(1, 2).reshape(2, 12), randn(2, 3, 4)),
    Case("flatten", lambda x: x.flatten(1), randn(2, 3, 4, 5)),
    Case("flatten-middle", lambda x: x.flatten(1, 2), randn(2, 3, 4, 5)),
    Case("unflatten", lambda x: x.unflatten(1, (2, 3)), randn(2, 6, 4)),
    Case("squeeze", lambda x: x.squeeze(), randn(1, 3, 1, 4)),
    Case("squeeze-axis", lambda x: x.squeeze(1), randn(2, 1, 3)),
    Case("squeeze-axis-not-one", lambda x: x.squeeze(1), randn(2, 3)),
    Case("squeeze-axes", lambda x: x.squeeze((0, 2)), randn(1, 3, 1, 4)),
    Case("unsqueeze", lambda x: x.unsqueeze(1), randn(2, 3)),
    Case("unsqueeze-last", lambda x: x.unsqueeze(-1), randn(2, 3)),
    Case("to-scalar", lambda x: x.view(()), randn(1)),
    Case("to-rank-6", lambda x: x.view(1, 2, 1, 3, 2, 2), randn(2, 3, 4)),
    Case("integers", lambda x: x.view(6), integers(2, 3)),
    Case("view-as", lambda x, y: x.view_as(y) + y, randn(6), randn(2, 3)),
    Case("contiguous", lambda x: x.transpose(0, 1).contiguous().view(6), randn(2, 3)),
    Case("reshape-as", lambda x, y: x.reshape_as(y) + y, randn(6), randn(2, 3)),
]
