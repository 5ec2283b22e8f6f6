"""How strongly each place of an image hides a watermark: the just noticeable difference of luminance and contrast."""

import torch
from torch import nn

# Horizontal and vertical slope (Sobel), and the surroundings of a place, nearer ones twice.
SLOPE_X = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
SLOPE_Y = [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]
SURROUNDINGS = [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 2, 0, 2, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]


class JND(nn.Module):
    """imgs [N, 3, H, W] in 0…1 → heat maps [N, 1, H, W], some 0.00003 to 0.13.

    Wu et al., "Enhanced Just Noticeable Difference Model for Images With Pattern Complexity", 2017.
    """

    def __init__(self):
        super().__init__()
        self.conv_x = fixed(SLOPE_X)
        self.conv_y = fixed(SLOPE_Y)
        self.conv_lum = fixed(SURROUNDINGS)

    def forward(self, imgs):
        imgs = 255 * imgs
        shares = torch.tensor([0.299, 0.587, 0.114])
        luma = shares[0] * imgs[:, 0:1] + shares[1] * imgs[:, 1:2] + shares[2] * imgs[:, 2:3]
        luminance, contrast = self.luminance(luma), self.contrast(luma)
        heat = torch.clamp_min(luminance + contrast - 0.3 * torch.minimum(luminance, contrast), 0)
        return heat / 255

    def luminance(self, luma):
        """What is not noticed where the surroundings of a place are very dark or very bright: luma in 0…255."""
        level = self.conv_lum(luma) / 32
        dark = level <= 127
        level[dark] = 17 * (1 - torch.sqrt(level[dark] / 127 + 1e-5))
        level[~dark] = 3 / 128 * (level[~dark] - 127) + 3
        return level

    def contrast(self, luma):
        """What is not noticed where the image changes strongly: luma in 0…255."""
        slope = torch.sqrt(self.conv_x(luma) ** 2 + self.conv_y(luma) ** 2)
        return 0.117 * (16 * slope**2.4 / (slope**2 + 26**2))


def fixed(kernel):
    """A convolution of one channel, "same" in size, whose kernel is not trained."""
    size = len(kernel)
    conv = nn.Conv2d(1, 1, size, padding=size // 2, bias=False)
    conv.weight = nn.Parameter(torch.tensor(kernel, dtype=torch.float32)[None, None], requires_grad=False)
    return conv
