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
# Of all bits, so many may lie too near to 0 to be told.
UNDECIDED = 0.02


@pytest.fixture(scope="module", params=PAIRS)
def pipeline(request, tmp_path_factory):
    """For each place where a network can run, the function that runs it: of the embedder and of the detector."""
    folder = tmp_path_factory.mktemp("pipeline")
    return request.param, *[places(name, folder) for name in PAIRS[request.param]]


def places(name, folder):
    archive, target = harness.exported(name), folder / f"{name}.tflite"
    harness.convert(archive, target)
    module = torch.export.load(archive).module()
    found = {PYTORCH: lambda *given: module(*given)}
    for kernels in harness.KERNELS:
        found[f"float, {kernels}"] = lambda *given, kernels=kernels: harness.execute(target, given, kernels)[0]
    return found


@torch.no_grad()
def test_every_pair_reads_the_same_bits(pipeline):
    """A bit may differ only where PyTorch's logit is nearer to 0 than the error that is allowed.

    That error is the bar of any float model, here of embedder and detector as one: ten times what float32 costs PyTorch
    in both together, or 1e-5 of the largest logit where that is more.
    """
    name, embedders, detectors = pipeline
    embedder, detector = PAIRS[name]
    run = harness.runs(harness.exported(embedder))[0]
    given = harness.of_kind(run, "input")
    images = {place: embed(*given) for place, embed in embedders.items()}
    reference = detectors[PYTORCH](images[PYTORCH])
    reference64 = MODELS[detector].build().double()(run["reference64.0"])
    bar = harness.margin(reference, reference, reference64).bar
    decided = reference.abs() > bar
    print(f"{name}: bar {bar:.1e}, {(~decided).sum()} of {reference.numel()} logits within it")
    assert (~decided).sum() <= UNDECIDED * reference.numel()

    for place, other in itertools.product(embedders, detectors):
        logits = detectors[other](images[place])
        margin = harness.margin(logits, reference, reference64)
        print(f"{name}: embedded by {place}, detected by {other}: {margin}")
        assert margin.holds
        assert torch.equal((logits > 0)[decided], (reference > 0)[decided])
