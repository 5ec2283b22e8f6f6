"""ContentNet: what a frame shows."""

from torch import nn
from torch.nn import functional

from .trunk import trunk


class ContentNet(nn.Module):
    """frame: [N, 3, H, W] in −1…1, of any size → features [N, 8, 8, 128].

    The frame is resized to 256×256 first: bilinear between centres of pixels, with no low-pass filter before it.
    """

    def __init__(self):
        super().__init__()
        self.features = trunk()

    def forward(self, frame):
        frame = functional.interpolate(frame, (256, 256), mode="bilinear", align_corners=False)
        return self.features(frame).permute(0, 2, 3, 1)


class ContentOfPixels(nn.Module):
    """The same of a frame stored pixel by pixel: [N, H, W, 3] in −1…1 → [N, 8, 8, 128]."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, frame):
        return self.net(frame.permute(0, 3, 1, 2))
