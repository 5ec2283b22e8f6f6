"""Whole models: converted, run on both kernel sets of LiteRT, and held against PyTorch on two inputs."""

import dataclasses
import json
import pathlib

import pytest
import torch

import harness
from catalog import MODELS


@dataclasses.dataclass
class Expected:
    """What a converted model must not exceed."""

    transposes: int
    megabytes: float
    options: tuple[str, ...] = ()


MEBI = 1 << 20

# The transposes are those at a signature that stays NCHW; an image of one channel needs none.
EXPECTED = {
    "upsample_block": Expected(transposes=2, megabytes=0.1),
    "convnext_blocks": Expected(transposes=1, megabytes=0.2),
    "watermark": Expected(transposes=0, megabytes=0.5),
    "resnet18": Expected(transposes=1, megabytes=44.8),
    "mobilenet_v2": Expected(transposes=1, megabytes=13.6),
    "vs10_embedder_core": Expected(transposes=0, megabytes=90.5),
    "vs10_embedder_core_dynamic": Expected(transposes=0, megabytes=90.5),
}
NEVER = ("GATHER_ND", "BROADCAST_TO", "CUSTOM", "STABLEHLO_COMPOSITE")


def options(name):
    return [word for shape in MODELS[name].shapes for word in ("--shape", shape)]


@pytest.mark.parametrize("name", EXPECTED)
def test_model(name, tmp_path):
    archive, target = harness.exported(name), tmp_path / f"{name}.tflite"
    harness.convert(archive, target, *options(name))

    found = harness.margins(target, archive)
    assert len(found) == 4 and all(margin.holds for margin in found.values()), found

    facts, expected = harness.facts(target), EXPECTED[name]
    print(f"{name}: {sum(facts.operators.values())} operators, {facts.transposes} TRANSPOSE, rank {facts.rank}")
    assert facts.transposes <= expected.transposes, facts.operators
    assert not [operator for operator in NEVER if operator in facts.operators], facts.operators
    assert facts.rank <= 4
    assert facts.size <= expected.megabytes * MEBI, facts.size


def test_bits_are_one_product(tmp_path):
    archive, target = harness.exported("vs10_embedder_core"), tmp_path / "bits.tflite"
    harness.convert(archive, tmp_path / "plain.tflite")
    harness.convert(archive, target, "--assume", "msgs=bits")
    found = harness.margins(target, archive)
    assert len(found) == 4 and all(margin.holds for margin in found.values()), found
    plain, facts = harness.facts(tmp_path / "plain.tflite"), harness.facts(target)
    assert sum(plain.operators.values()) <= 122 and sum(facts.operators.values()) <= 118, facts.operators
    assert not facts.operators["GATHER"] and facts.operators["FULLY_CONNECTED"] == 1


def test_the_committed_example(tmp_path):
    archive = harness.ROOT / "examples" / "watermark" / "watermark.pt2"
    target = tmp_path / "watermark.tflite"
    harness.convert(archive, target, "--verify")
    found = harness.margins(target, archive)
    assert len(found) == 2 and all(margin.holds for margin in found.values()), found


@pytest.mark.parametrize("name", ["upsample_block", "convnext_blocks"])
def test_nhwc_interface(name, tmp_path):
    archive, target = harness.exported(name), tmp_path / f"{name}.tflite"
    harness.convert(archive, target, "--io-layout", "nhwc")

    def relayout(tensor, is_input):
        if tensor.dim() != 4:
            return tensor
        return tensor.permute(0, 2, 3, 1) if is_input else tensor.permute(0, 3, 1, 2)

    found = harness.margins(target, archive, relayout)
    assert all(margin.holds for margin in found.values()), found
    assert harness.facts(target).transposes == 0


class Kelvin(torch.nn.Module):
    """A layer on degrees in kelvin, less what they mostly are."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, x):
        return self.linear((x - 293.0) * 10.0)


def test_a_shift_that_cancels_keeps_its_digits(tmp_path):
    """`w·(x − c)` is not `w·x − w·c` where `x` is nearly `c`: both lose the digits that their difference had."""
    torch.manual_seed(0)
    archive = tmp_path / "kelvin.pt2"
    harness.edgewright.export(Kelvin().eval(), (293 + 0.1 * torch.randn(16, 8),), archive)
    harness.convert(archive, tmp_path / "kelvin.tflite", "--verify")


def test_inspect_agrees_with_litert(tmp_path):
    archive, target = harness.exported("convnext_blocks"), tmp_path / "model.tflite"
    harness.convert(archive, target)
    said, read = harness.inspected(target), harness.facts(target)
    assert said["histogram"] == dict(read.operators) and said["max_rank"] == read.rank and said["bytes"] == read.size
    assert len(said["operators"]) == sum(read.operators.values())
    assert max(map(int, [*said["ranks"], *said["constant_ranks"]])) == read.rank
    assert said["bytes"] == read.size


def test_a_dynamic_model_without_a_shape_is_refused(tmp_path):
    archive = harness.exported("vs10_embedder_core_dynamic")
    outcome = harness.run_program("convert", archive, "-o", tmp_path / "out.tflite")
    assert outcome.code != 0 and "--shape" in outcome.stderr, outcome
    assert list(tmp_path.iterdir()) == []


def test_python_converts_and_calls(tmp_path):
    """`edgewright.convert` in Python gives what the program gives, and calls it."""
    import edgewright

    model = MODELS["convnext_blocks"]
    module, inputs = model.build(), model.inputs(3)
    converted = edgewright.convert(module, inputs)
    reference = module(*inputs)
    error = (converted(*inputs) - reference).abs().max().item()
    assert error <= 1e-5 * reference.abs().max().item()
    converted.export(pathlib.Path(tmp_path, "model.tflite"))
    assert harness.facts(tmp_path / "model.tflite").operators


def test_every_operator_knows_its_line(tmp_path):
    """The file says of each operator which line of the example's `model.py` it computes, helper functions included."""
    target = tmp_path / "watermark.tflite"
    harness.convert(harness.ROOT / "examples" / "watermark" / "watermark.pt2", target)
    lines = (harness.ROOT / "examples" / "watermark" / "model.py").read_text().splitlines()
    total = sum(harness.facts(target).operators.values())
    origins = [operator["origin"] for name in harness.facts(target).operators for operator in of_name(target, name)]
    assert len(origins) == total
    for origin in origins:
        assert origin["file"].endswith("model.py") and lines[origin["line"] - 1].strip() == origin["code"], origin
    assert {"forward", "join", "blend"} == {origin["function"] for origin in origins}


def of_name(path, name):
    """What `inspect --op NAME` says of each operator of a name."""
    outcome = harness.run_program("inspect", path, "--op", name, "--json", "-")
    assert outcome.code == 0, outcome.stderr
    return json.loads(outcome.stdout)["operators"]


class Head(torch.nn.Module):
    """The features of an image, as a network's head pools them."""

    def forward(self, x):
        return x.mean((2, 3))


def test_pooled_features_are_rounded_once_a_row_and_once_a_column(tmp_path):
    archive, target = tmp_path / "head.pt2", tmp_path / "head.tflite"
    # Sums of equal numbers are rounded the same way each time.
    x = torch.full((1, 8, 180, 320), 0.1)
    torch.export.save(torch.export.export(Head(), (x,)), archive)
    harness.convert(archive, target, "--io-layout", "nhwc")
    exact = Head()(x.double())
    for kernels in harness.KERNELS:
        error = abs(harness.execute(target, [x.permute(0, 2, 3, 1)], kernels)[0] - exact).max() / 0.1
        assert error <= (180 + 320 + 2) * 2**-24, error
