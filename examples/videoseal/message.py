"""The message, joined to the latent image."""

import torch
from torch import nn


class MessageProcessor(nn.Module):
    """The sum of one row of a table per bit, joined to every place of the latent image.

    latents [N, C, H, W] and msgs [N, bits] of 0 and 1 → [N, C + hidden, H, W]
    """

    def __init__(self, bits, hidden):
        super().__init__()
        # Rows 2i and 2i + 1 stand for bit i at 0 and at 1.
        self.msg_embeddings = nn.Embedding(2 * bits, hidden)

    def forward(self, latents, msgs):
        rows = (2 * torch.arange(msgs.shape[-1])).repeat(msgs.shape[0], 1)
        vector = self.msg_embeddings((rows + msgs).long()).sum(dim=-2)
        everywhere = vector[:, :, None, None].repeat(1, 1, latents.shape[-2], latents.shape[-1])
        return torch.cat([latents, everywhere], dim=1)
