"""DistortionNet: how a frame was damaged, patch by patch, and how a frame is cut into patches and put together again."""

from torch import nn

from .trunk import trunk

# A frame of 1080×1920 is 3×3 patches of 360×640, in rows.
ROWS, COLUMNS = 3, 3


class DistortionNet(nn.Module):
    """patches: [N, 3, 360, 640] in −1…1 → features [N, 8, 8, 128]."""

    def __init__(self):
        super().__init__()
        self.features = trunk()
        self.pool = nn.MaxPool2d((5, 13), stride=1)

    def forward(self, patches):
        return self.pool(self.features(patches)).permute(0, 2, 3, 1)


class DistortionOfPixels(nn.Module):
    """The same of patches stored pixel by pixel: [N, 360, 640, 3] in −1…1 → [N, 8, 8, 128]."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, patches):
        return self.net(patches.permute(0, 3, 1, 2).contiguous())


class MergedDistortion(nn.Module):
    """All patches of N frames, stored pixel by pixel: [9·N, 360, 640, 3] → the features of the frames [N, 24, 24, 128]."""

    def __init__(self, net):
        super().__init__()
        self.patches = DistortionOfPixels(net)

    def forward(self, patches):
        return merge(self.patches(patches))


class DistortionOfVideo(nn.Module):
    """video: [seconds, frames, 3, 1080, 1920] in −1…1 → features of the first frame of each second [seconds, 24, 24, 128]."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, video):
        return merge(self.net(split(video[:, 0])))


def split(frames):
    """[N, C, H, W] → [9·N, C, H/3, W/3]: the patches of a frame in rows, frame after frame."""
    number, channels, height, width = frames.shape
    patches = frames.reshape(number, channels, ROWS, height // ROWS, COLUMNS, width // COLUMNS)
    patches = patches.permute(0, 2, 4, 1, 3, 5).contiguous()
    return patches.reshape(number * ROWS * COLUMNS, channels, height // ROWS, width // COLUMNS)


def merge(features):
    """[9·N, h, w, C] → [N, 3·h, 3·w, C]: the features of the patches where the patches are in the frame."""
    number, height, width, channels = features.shape
    grid = features.reshape(number // (ROWS * COLUMNS), ROWS, COLUMNS, height, width, channels)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, ROWS * height, COLUMNS * width, channels)

