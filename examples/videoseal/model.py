"""The embedder and the detector, each whole, from image to image and from image to bits.

Written from a specification of the architecture; names of parameters are those of the official checkpoints.
"""

import torch
from torch import nn
from torch.nn import functional

from .convnext import ConvNeXt
from .jnd import JND
from .layers import Upsample
from .message import MessageProcessor
from .unet import UNet
from .vit import ViT

# The side of the images that both networks work on; others are resized.
SIZE = 256


class Embedding(nn.Module):
    """imgs [N, 3, H, W] in 0…1 and msgs [N, bits] of 0 and 1 → the watermarked images, [N, 3, H, W] in 0…1."""

    def __init__(self, card):
        super().__init__()
        self.embedder = Embedder(card)
        self.rgb2yuv = RgbToYuv() if card.luma else None
        self.attenuation = JND() if card.attenuation else None
        self.scaling_i, self.scaling_w = card.scaling_i, card.scaling_w

    def forward(self, imgs, msgs):
        watermark = resized(self.watermark(resized(imgs, SIZE), msgs), imgs.shape[-2:])
        if self.attenuation is not None:
            watermark = self.attenuation(imgs) * watermark
        return torch.clamp(self.scaling_i * imgs + self.scaling_w * watermark, 0, 1)

    def inside(self, imgs, msgs):
        """The watermark before it is weighed, and the weights where there are any, by name."""
        found = {"preds_w": self.watermark(resized(imgs, SIZE), msgs)}
        if self.attenuation is not None:
            found["hmaps"] = self.attenuation(imgs)
        return found

    def watermark(self, imgs, msgs):
        """What is added to images of SIZE×SIZE, before it is weighed: [N, 1 or 3, SIZE, SIZE] in −1…1."""
        if self.rgb2yuv is not None:
            imgs = self.rgb2yuv(imgs)[:, 0:1]
        return self.embedder(imgs, msgs)


class Watermark(nn.Module):
    """The network alone, of a model that sees luma: imgs_y [N, 1, H, W] in 0…1 and msgs [N, bits] → the watermark."""

    def __init__(self, card):
        super().__init__()
        self.embedder = Embedder(card)

    def forward(self, imgs_y, msgs):
        return self.embedder(imgs_y, msgs)


class HeatMap(nn.Module):
    """imgs [N, 3, H, W] in 0…1 → how strongly each place hides a watermark, [N, 1, H, W]."""

    def __init__(self):
        super().__init__()
        self.attenuation = JND()

    def forward(self, imgs):
        return self.attenuation(imgs)


class Detection(nn.Module):
    """imgs [N, 3, H, W] in 0…1 → preds [N, 1 + bits]: is there a watermark, and its bits; above 0 is yes, or 1."""

    def __init__(self, card):
        super().__init__()
        self.detector = (ConvNeXtDetector if card.depths else ViTDetector)(card)

    def forward(self, imgs):
        return self.detector(resized(imgs, SIZE))


class EmbeddingOfPixels(Embedding):
    """The same of images stored pixel by pixel: imgs [N, H, W, 3] and msgs [N, bits] → [N, H, W, 3]."""

    def forward(self, imgs, msgs):
        return super().forward(imgs.permute(0, 3, 1, 2), msgs).permute(0, 2, 3, 1)

    def inside(self, imgs, msgs):
        found = super().inside(imgs.permute(0, 3, 1, 2), msgs)
        return {name: tensor.permute(0, 2, 3, 1) for name, tensor in found.items()}


class HeatMapOfPixels(HeatMap):
    """The same of images stored pixel by pixel: [N, H, W, 3] → [N, H, W, 1]."""

    def forward(self, imgs):
        return super().forward(imgs.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class DetectionOfPixels(Detection):
    """The same of images stored pixel by pixel: [N, H, W, 3] → [N, 1 + bits]."""

    def forward(self, imgs):
        return super().forward(imgs.permute(0, 3, 1, 2))


class Embedder(nn.Module):
    def __init__(self, card):
        super().__init__()
        # One module under two names, as in the checkpoints.
        self.msg_processor = MessageProcessor(card.bits, card.hidden)
        self.unet = UNet(
            self.msg_processor, card.channels, card.widths, card.hidden, card.blocks, card.activation, card.norm
        )

    def forward(self, imgs, msgs):
        return self.unet(imgs * 2 - 1, msgs)


class ConvNeXtDetector(nn.Module):
    def __init__(self, card):
        super().__init__()
        self.convnext = ConvNeXt(card.depths, card.dims, card.stem_stride)
        self.pixel_decoder = PixelDecoder(card.dims[-1], card.bits)

    def forward(self, imgs):
        return self.pixel_decoder(self.convnext(imgs * 2 - 1))


class ViTDetector(nn.Module):
    def __init__(self, card):
        super().__init__()
        self.image_encoder = ViT()
        self.pixel_decoder = PixelDecoder(ViT.CHANNELS, card.bits)

    def forward(self, imgs):
        return self.pixel_decoder(self.image_encoder(imgs * 2 - 1))


class PixelDecoder(nn.Module):
    """latents [N, C, h, w] → [N, 1 + bits]"""

    def __init__(self, channels, bits):
        super().__init__()
        # It enlarges once by 1: its convolution is what counts.
        self.output_upscaling = nn.Sequential(Upsample(channels, channels, 1, nn.GELU))
        self.linear = nn.Linear(channels, 1 + bits)

    def forward(self, latents):
        return self.linear(self.output_upscaling(latents).mean(dim=[-2, -1]))


class RgbToYuv(nn.Module):
    """[N, 3, H, W] in 0…1 → luma and two differences of colour, [N, 3, H, W]."""

    def __init__(self):
        super().__init__()
        rows = [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]]
        self.register_buffer("M", torch.tensor(rows))

    def forward(self, x):
        x = x.permute(0, 2, 3, 1).contiguous()
        return torch.matmul(x, self.M.T).permute(0, 3, 1, 2).contiguous()


def resized(imgs, size):
    """Images of that size: bilinear, with a low-pass filter where it is smaller; as they are where they have it."""
    size = (size, size) if isinstance(size, int) else tuple(size)
    if tuple(imgs.shape[-2:]) == size:
        return imgs
    return functional.interpolate(imgs, size, mode="bilinear", align_corners=False, antialias=True)
