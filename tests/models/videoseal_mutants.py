"""What the owners of VideoSeal did wrong when they converted it, made to our models in PyTorch: none may pass as right."""

from torch import nn


def constant_attenuation(model):
    """A watermark weighed by 0.11 everywhere in place of the heat map."""
    model.attenuation = Constant()


def scaled_twice(model):
    """Images that are brought from 0…1 to −1…1 before a network that does so itself."""
    name = "embedder" if hasattr(model, "embedder") else "detector"
    setattr(model, name, Scaled(getattr(model, name)))


def transposed_windows(model):
    """Windows whose rows are taken for columns."""
    for block in model.detector.image_encoder.blocks:
        if block.window:
            block.attn = Transposed(block.attn)


def no_windows(model):
    """Attention over the whole image in every block, which knows of no positions."""
    for block in model.detector.image_encoder.blocks:
        block.window = None
        for table in (block.attn.rel_pos_h, block.attn.rel_pos_w):
            table.data.zero_()


class Constant(nn.Module):
    def forward(self, imgs):
        return 0.11


class Scaled(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, imgs, *rest):
        return self.inner(2 * imgs - 1, *rest)


class Transposed(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.transpose(1, 2)).transpose(1, 2)
