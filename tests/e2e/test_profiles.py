"""Hardware profiles on whole models: what is compiled for one holds for it, and computes what PyTorch computes."""

import json

import pytest
import torch

import harness
import uvq_models
import videoseal_models

# The systems, but for those of several gigabytes, which `cargo xtask big` compiles.
SYSTEMS = [name for name in {**uvq_models.ROWS, **videoseal_models.ROWS} if name not in ("chunky_embedder", "chunky_detector")]
# Of these, what is run too: reflection, a message that is looked up, masks, and an input of five axes.
RUN = ["chunky_embedder_mini", "jnd_heatmap", "uvq_aggregation", "uvq_distortion_frame"]


def checked(path, profile="bstm"):
    """The verdict of `edgewright check` on a model."""
    outcome = harness.run_program("check", path, "--profile", profile, "--json", "-", "-q")
    verdict = json.loads(outcome.stdout)
    assert outcome.code == (0 if verdict["holds"] else 1), outcome.stderr
    return verdict


@pytest.mark.parametrize("name", SYSTEMS)
def test_systems_hold_for_the_profile_with_images_channels_last(name, tmp_path):
    path = tmp_path / f"{name}.tflite"
    words = ["--verify", "--runtime", "litert"] if name in RUN else []
    archive = harness.exported(name)
    outcome = harness.convert(archive, path, "--profile", "bstm", *words)
    assert "PASS" in outcome.stdout or name not in RUN
    verdict = checked(path)
    assert verdict["holds"]
    operators = [one for one in verdict["operators"] if one["kind"] == "operator"]
    assert not {one["name"] for one in operators} & {"GATHER", "GATHER_ND", "SCATTER_ND"}
    # LiteRT's own reader agrees on what is in the file.
    facts = harness.facts(path)
    assert facts.rank <= 4
    assert facts.operators.total() - facts.operators["DELEGATE"] == len(operators)
    [signature] = harness.inspected(path)["signatures"]
    images = [end["shape"] for end in signature["inputs"] + signature["outputs"] if len(end["shape"]) == 4]
    assert all(shape[3] in (1, 3, 128) for shape in images), images


def test_an_archive_is_checked_before_it_is_converted():
    verdict = checked(harness.exported("uvq_distortion_frame"))
    assert verdict["holds"]
    broken = {found["kind"] for one in verdict["operators"] for found in one["broken"]}
    assert broken == {"rank", "interface"}
    assert {entry["kind"] for entry in verdict["solved"]["ledger"]} == {"squeezed", "channels last"}


def test_windows_that_xnnpack_is_slow_with_are_taken_in_parts(tmp_path):
    archive, path, plain = harness.exported("convnext_blocks"), tmp_path / "fast.tflite", tmp_path / "plain.tflite"
    harness.convert(archive, plain)
    [limit] = {found["limit"] for one in checked(plain, "xnnpack-fast")["operators"] for found in one["broken"]}
    assert limit == "DEPTHWISE_CONV_2D takes windows of at most 25 taps"
    outcome = harness.convert(archive, path, "--profile", "xnnpack-fast", "--verify")
    assert "PASS" in outcome.stdout
    assert checked(path, "xnnpack-fast")["holds"]
    before, after = harness.facts(plain).operators, harness.facts(path).operators
    assert after["DEPTHWISE_CONV_2D"] == 3 * before["DEPTHWISE_CONV_2D"] and after["PAD"] == before["PAD"] == 0


def test_reflection_without_its_builtin_copies_the_same_elements(tmp_path):
    archive = harness.exported("upsample_block")
    plain, sliced = tmp_path / "plain.tflite", tmp_path / "sliced.tflite"
    harness.convert(archive, plain)
    harness.convert(archive, sliced, "--forbid", "MIRROR_PAD", "--forbid", "GATHER")
    assert harness.facts(plain).operators["MIRROR_PAD"] == 1
    operators = harness.facts(sliced).operators
    assert operators["MIRROR_PAD"] == 0 and operators["CONCATENATION"] == 2 and operators["SLICE"] == 4
    for run in harness.runs(archive):
        inputs = harness.of_kind(run, "input")
        [expected] = harness.execute(plain, inputs, "builtin")
        [found] = harness.execute(sliced, inputs, "builtin")
        assert torch.equal(expected, found)
