"""The bar itself: five small mistakes, made to models in PyTorch, must each fail it."""

import pytest
import torch

import harness
import mutants
from catalog import MODELS

# The models that a mistake can be made to; each mistake has at least one.
APPLIES = [
    ("eps_times_ten", "upsample_block"),
    ("eps_times_ten", "convnext_blocks"),
    ("eps_times_ten", "resnet18"),
    ("eps_times_ten", "vs10_embedder_core"),
    ("other_gelu", "convnext_blocks"),
    ("align_corners", "upsample_block"),
    ("align_corners", "vs10_embedder_core"),
    ("dropped_bias", "convnext_blocks"),
    ("dropped_bias", "vs10_embedder_core"),
    ("skipped_block", "convnext_blocks"),
    ("skipped_block", "resnet18"),
    ("skipped_block", "vs10_embedder_core"),
]


def mutated(mutant, name):
    module = MODELS[name].build()
    assert getattr(mutants, mutant)(module), f"{mutant} changes nothing in {name}"
    return module.eval()


def test_every_mutant_has_a_model():
    assert {mutant for mutant, _ in APPLIES} == {mutant.__name__ for mutant in mutants.MUTANTS}


@pytest.mark.parametrize("mutant, name", APPLIES)
def test_mutant_in_pytorch_is_over_the_bar(mutant, name):
    module = mutated(mutant, name)
    for run in harness.runs(harness.exported(name)):
        with torch.no_grad():
            output = module(*harness.of_kind(run, "input"))
        margin = harness.margin(output, run["output.0"], run["reference64.0"])
        print(f"{mutant} of {name}: {margin}")
        assert not margin.holds


@pytest.mark.parametrize("mutant, name", [row for row in APPLIES if row[1] in ("upsample_block", "convnext_blocks")])
def test_mutant_fails_verification(mutant, name, tmp_path):
    """A converted mutant beside the true model's recorded run: `--verify` says so and ends with 1."""
    archive = harness.exported(name)
    wrong, target = tmp_path / "wrong.pt2", tmp_path / "wrong.tflite"
    harness.edgewright.export(mutated(mutant, name), MODELS[name].inputs(0), wrong)
    harness.convert(wrong, target, "--verify")  # against its own run: nothing is wrong with the conversion

    wrong.with_suffix(".safetensors").write_bytes(archive.with_suffix(".safetensors").read_bytes())
    target.unlink()
    outcome = harness.run_program("convert", wrong, "-o", target, "--verify")
    assert outcome.code == 1 and "FAIL" in outcome.stdout, outcome
