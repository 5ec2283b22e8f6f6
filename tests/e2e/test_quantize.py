"""Whole models with weights in fewer bits: their size, that both kernel sets run them, and what they keep of the signal."""

import json

import numpy
import pytest
import torch

import harness

# Of the size in float, and the ratio of signal to error in dB that is kept at least, on each of two inputs and both kernel
# sets: 1 to 2 dB below what is measured. Untrained weights amplify errors; the second input of the embedder is the worst.
EXPECTED = {
    ("resnet18", "fp16"): (0.502, 60.0),
    ("resnet18", "dynamic-int8"): (0.254, 28.0),
    ("resnet18", "weight-int8"): (0.256, 31.0),
    ("mobilenet_v2", "dynamic-int8"): (0.275, 17.5),
    ("vs10_embedder_core", "dynamic-int8"): (0.254, 14.0),
}


def snr(reference, found):
    reference, found = numpy.float64(reference), numpy.float64(found)
    return 10 * numpy.log10((reference**2).sum() / max(((reference - found) ** 2).sum(), 1e-300))


def run(path, inputs, kernels):
    interpreter = harness.Interpreter(str(path), experimental_op_resolver_type=harness.KERNELS[kernels])
    runner = interpreter.get_signature_runner()
    names = sorted(runner.get_input_details(), key=lambda name: (len(name), name))
    outputs = runner(**dict(zip(names, inputs)))
    return outputs["output_0"]


def inputs_of(record):
    names = sorted((name for name in record if name.startswith("input.")), key=lambda name: int(name[6:]))
    return [numpy.asarray(record[name]) for name in names]


@pytest.mark.parametrize("name,recipe", EXPECTED)
def test_weights_in_fewer_bits(name, recipe, tmp_path):
    archive, plain, small = harness.exported(name), tmp_path / "float.tflite", tmp_path / "small.tflite"
    harness.convert(archive, plain)
    harness.convert(archive, small, "--quantize", recipe)
    size, least = EXPECTED[name, recipe]
    ratio = small.stat().st_size / plain.stat().st_size
    assert ratio <= size, ratio
    for record in harness.runs(archive):
        inputs = inputs_of(record)
        for kernels in harness.KERNELS:
            kept = snr(run(plain, inputs, kernels), run(small, inputs, kernels))
            print(f"{name} {recipe} {kernels}: {ratio:.3f} of the size, {kept:.1f} dB")
            assert kept >= least


def test_a_plan_writes_nothing(tmp_path):
    archive, plan = harness.exported("mobilenet_v2"), tmp_path / "plan.json"
    outcome = harness.run_program("quantize", archive, "--plan", "--json", plan, "-o", tmp_path / "x.tflite")
    assert outcome.code == 0, outcome.stderr
    assert not (tmp_path / "x.tflite").exists()
    weights = json.loads(plan.read_text())["weights"]
    forms = {(w["readers"][0]["operator"], w["form"]) for w in weights}
    assert ("DEPTHWISE_CONV_2D", "i8 stored") in forms and ("CONV_2D", "i8 hybrid") in forms
    assert all(w["line"] for w in weights)


def test_a_file_is_quantized_as_its_archive_is(tmp_path):
    archive = harness.exported("mobilenet_v2")
    plain, one, other = (tmp_path / f"{name}.tflite" for name in ("plain", "one", "other"))
    harness.convert(archive, plain)
    harness.convert(archive, one, "--quantize", "fp16")
    outcome = harness.run_program("quantize", plain, "--recipe", "fp16", "-o", other)
    assert outcome.code == 0, outcome.stderr
    inputs = inputs_of(harness.runs(archive)[0])
    assert numpy.array_equal(run(one, inputs, "xnnpack"), run(other, inputs, "xnnpack"))


class Left(torch.nn.Module):
    """A constant that multiplies from the left, as relative positions do: its int8 has no kernel there."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(4, 40, 16, generator=torch.Generator().manual_seed(1)))

    def forward(self, x):
        return torch.matmul(self.table, x)


def test_a_constant_left_operand_runs(tmp_path):
    archive, target = tmp_path / "left.pt2", tmp_path / "left.tflite"
    x = torch.randn(4, 16, 8, generator=torch.Generator().manual_seed(2))
    torch.export.save(torch.export.export(Left(), (x,)), archive)
    recipe = tmp_path / "recipe.json"
    weight = {"num_bits": 8, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "INT"}
    config = {"weight_tensor_config": weight, "compute_precision": "INTEGER", "explicit_dequantize": False}
    entry = {"regex": ".*", "operation": "BATCH_MATMUL", "algorithm_key": "min_max_uniform_quantize"}
    recipe.write_text(json.dumps([{**entry, "op_config": config}]))
    harness.convert(archive, target, "--quantize", recipe)
    for kernels in harness.KERNELS:
        with torch.no_grad():
            assert snr(Left()(x).numpy(), run(target, [x.numpy()], kernels)) > 40
    plan = tmp_path / "plan.json"
    harness.run_program("quantize", archive, "--recipe", recipe, "--plan", "--json", plan)
    [decided] = json.loads(plan.read_text())["weights"]
    assert decided["form"] == "i8 stored" and "right only" in decided["reason"]
