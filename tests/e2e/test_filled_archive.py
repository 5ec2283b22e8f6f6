"""A retrained model without a new export: the archive with other weights is what PyTorch reads, and what is compiled."""

import torch

import harness
from catalog import MODELS


def retrained(name):
    """The model with other weights, as a checkpoint's dict would hold them, and one of its inputs."""
    model = MODELS[name]
    module, inputs = model.build(), model.inputs(3)
    torch.manual_seed(5)
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.mul_(1 + 0.2 * torch.rand(value.shape))
    state = {f"module.{key}": stored(value) for key, value in module.state_dict().items()}
    return module, inputs, {"model": state}


def stored(value):
    """A checkpoint may store a weight in another order than the archive."""
    return value.to(memory_format=torch.channels_last) if value.dim() == 4 else value


def test_pytorch_loads_the_filled_archive(tmp_path):
    archive = harness.exported("resnet18")
    module, inputs, checkpoint = retrained("resnet18")
    torch.save(checkpoint, tmp_path / "tuned.pth")
    filled, words = tmp_path / "filled.pt2", ("--weights", tmp_path / "tuned.pth", "--strip-prefix", "model.module.")
    outcome = harness.run_program("weights", "fill", archive, *words, "-o", filled)
    assert outcome.code == 0, outcome.stderr
    assert outcome.peak < 100 << 20
    with torch.no_grad():
        assert torch.equal(torch.export.load(filled).module()(*inputs), module(*inputs))

    harness.convert(filled, tmp_path / "filled.tflite", "--check-sums")
    harness.convert(archive, tmp_path / "given.tflite", *words)
    assert (tmp_path / "filled.tflite").read_bytes() == (tmp_path / "given.tflite").read_bytes()
