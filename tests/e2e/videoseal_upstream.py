"""The models as their authors wrote them: PyPI's `videoseal`, of which only the networks are imported."""

import importlib
import pathlib
import subprocess
import sys
import types

import torch

RELEASE = "1.0.1"
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "target" / f"videoseal-{RELEASE}"
# Not `videoseal`, which is the example.
PACKAGE = "videoseal_upstream_package"


def fetch():
    """Installs the release into a folder of its own, without what it depends on: training and video tools."""
    if (FOLDER / "videoseal").exists():
        return
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]
    subprocess.run([sys.executable, *words, str(FOLDER), f"videoseal=={RELEASE}"], check=True)


def part(name):
    """A module of the release, such as `modules.unet`, without the imports of its packages' `__init__`."""
    if PACKAGE not in sys.modules:
        fetch()
        for package in ("", ".modules", ".models", ".data"):
            made = sys.modules[PACKAGE + package] = types.ModuleType(PACKAGE + package)
            made.__path__ = [str(FOLDER / "videoseal" / package.lstrip("."))]
        # Of these only names are imported, for training and for networks that are not built here.
        stand_in("einops", "rearrange", "repeat")
        stand_in("timm.models.layers", "trunc_normal_", "DropPath")
        stand_in(f"{PACKAGE}.augmentation.augmenter", "Augmenter")
    return importlib.import_module(f"{PACKAGE}.{name}")


def stand_in(name, *members):
    """A module with those members and nothing in them, where the real one is not installed."""
    try:
        importlib.import_module(name)
    except ImportError:
        parents = name.split(".")
        for length in range(1, len(parents) + 1):
            sys.modules.setdefault(".".join(parents[:length]), types.ModuleType(parents[length - 1]))
        for member in members:
            setattr(sys.modules[name], member, type(member, (), {}))


def model(card):
    """The whole model of a card: embedder, detector, heat map and blending, with the names of its checkpoint."""
    norm = "rms" if card.activation is torch.nn.SiLU else "batch"
    message = part("modules.msg_processor").MsgProcessor(card.bits, card.hidden)
    unet = part("modules.unet").UNetMsg(
        msg_processor=message,
        in_channels=card.channels,
        out_channels=card.channels,
        z_channels=card.widths[0],
        num_blocks=card.blocks,
        activation="silu" if norm == "rms" else "relu",
        normalization=norm,
        z_channels_mults=[width // card.widths[0] for width in card.widths],
    )
    embedder = part("models.embedder").UnetEmbedder(unet, message)
    embedder.yuv = card.luma
    whole = part("models.wam").Wam(
        embedder,
        detector(card),
        None,
        attenuation=part("modules.jnd").JND(in_channels=1, out_channels=1) if card.attenuation else None,
        scaling_w=card.scaling_w,
        scaling_i=card.scaling_i,
    )
    return whole.eval()


def detector(card):
    extractors = part("models.extractor")
    if card.depths:
        network = part("modules.convnext").ConvNeXtV2(depths=card.depths, dims=card.dims)
        return extractors.ConvnextExtractor(network, pixel_decoder(card.dims[-1], card.bits))
    network = part("modules.vit").ImageEncoderViT(
        img_size=256,
        embed_dim=384,
        out_chans=384,
        depth=12,
        num_heads=6,
        patch_size=16,
        global_attn_indexes=[2, 5, 8, 11],
        window_size=8,
        mlp_ratio=4,
        qkv_bias=True,
        use_rel_pos=True,
    )
    return extractors.SegmentationExtractor(network, pixel_decoder(384, card.bits))


def pixel_decoder(channels, bits):
    return part("modules.pixel_decoder").PixelDecoder(embed_dim=channels, nbits=bits, upscale_stages=[1])
