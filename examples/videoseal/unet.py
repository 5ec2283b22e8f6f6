"""The U-Net that turns an image and a message into a watermark."""

import torch
from torch import nn

from .layers import Upsample


class UNet(nn.Module):
    """imgs [N, C, H, W] in −1…1 and msgs [N, bits] of 0 and 1 → the watermark [N, C, H, W] in −1…1.

    H and W are multiples of 8. The message joins at an eighth of the size.
    """

    def __init__(self, msg_processor, channels, widths, hidden, blocks, activation, norm):
        super().__init__()
        z0, z1, z2, z3 = widths
        wide = z3 + hidden
        style = (activation, norm)
        self.msg_processor = msg_processor
        self.inc = Residual(channels, z0, *style)
        self.downs = nn.ModuleList([Down(z0, z1, *style), Down(z1, z2, *style), Down(z2, z3, *style)])
        self.bottleneck = Bottleneck(wide, blocks, *style)
        self.ups = nn.ModuleList([Up(2 * wide, z2, *style), Up(2 * z2, z1, *style), Up(2 * z1, z0, *style)])
        self.outc = nn.Conv2d(z0, channels, 1)

    def forward(self, imgs, msgs):
        x = self.inc(imgs)
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        # The narrowest skip is taken after the message has joined; the widest, of `inc`, is not used.
        x = skips[-1] = self.msg_processor(x, msgs)
        x = self.bottleneck(x)
        for up in self.ups:
            x = up(torch.cat([x, skips.pop() * 2**-0.5], dim=1))
        return torch.tanh(self.outc(x))


class Bottleneck(nn.Module):
    def __init__(self, channels, blocks, activation, norm):
        super().__init__()
        self.model = nn.Sequential(*[Residual(channels, channels, activation, norm) for _ in range(blocks)])

    def forward(self, x):
        return self.model(x)


class Residual(nn.Module):
    """Two convolutions of 3×3, each with norm and activation, beside one of 1×1: their sum."""

    def __init__(self, inputs, outputs, activation, norm):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            norm(outputs),
            activation(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            norm(outputs),
            activation(),
        )
        self.res_conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.double_conv(x) + self.res_conv(x)


class Down(nn.Module):
    """Half the size."""

    def __init__(self, inputs, outputs, activation, norm):
        super().__init__()
        self.down = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.conv = Residual(outputs, outputs, activation, norm)

    def forward(self, x):
        return self.conv(self.down(x))


class Up(nn.Module):
    """Twice the size."""

    def __init__(self, inputs, outputs, activation, norm):
        super().__init__()
        self.up = Upsample(inputs, outputs, 2, activation)
        self.conv = Residual(outputs, outputs, activation, norm)

    def forward(self, x):
        return self.conv(self.up(x))
