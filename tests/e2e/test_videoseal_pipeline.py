"""Embed, then detect: bits are read alike wherever the embedder and the detector run.

With seeded weights a detector reads nothing of a message, so what must agree is what it says of a watermarked image.
"""

import itertools

import pytest
import torch

import harness
from catalog import MODELS

PAIRS = {"1.0": ("vs10_embedder", "vs10_detector"), "0.0": ("vs00_embedder", "vs00_detector")}
PYTORCH = "PyTorch"


@pytest.fixture(scope="module", params=PAIRS)
def pair(request, tmp_path_factory):
    return Pair(*PAIRS[request.param], tmp_path_factory.mktemp("pipeline"))


class Pair:
    """An embedder and a detector, each as PyTorch has it and as a file of ours, and two watermarks to embed."""

    def __init__(self, embedder, detector, folder):
        self.embedder, self.detector, self.folder = embedder, detector, folder
        self.runs = harness.runs(harness.exported(embedder))
        self.modules = {name: torch.export.load(harness.exported(name)).module() for name in (embedder, detector)}
        self.files = {}

    def run(self, name, place, given):
        """The output of a network at a place: PYTORCH, or (recipe or None for float, kernel set)."""
        if place == PYTORCH:
            return self.modules[name](*given)
        recipe, kernels = place
        return harness.execute(self.file(name, recipe), given, kernels)[0]

    def file(self, name, recipe):
        if (name, recipe) not in self.files:
            target = self.files[name, recipe] = self.folder / f"{name}.{recipe}.tflite"
            if recipe is None:
                harness.convert(harness.exported(name), target)
            else:
                outcome = harness.run_program("quantize", harness.exported(name), "-o", target, "--recipe", recipe)
                assert outcome.code == 0, outcome.stderr
        return self.files[name, recipe]

    def logits(self, number, places):
        """For each pair of places what the detector says of what the embedder gives, of a recorded run."""
        given = harness.of_kind(self.runs[number], "input")
        images = {place: self.run(self.embedder, place, given) for place in places}
        return {
            (place, other): self.run(self.detector, other, [images[place]])
            for place, other in itertools.product(places, places)
        }


@torch.no_grad()
def test_float_reads_the_same_bits(pair):
    """A bit may differ only where PyTorch's logit is nearer to 0 than the error that is allowed.

    That error is the bar of any float model, here of embedder and detector as one: ten times what float32 costs PyTorch
    in both together, or 1e-5 of the largest logit where that is more.
    """
    found = pair.logits(0, [PYTORCH, *[(None, kernels) for kernels in harness.KERNELS]])
    reference = found[PYTORCH, PYTORCH]
    reference64 = MODELS[pair.detector].build().double()(pair.runs[0]["reference64.0"])
    bar = harness.margin(reference, reference, reference64).bar
    told = reference.abs() > bar
    print(f"{pair.detector}: bar {bar:.1e}, {(~told).sum()} of {reference.numel()} logits within it")
    assert (~told).sum() <= 0.02 * reference.numel()
    for places, logits in found.items():
        margin = harness.margin(logits, reference, reference64)
        print(f"{pair.detector}: {places}: {margin}")
        assert margin.holds
        assert torch.equal((logits > 0)[told], (reference > 0)[told])


# A normal error exceeds so many times its deviation once in 150 000 bits.
DEVIATIONS = 4.5


@torch.no_grad()
def test_int8_reads_the_same_bits(pair):
    """A bit may differ only where PyTorch's logit is nearer to 0 than the noise of the pair of places.

    Weights rounded to 8 bits move a logit by a sum of very many small errors, which is near normal. Its deviation is
    measured on one recorded run, and the bits are those of the other.
    """
    places = [PYTORCH, (None, "xnnpack"), ("dynamic-int8", "xnnpack")]
    measured, found = pair.logits(1, places), pair.logits(0, places)
    reference = found[PYTORCH, PYTORCH]
    for pairing, logits in found.items():
        noise = (measured[pairing] - measured[PYTORCH, PYTORCH]).pow(2).mean().sqrt()
        told = reference.abs() > DEVIATIONS * noise
        same = (logits > 0) == (reference > 0)
        print(
            f"{pair.detector}: {pairing}: noise {noise:.1e} beside {reference.pow(2).mean().sqrt():.1e}, "
            f"{(~told).sum()} of {reference.numel()} logits within it, {(~same).sum()} bits differ"
        )
        assert same[told].all()
        assert (~told).sum() <= reference.numel() / 8
