"""The embedder of VideoSeal 1.0: a U-Net that turns a luma image and a message into a watermark.

Written from a specification of the architecture; names of parameters are those of the official checkpoints.
"""

import torch
from torch import nn


class EmbedderCore(nn.Module):
    """imgs_y: [N, 1, H, W] in 0…1; msgs: [N, bits] of 0 and 1. Gives the watermark [N, 1, H, W] in -1…1."""

    def __init__(self, bits=256, hidden=256, widths=(16, 32, 64, 128), blocks=8):
        super().__init__()
        self.embedder = Embedder(bits, hidden, widths, blocks)

    def forward(self, imgs_y, msgs):
        return self.embedder(imgs_y, msgs)


class Embedder(nn.Module):
    def __init__(self, bits, hidden, widths, blocks):
        super().__init__()
        # One module under two names, as in the checkpoints.
        self.msg_processor = MessageProcessor(bits, hidden)
        self.unet = UNet(self.msg_processor, hidden, widths, blocks)

    def forward(self, imgs, msgs):
        return self.unet(imgs * 2 - 1, msgs)


class MessageProcessor(nn.Module):
    """The sum of one row of a table per bit, joined to every place of the latent image."""

    def __init__(self, bits, hidden):
        super().__init__()
        self.msg_embeddings = nn.Embedding(2 * bits, hidden)

    def forward(self, latents, msgs):
        rows = (2 * torch.arange(msgs.shape[-1])).unsqueeze(0).repeat(msgs.shape[0], 1)
        vector = self.msg_embeddings((rows + msgs).long()).sum(dim=-2)
        everywhere = vector.unsqueeze(-1).unsqueeze(-1).repeat(1, 1, latents.shape[-2], latents.shape[-1])
        return torch.cat([latents, everywhere], dim=1)


class UNet(nn.Module):
    def __init__(self, msg_processor, hidden, widths, blocks):
        super().__init__()
        z0, z1, z2, z3 = widths
        wide = z3 + hidden
        self.msg_processor = msg_processor
        self.inc = Residual(1, z0)
        self.downs = nn.ModuleList([Down(z0, z1), Down(z1, z2), Down(z2, z3)])
        self.bottleneck = Bottleneck(wide, blocks)
        self.ups = nn.ModuleList([Up(2 * wide, z2), Up(2 * z2, z1), Up(2 * z1, z0)])
        self.outc = nn.Conv2d(z0, 1, 1)

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
    def __init__(self, channels, blocks):
        super().__init__()
        self.model = nn.Sequential(*[Residual(channels, channels) for _ in range(blocks)])

    def forward(self, x):
        return self.model(x)


class Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )
        self.res_conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.double_conv(x) + self.res_conv(x)


class Down(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.down = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.conv = Residual(outputs, outputs)

    def forward(self, x):
        return self.conv(self.down(x))


class Up(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.up = Upsample(inputs, outputs, nn.ReLU())
        self.conv = Residual(outputs, outputs)

    def forward(self, x):
        return self.conv(self.up(x))


class Upsample(nn.Module):
    """Twice the size: bilinear, reflection pad, convolution, norm over channels, activation."""

    def __init__(self, inputs, outputs, activation):
        super().__init__()
        self.upsample_block = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.ReflectionPad2d(1),
            nn.Conv2d(inputs, outputs, 3, bias=False),
            ChannelNorm(outputs),
            activation,
        )

    def forward(self, x):
        return self.upsample_block(x)


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of each place of an image [N, C, H, W]."""

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


class GlobalResponseNorm(nn.Module):
    """Each channel of [N, H, W, C] weighed by its share of the image's energy."""

    def __init__(self, channels, eps=1e-6):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.eps = eps

    def forward(self, x):
        energy = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        share = energy / (energy.mean(dim=-1, keepdim=True) + self.eps)
        return self.gamma * (x * share) + self.beta + x


class ConvNeXtBlock(nn.Module):
    """A block of the 1.0 detector: depthwise convolution, then two linear layers over channels, and the sum."""

    def __init__(self, channels):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.grn = GlobalResponseNorm(4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.grn(self.act(self.pwconv1(self.norm(y))))
        return x + self.pwconv2(y).permute(0, 3, 1, 2)

