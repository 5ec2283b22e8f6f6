"""AggregationNet: one score from what a frame shows and how it was damaged."""

import torch
from torch import nn


class AggregationNet(nn.Module):
    """content: [N, 8, 8, 128], distortion: [N, 24, 24, 128] → scores [N, 1] in 1…5, the mean opinion to expect."""

    def __init__(self, drop=0.2):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((4, 4))
        self.conv1 = nn.Conv2d(256, 256, 1)
        self.ln1 = nn.LayerNorm([256, 4, 4], eps=1e-3)
        self.dropout = nn.Dropout(drop)
        self.strongest = nn.MaxPool2d(4)
        self.linear1 = nn.Linear(256, 1)

    def forward(self, content, distortion):
        maps = [self.pool(features.permute(0, 3, 1, 2)) for features in (content, distortion)]
        x = torch.relu(self.ln1(self.conv1(torch.cat(maps, dim=1))))
        x = self.dropout(self.strongest(x)).flatten(1)
        score = 3 + 2 * torch.tanh(self.linear1(x))
        # The mean over the sets of features that are scored; there is one.
        return torch.stack([score]).mean(0)
