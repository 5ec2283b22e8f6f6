"""UVQ whole: its nine archives on LiteRT, what its owners did wrong, and a checkpoint of a user's."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

import harness
from catalog import MODELS
from uvq import distortion, weights

NEVER = ("GATHER", "GATHER_ND", "BROADCAST_TO", "CUSTOM", "STABLEHLO_COMPOSITE")
# The operators that a converted model may have. The trunk has 234; beyond it stand the pool, three operators that
# merge nine patches, four that cut a frame into them, and the resize and transpose of a frame given as in PyTorch.
OPERATORS = {
    "uvq_aggregation": 20,
    "uvq_content": 235,
    "uvq_content_1080p": 236,
    "uvq_distortion_1patch": 235,
    "uvq_distortion_3patch": 235,
    "uvq_distortion_9patch": 235,
    "uvq_distortion_9agg": 238,
    "uvq_distortion_frame": 242,
    "uvq_full": 498,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_model(name, converted):
    archive, target = harness.exported(name), converted(name)
    found = harness.margins(target, archive)
    assert len(found) == 4 and all(margin.holds for margin in found.values()), found

    facts = harness.facts(target)
    count = sum(facts.operators.values())
    print(f"{name}: {count} operators, {facts.transposes} TRANSPOSE, rank {facts.rank}")
    assert count <= OPERATORS[name], facts.operators
    assert not [operator for operator in NEVER if operator in facts.operators], facts.operators
    # A video is given with five axes.
    interface = max(tensor.dim() for tensor in harness.of_kind(harness.runs(archive)[0], "input"))
    inside = [int(rank) for rank, number in harness.inspected(target)["ranks"].items() if number > 0]
    assert sorted(inside)[-1] == max(interface, 4) and sum(rank > 4 for rank in inside) == (interface > 4), inside


def test_patches_merged_in_the_file_are_those_merged_outside(converted):
    (run, _) = harness.runs(harness.exported("uvq_distortion_9patch"))
    for kernels in harness.KERNELS:
        [patches] = harness.execute(converted("uvq_distortion_9patch"), [run["input.0"]], kernels)
        [merged] = harness.execute(converted("uvq_distortion_9agg"), [run["input.0"]], kernels)
        assert torch.equal(merged, distortion.merge(patches))


class Merge(nn.Module):
    """The features of nine patches, merged by a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, features):
        return self.function(features)


def transposed_in_patch(features):
    """A mistake: rows and columns exchanged within each patch."""
    return distortion.merge(features.transpose(1, 2))


def interleaved_rows(features):
    """A mistake: the first rows of the patches, then their second rows, and so on."""
    return features.reshape(3, 3, 8, 8, 128).permute(2, 0, 1, 3, 4).reshape(1, 24, 24, 128)


# The share of places that are right by chance: those on the diagonals of patches; two rows in twenty-four.
@pytest.mark.parametrize("wrong, share", [(transposed_in_patch, 1 / 8), (interleaved_rows, 1 / 12)])
def test_a_wrong_merge_fails_verification(wrong, share, tmp_path):
    """The two ways in which the owners' wrappers merged patches, beside the recorded run of the right one."""
    drawn = torch.randn(9, 8, 8, 128, generator=torch.Generator().manual_seed(0))
    right, mistaken = distortion.merge(drawn), wrong(drawn)
    assert (right == mistaken).float().mean().item() == pytest.approx(share)
    # Numbers that are drawn one by one agree where they are the same, and nowhere else.
    correlation = torch.corrcoef(torch.stack([right.flatten(), mistaken.flatten()]))[0, 1].item()
    assert correlation == pytest.approx(share, abs=0.02)

    features = harness.runs(harness.exported("uvq_distortion_9patch"))[0]["output.0"]
    right = distortion.merge(features)
    margin = harness.margin(wrong(features), right, right)
    print(f"{wrong.__name__}: correlation {correlation:.3f}; of recorded features: {margin}")
    assert not margin.holds

    archive, target = tmp_path / "merge.pt2", tmp_path / "merge.tflite"
    harness.edgewright.export(Merge(distortion.merge).eval(), (features,), archive)
    harness.convert(archive, target, "--verify")
    recorded = archive.with_suffix(".safetensors").read_bytes()
    harness.edgewright.export(Merge(wrong).eval(), (features,), archive)
    archive.with_suffix(".safetensors").write_bytes(recorded)
    target.unlink()
    outcome = harness.run_program("convert", archive, "-o", target, "--verify")
    assert outcome.code == 1 and "FAIL" in outcome.stdout, outcome


@torch.no_grad()
def test_another_resize_before_content_is_over_the_bar():
    """Bicubic in the place of bilinear, as the owners' application had it; bilinear with a low-pass filter too."""
    net = weights.content_net()
    for run in harness.runs(harness.exported("uvq_content_1080p")):
        same = {"mode": "bilinear"}
        for words in (same, {"mode": "bicubic"}, {"mode": "bilinear", "antialias": True}):
            frame = functional.interpolate(run["input.0"], (256, 256), align_corners=False, **words)
            margin = harness.margin(net(frame), run["output.0"], run["reference64.0"])
            print(f"{words}: {margin}")
            assert margin.holds == (words is same)


def test_an_interface_with_channels_last(tmp_path):
    """What has its channels last stays so; a frame given as in PyTorch is given pixel by pixel."""
    shapes = {
        "uvq_aggregation": [[1, 8, 8, 128], [1, 24, 24, 128]],
        "uvq_content_1080p": [[1, 1080, 1920, 3]],
        "uvq_distortion_3patch": [[3, 360, 640, 3]],
    }
    for name, expected in shapes.items():
        target = tmp_path / f"{name}.tflite"
        outcome = harness.convert(
            harness.exported(name), target, "--io-layout", "nhwc", "--verify", "--runtime", "litert"
        )
        assert "PASS" in outcome.stdout
        interpreter = harness.Interpreter(model_path=str(target))
        assert [list(detail["shape"]) for detail in interpreter.get_input_details()] == expected
        assert harness.facts(target).transposes == 0


def test_keys_are_those_of_the_published_checkpoints():
    aggregation = {name: list(tensor.shape) for name, tensor in weights.AggregationNet().state_dict().items()}
    assert aggregation == {
        "conv1.weight": [256, 256, 1, 1],
        "conv1.bias": [256],
        "ln1.weight": [256, 4, 4],
        "ln1.bias": [256, 4, 4],
        "linear1.weight": [1, 256],
        "linear1.bias": [1],
    }
    content, damage = weights.ContentNet(), weights.DistortionNet()
    assert list(content.state_dict()) == list(damage.state_dict()) and len(content.state_dict()) == 353
    assert sum(parameter.numel() for parameter in content.parameters()) == 3_759_228
    shapes = {name: list(tensor.shape) for name, tensor in content.state_dict().items()}
    assert shapes["features.0.0.conv.weight"] == [32, 3, 3, 3]
    assert shapes["features.1.block.1.fc1.weight"] == [8, 32, 1, 1]
    assert shapes["features.16.block.1.1.running_var"] == [1152]
    assert shapes["features.16.block.3.0.conv.weight"] == [320, 1152, 1, 1]
    assert shapes["features.17.conv.weight"] == [128, 320, 2, 2]


def export(folder, *words):
    """The example's own script, run in a folder."""
    script = harness.ROOT / "examples" / "uvq" / "export.py"
    environment = {**os.environ, "PYTHONPATH": str(harness.ROOT / "python")}
    command = [sys.executable, str(script), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@torch.no_grad()
def test_a_checkpoint_of_a_users(tmp_path):
    """A made `aggregation_net.pth` in the published layout: exported, converted, and within 1e-5 of PyTorch."""
    torch.manual_seed(11)
    net = weights.AggregationNet().eval()
    for parameter in net.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape))
    net.linear1.weight.mul_(0.1)  # keeps tanh away from its flat ends, where errors would not show
    torch.save(net.state_dict(), tmp_path / "aggregation_net.pth")

    outcome = export(tmp_path, "--model", "aggregation", "--checkpoint", tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    target = tmp_path / "aggregation.tflite"
    harness.convert(tmp_path / "uvq_aggregation.pt2", target)
    for seed in range(3):
        inputs = MODELS["uvq_aggregation"].inputs(seed)
        score = net(*inputs)
        assert 1.1 < score.item() < 4.9
        for kernels in harness.KERNELS:
            [given] = harness.execute(target, inputs, kernels)
            assert (given - score).abs().max().item() <= 1e-5


def test_a_network_inside_another_interface_is_exported(tmp_path):
    """The script makes one file of a network and what stands around it."""
    torch.manual_seed(12)
    torch.save(weights.ContentNet().state_dict(), tmp_path / "content_net.pth")
    outcome = export(tmp_path, "--model", "content", "--checkpoint", tmp_path, "-o", "mine.pt2")
    assert outcome.returncode == 0, outcome.stderr
    outcome = harness.convert(tmp_path / "mine.pt2", tmp_path / "mine.tflite", "--verify", "--runtime", "litert")
    assert "PASS" in outcome.stdout


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    state = weights.AggregationNet().state_dict()
    state.pop("ln1.bias")
    torch.save(state, tmp_path / "short.pth")
    outcome = export(tmp_path, "--model", "aggregation", "--checkpoint", "short.pth")
    assert outcome.returncode != 0 and "ln1.bias" in outcome.stderr and "Traceback" not in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["short.pth"]
