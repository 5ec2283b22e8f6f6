"""The four published models, by name: the sizes each network has, and how a watermark is put into an image."""

import dataclasses
import math

from torch import nn

from .layers import ChannelRMSNorm


@dataclasses.dataclass(frozen=True)
class Card:
    """One model. The defaults are those of VideoSeal 1.0."""

    bits: int = 256
    # Channels that the message adds to the latent image.
    hidden: int = 256
    # Whether the embedder sees luma alone, or all of red, green and blue.
    luma: bool = True
    # Channels at full, half, quarter and eighth size.
    widths: tuple[int, ...] = (16, 32, 64, 128)
    blocks: int = 8
    activation: type[nn.Module] = nn.ReLU
    norm: type[nn.Module] = nn.BatchNorm2d
    # Whether the watermark is weighed by what the eye does not notice.
    attenuation: bool = True
    # The watermarked image is scaling_i · image + scaling_w · watermark.
    scaling_i: float = 1.0
    scaling_w: float = 0.2
    # The detector is a ConvNeXt of these depths, widths and first stride; without depths, a ViT.
    depths: tuple[int, ...] = (3, 3, 9, 3)
    dims: tuple[int, ...] = (96, 192, 384, 768)
    stem_stride: int = 4

    @property
    def channels(self):
        return 1 if self.luma else 3


def proportional(bits):
    """The widths of ConvNeXt's base model, grown so that their squares grow with the bits."""
    return tuple(int(width * math.sqrt(bits / 128)) for width in (128, 256, 512, 1024))


CARDS = {
    "1.0": Card(),
    "0.0": Card(
        bits=96,
        hidden=192,
        luma=False,
        activation=nn.SiLU,
        norm=ChannelRMSNorm,
        attenuation=False,
        scaling_w=1.0,
        depths=(),
        dims=(),
    ),
    "pixelseal": Card(widths=(32, 64, 128, 256)),
    "chunkyseal": Card(
        bits=1024,
        hidden=2048,
        luma=False,
        widths=(64, 128, 256, 512),
        depths=(3, 3, 27, 3),
        dims=proportional(1024),
        stem_stride=2,
    ),
}
