"""VideoSeal, PixelSeal and ChunkySeal whole: what is converted, what it costs, and what must not pass for it."""

import dataclasses

import pytest
import torch

import harness
import videoseal_mutants as mutants
from catalog import MODELS
from videoseal.model import RgbToYuv

MEBI = 1 << 20
NEVER = ("GATHER_ND", "BROADCAST_TO", "CUSTOM", "STABLEHLO_COMPOSITE")


@dataclasses.dataclass
class Expected:
    """What a converted model must not exceed: operators, and mebibytes."""

    operators: int
    megabytes: float


# The operators are what is asked of the compiler, and what it reaches where it is not there yet or nothing is asked.
# Of ChunkySeal these are small twins.
EXPECTED = {
    "vs10_embedder": Expected(operators=165, megabytes=90.5),
    "vs10_embedder_core": Expected(operators=122, megabytes=90.5),
    "vs10_embedder_nhwc": Expected(operators=165, megabytes=90.5),
    "vs00_embedder": Expected(operators=372, megabytes=63.6),
    "vs00_embedder_nhwc": Expected(operators=372, megabytes=63.6),
    "pixelseal_embedder": Expected(operators=165, megabytes=167.4),
    "chunky_embedder_mini": Expected(operators=138, megabytes=13.4),
    "vs10_detector": Expected(operators=450, megabytes=127.6),
    "vs10_detector_nhwc": Expected(operators=450, megabytes=127.6),
    "vs00_detector": Expected(operators=600, megabytes=94.7),
    "vs00_detector_nhwc": Expected(operators=600, megabytes=94.7),
    "chunky_detector_mini": Expected(operators=183, megabytes=26.8),
    "jnd_heatmap": Expected(operators=42, megabytes=0.1),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_model(name, converted):
    """The archive as it is, on two recorded runs and two kernel sets; four axes, and the operators that are allowed."""
    target, expected = converted(name), EXPECTED[name]
    found = harness.margins(target, harness.exported(name))
    assert len(found) == 4 and all(margin.holds for margin in found.values()), found

    facts = harness.facts(target)
    total = sum(facts.operators.values())
    print(f"{name}: {total} operators, {facts.transposes} TRANSPOSE, rank {facts.rank}, {facts.size / MEBI:.2f} MiB")
    assert total <= expected.operators, facts.operators
    assert not [operator for operator in NEVER if operator in facts.operators], facts.operators
    assert facts.rank <= 4
    assert facts.size <= expected.megabytes * MEBI, facts.size


@pytest.mark.parametrize("name", ["vs10_embedder_core", "vs00_embedder", "chunky_embedder_mini"])
@torch.no_grad()
def test_a_flipped_bit_changes_what_it_changes_in_pytorch(name, converted):
    archive = harness.exported(name)
    run = harness.runs(archive)[0]
    imgs, msgs = harness.of_kind(run, "input")
    module = torch.export.load(archive).module()
    bar = harness.margin(run["output.0"], run["output.0"], run["reference64.0"]).bar
    for bit in (0, msgs.shape[1] - 1):
        flipped = msgs.clone()
        flipped[0, bit] = 1 - flipped[0, bit]
        change = module(imgs, flipped) - run["output.0"]
        for kernels in harness.KERNELS:
            before, after = (harness.execute(converted(name), [imgs, bits], kernels)[0] for bits in (msgs, flipped))
            error = (after - before - change).abs().max().item()
            print(f"{name}, bit {bit}, {kernels}: changes {change.abs().max():.1e}, error {error:.1e}, bar {bar:.1e}")
            # Two outputs are compared, each within the bar; what is compared must stand well above it.
            assert change.abs().max() >= 20 * bar
            assert error <= 2 * bar


def test_the_parts_of_the_embedder(converted):
    """The heat map and the network alone give what was recorded inside the whole."""
    whole, core = (harness.runs(harness.exported(name)) for name in ("vs10_embedder", "vs10_embedder_core"))
    for run, alone in zip(whole, core):
        imgs, msgs = harness.of_kind(run, "input")
        luma = RgbToYuv()(imgs)[:, :1].contiguous()
        for kernels in harness.KERNELS:
            heat = harness.execute(converted("jnd_heatmap"), [imgs], kernels)[0]
            watermark = harness.execute(converted("vs10_embedder_core"), [luma, msgs], kernels)[0]
            assert (heat - run["aux.hmaps"]).abs().max() <= 1e-5
            assert harness.margin(watermark, run["aux.preds_w"], alone["reference64.0"]).holds


MUTANTS = [
    ("vs10_embedder", mutants.constant_attenuation),
    ("vs10_embedder", mutants.scaled_twice),
    ("vs00_embedder", mutants.scaled_twice),
    ("vs10_detector", mutants.scaled_twice),
    ("vs00_detector", mutants.scaled_twice),
    ("vs00_detector", mutants.transposed_windows),
    ("vs00_detector", mutants.no_windows),
]


def mutated(name, mutant):
    module = MODELS[name].build()
    mutant(module)
    return module.eval()


@pytest.mark.parametrize("name, mutant", MUTANTS)
@torch.no_grad()
def test_mutant_in_pytorch_is_over_the_bar(name, mutant):
    module = mutated(name, mutant)
    for run in harness.runs(harness.exported(name)):
        output, reference = module(*harness.of_kind(run, "input")), run["output.0"]
        margin = harness.margin(output, reference, run["reference64.0"])
        print(f"{mutant.__name__} of {name}: {margin}, PSNR {psnr(output, reference):.1f} dB")
        assert not margin.holds
        if mutant is mutants.constant_attenuation:
            assert psnr(output, reference) < 60


def psnr(given, reference):
    """Of values in 0…1, in decibels."""
    return -10 * torch.log10((given.double() - reference.double()).pow(2).mean()).item()


@pytest.mark.parametrize(
    "name, mutant", [row for row in MUTANTS if row[1] is mutants.constant_attenuation or row[0] == "vs00_detector"]
)
def test_mutant_fails_verification(name, mutant, tmp_path):
    """A mutant converts and passes for itself; beside what was recorded of the model, the program says FAIL."""
    module = mutated(name, mutant)
    wrong, target = tmp_path / "wrong.pt2", tmp_path / "wrong.tflite"
    harness.edgewright.export(module, MODELS[name].inputs(0), wrong)
    harness.convert(wrong, target, "--verify", "--runtime", "litert")

    recorded = harness.exported(name).with_suffix(".safetensors")
    outcome = harness.run_program("verify", target, "--recorded", recorded, "--runtime", "litert")
    assert outcome.code == 1 and "FAIL" in outcome.stdout, outcome
