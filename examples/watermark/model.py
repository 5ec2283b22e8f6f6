"""A small network that hides a message in an image: a U-Net with a message joined to its narrowest part."""

import torch
from torch import nn


class Embedder(nn.Module):
    """Adds a faint pattern that carries `bits` bits to a luma image.

    image: [N, 1, H, W] in 0…1, H and W multiples of 4; message: [N, bits] of 0 and 1. Gives [N, 1, H, W] in 0…1.
    """

    def __init__(self, bits=16, width=4, hidden=16, strength=0.2):
        super().__init__()
        self.strength = strength
        self.message = Message(bits, hidden)
        self.first = Residual(1, width)
        self.down = nn.Sequential(Down(width, 2 * width), Down(2 * width, 4 * width))
        self.middle = nn.Sequential(*[Residual(4 * width + hidden, 4 * width + hidden) for _ in range(2)])
        self.up1 = Up(4 * width + hidden, 2 * width)
        self.up2 = Up(2 * width + 2 * width, width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, image, message):
        fine = self.first(2 * image - 1)
        middling = self.down[0](fine)
        coarse = self.down[1](middling)
        x = self.middle(self.message(coarse, message))
        x = self.up1(x)
        x = self.up2(join(x, middling))
        watermark = torch.tanh(self.last(x))
        return blend(image, watermark, self.strength)


class Message(nn.Module):
    """Looks up a vector for each bit, sums them, and joins the sum to every place of the latent image."""

    def __init__(self, bits, hidden):
        super().__init__()
        self.table = nn.Embedding(2 * bits, hidden)

    def forward(self, latent, message):
        rows = 2 * torch.arange(message.shape[-1], device=message.device) + message
        vector = self.table(rows.long()).sum(dim=1)
        everywhere = vector[:, :, None, None].repeat(1, 1, latent.shape[-2], latent.shape[-1])
        return torch.cat([latent, everywhere], dim=1)


class Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )
        self.short = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.body(x) + self.short(x)


class Down(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.downscale = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.residual = Residual(outputs, outputs)

    def forward(self, x):
        return self.residual(self.downscale(x))


class Up(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.upscale = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.pad = nn.ReflectionPad2d(1)
        self.conv = nn.Conv2d(inputs, outputs, 3, bias=False)
        self.norm = ChannelNorm(outputs)
        self.residual = Residual(outputs, outputs)

    def forward(self, x):
        x = self.conv(self.pad(self.upscale(x)))
        return self.residual(torch.relu(self.norm(x)))


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of each pixel."""

    def __init__(self, channels, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


def join(x, skip):
    """Both along the channels, the skip connection with 1/√2 of its weight."""
    return torch.cat([x, skip * 2**-0.5], dim=1)


def blend(image, watermark, strength):
    return (image + strength * watermark).clamp(0, 1)
