"""The example's own definition of VideoSeal: it computes what its authors' computes, and takes their checkpoints."""

import os
import subprocess
import sys

import pytest
import torch

import harness
import videoseal_upstream as upstream
from edgewright import tensors
from videoseal import inputs, variants, weights
from videoseal.cards import CARDS
from videoseal.model import Detection, Embedding
from videoseal_models import CHUNKY_MINI_DETECTOR, CHUNKY_MINI_EMBEDDER

# The release knows nothing of ChunkySeal's detector; its embedder is a U-Net like the others.
EMBEDDERS = {name: CARDS[name] for name in ("0.0", "1.0", "pixelseal")} | {"chunkyseal, small": CHUNKY_MINI_EMBEDDER}
# Both compute the same operations in float32 in nearly the same order: a rounding of the last bit at most, where a
# scale is multiplied in another place, grown by the depth.
SAME = 1e-6


def embedding(card):
    """Seeded weights with the statistics of one small batch, which is enough here and ten times as fast."""

    def run(seed):
        return inputs.image(seed, 64), inputs.message(card.bits, seed)

    batch = [torch.cat(column) for column in zip(*[run(seed) for seed in range(100, 106)])]
    return weights.seeded(lambda: Embedding(card), batch)


@pytest.mark.parametrize("name, size", [*[(name, (256, 256)) for name in EMBEDDERS], ("1.0", (300, 180))])
@torch.no_grad()
def test_embedders_equal_the_authors(name, size):
    card = EMBEDDERS[name]
    ours, theirs = embedding(card), upstream.model(card)
    missing, unexpected = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert not unexpected and all(key.startswith(("detector.", "rgb2yuv.")) for key in missing)
    imgs = inputs.image(3, 300)[:, :, : size[0], : size[1]]
    msgs = inputs.message(card.bits, 3)
    reference = theirs.embed(imgs, msgs)["imgs_w"]
    assert (reference - imgs).abs().max() > 1e-3, "there is no watermark to compare"
    assert (ours(imgs, msgs) - reference).abs().max() <= SAME


@torch.no_grad()
def test_heat_maps_equal_the_authors():
    theirs = upstream.part("modules.jnd").JND(in_channels=1, out_channels=1)
    imgs = inputs.image(3)
    reference = theirs.heatmaps(imgs)
    assert reference.max() > 20 * reference.min()
    assert torch.equal(variants.heat_map().build()(imgs), reference)


@pytest.mark.parametrize("name", ["0.0", "1.0"])
@torch.no_grad()
def test_detectors_equal_the_authors(name):
    card = CARDS[name]
    ours, theirs = variants.detector(card).build(), upstream.detector(card).eval()
    theirs.load_state_dict(ours.detector.state_dict())
    imgs = inputs.image(3)
    reference = theirs(imgs)
    assert (ours(imgs) - reference).abs().max() <= SAME * reference.abs().max()


def published_names(name):
    """The names and shapes of an official checkpoint, of which a text file has one per line."""
    lines = (harness.MODELS / f"{name}_keys.txt").read_text().split("\n")
    rows = [line.split() for line in lines if line]
    return {key: [int(size) for size in sizes] for key, *sizes in rows}


def test_chunkyseal_has_the_published_names():
    """The release lacks this model, so its names and shapes are held against those of its checkpoint."""
    card = CARDS["chunkyseal"]
    with torch.device("meta"):
        parts = [Embedding(card), Detection(card)]
    own = {key: list(tensor.shape) for part in parts for key, tensor in part.state_dict().items()}
    # Only the embedders on luma need this matrix; every checkpoint holds it.
    assert own | {"rgb2yuv.M": [3, 3]} == published_names("chunkyseal")


@pytest.fixture
def checkpoint(tmp_path):
    """A file with the layout of an official checkpoint: both networks, the constants, and what training left."""
    card = CHUNKY_MINI_EMBEDDER
    torch.manual_seed(7)
    state = {**Embedding(card).state_dict(), **Detection(CHUNKY_MINI_DETECTOR).state_dict()}
    state["rgb2yuv.M"] = torch.eye(3)
    path = tmp_path / "checkpoint.pth"
    content = {"model": state, "args": {"nbits": card.bits, "attenuation": "jnd_1_1"}, "optimizer": {"step": 3}}
    torch.save(content, path)
    return path, content


def test_a_checkpoint_fills_each_part(checkpoint):
    path, content = checkpoint
    for part in (Embedding(CHUNKY_MINI_EMBEDDER), Detection(CHUNKY_MINI_DETECTOR)):
        filled = weights.load(part, path)
        assert not filled.training
        assert all(torch.equal(tensor, content["model"][key]) for key, tensor in filled.state_dict().items())


def test_all_that_differs_in_a_checkpoint_is_told_at_once(checkpoint):
    path, content = checkpoint
    state = content["model"]
    del state["embedder.unet.outc.bias"], state["attenuation.conv_x.weight"]
    state["embedder.unet.more"] = torch.zeros(1)
    state["blender.more"] = torch.zeros(1)
    state["embedder.unet.outc.weight"] = torch.zeros(2, 16, 1, 1)
    torch.save(content, path)
    with pytest.raises(RuntimeError) as told:
        weights.load(Embedding(CHUNKY_MINI_EMBEDDER), path)
    for name in ("unet.outc.bias", "unet.outc.weight", "embedder.unet.more", "blender.more"):
        assert name in str(told.value)
    assert "conv_x" not in str(told.value), "a constant may be left out"


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "bare.pth"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(RuntimeError, match="is not a checkpoint of these models"):
        weights.load(Embedding(CHUNKY_MINI_EMBEDDER), path)


EXPORT = harness.EXAMPLES / "videoseal" / "export.py"


def export(folder, *words):
    return subprocess.run(
        [sys.executable, str(EXPORT), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(harness.ROOT / "python")},
        capture_output=True,
        text=True,
    )


def test_export_with_a_checkpoint(tmp_path):
    """The script on a checkpoint of VideoSeal 0.0, of which the detector is asked for."""
    module = variants.detector(CARDS["0.0"]).build()
    with torch.no_grad():
        module.detector.pixel_decoder.linear.bias.fill_(0.25)
    state = {**module.state_dict(), "embedder.unet.outc.bias": torch.zeros(3), "rgb2yuv.M": torch.eye(3)}
    torch.save({"model": state, "args": {"nbits": 96}}, tmp_path / "official.pth")
    done = export(tmp_path, "--model", "0.0", "--part", "detector", "--checkpoint", "official.pth")
    assert done.returncode == 0, done.stderr
    recorded = tensors.load(tmp_path / "videoseal_0.0_detector.safetensors")
    with torch.no_grad():
        assert torch.equal(module(recorded["input.0"]), recorded["output.0"])
    assert (tmp_path / "videoseal_0.0_detector.pt2").exists()

    wrong = export(tmp_path, "--model", "1.0", "--part", "detector", "--checkpoint", "official.pth", "-o", "no.pt2")
    assert wrong.returncode == 1 and "official.pth" in wrong.stderr and "convnext.stages" in wrong.stderr
    assert "Traceback" not in wrong.stderr and not (tmp_path / "no.pt2").exists()


def test_export_of_the_heat_map(tmp_path):
    done = export(tmp_path, "--model", "1.0", "--part", "jnd", "--nhwc")
    assert done.returncode == 0, done.stderr
    recorded = tensors.load(tmp_path / "videoseal_1.0_jnd_nhwc.safetensors")
    assert list(recorded["input.0"].shape) == [1, 256, 256, 3]
    assert list(recorded["output.0"].shape) == [1, 256, 256, 1]
    refused = export(tmp_path, "--model", "0.0", "--part", "jnd")
    assert refused.returncode == 1 and "no heat map" in refused.stderr
