"""The first systems with weights in fewer bits, held to what `docs/systems.md` says of them."""

import dataclasses

import numpy
import pytest

import harness

MEBI = 1 << 20


@dataclasses.dataclass
class Expected:
    """What a file must not exceed, and what it must keep: dB of signal by error against PyTorch's recorded float output, on
    each of two runs; of embedders, whose outputs are images in 0…1, dB of 1 by error (PSNR)."""

    mebibytes: float
    xnnpack: tuple[float, float]
    builtin: tuple[float, float]


# Of int8, the detectors are to keep what ai-edge-quantizer 0.10.0 keeps of the same archives, less 0.3 dB, and UVQ 4 dB more
# than that on XNNPACK.
EXPECTED = {
    ("vs10_embedder", "dynamic-int8"): Expected(24.0, (45.0, 45.0), (45.0, 45.0)),
    ("vs10_detector", "dynamic-int8"): Expected(32.9, (37.62, 37.48), (35.18, 34.63)),
    ("vs00_detector", "dynamic-int8"): Expected(25.5, (37.76, 37.44), (35.49, 35.53)),
    ("uvq_distortion_3patch", "dynamic-int8"): Expected(4.65, (19.21, 19.02), (13.25, 13.25)),
    ("vs00_embedder", "weight-int8"): Expected(16.5, (42.0, 42.0), (42.0, 42.0)),
    ("vs10_embedder", "fp16"): Expected(45.5, (60.0, 60.0), (60.0, 60.0)),
    ("vs10_detector", "fp16"): Expected(64.0, (60.0, 60.0), (60.0, 60.0)),
    ("vs00_detector", "fp16"): Expected(47.5, (60.0, 60.0), (60.0, 60.0)),
}


@pytest.mark.parametrize("name,recipe", EXPECTED)
def test_system(name, recipe, tmp_path):
    archive, target, expected = harness.exported(name), tmp_path / "small.tflite", EXPECTED[name, recipe]
    harness.convert(archive, target, "--quantize", recipe)
    assert target.stat().st_size <= expected.mebibytes * MEBI
    for kernels in harness.KERNELS:
        ratio = psnr if "embedder" in name else snr
        kept = [ratio(record, target, kernels) for record in harness.runs(archive)]
        print(f"{name} {recipe} {kernels}: {target.stat().st_size / MEBI:.2f} MiB, {kept[0]:.2f} and {kept[1]:.2f} dB")
        assert len(kept) == 2 and all(numpy.greater_equal(kept, getattr(expected, kernels))), kept


def test_every_bit_that_the_detector_reads_is_pytorchs(tmp_path):
    archive, target = harness.exported("vs00_detector"), tmp_path / "small.tflite"
    harness.convert(archive, target, "--quantize", "dynamic-int8")
    for record in harness.runs(archive):
        found, wanted = both(record, target, "xnnpack")
        assert wanted.size == 97 and numpy.array_equal(found > 0, wanted > 0)


def both(record, path, kernels):
    """What a file gives on a recorded run, and what PyTorch gave."""
    inputs = [record[f"input.{index}"] for index in range(sum(name.startswith("input.") for name in record))]
    [found] = harness.execute(path, inputs, kernels)
    return found.double().numpy(), record["output.0"].double().numpy()


def psnr(record, path, kernels):
    found, wanted = both(record, path, kernels)
    return -10 * numpy.log10(((found - wanted) ** 2).mean())


def snr(record, path, kernels):
    found, wanted = both(record, path, kernels)
    return 10 * numpy.log10((wanted**2).sum() / ((found - wanted) ** 2).sum())
