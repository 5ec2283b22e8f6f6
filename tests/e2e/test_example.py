"""The example: its committed archive is what its `export.py` writes, and names no place on any machine."""

import os
import shutil
import subprocess
import sys
import zipfile

import torch

import harness
from edgewright import tensors

EXAMPLE = harness.ROOT / "examples" / "watermark"


def test_export_writes_what_is_committed(tmp_path):
    copied = tmp_path / "examples" / "watermark"
    copied.mkdir(parents=True)
    for source in EXAMPLE.glob("*.py"):
        shutil.copy(source, copied)
    environment = {**os.environ, "PYTHONPATH": str(harness.ROOT / "python")}
    subprocess.run([sys.executable, str(copied / "export.py")], check=True, env=environment)
    assert program(copied / "watermark.pt2") == program(EXAMPLE / "watermark.pt2")
    old, new = (tensors.load(folder / "watermark.safetensors") for folder in (EXAMPLE, copied))
    assert list(old) == list(new)
    # Another kind of processor may round otherwise.
    assert all(torch.allclose(old[name], new[name], rtol=1e-4, atol=1e-5) for name in old)


def test_what_the_readme_exports_passes(tmp_path):
    # A deep network that rounds far itself: it passes for what is recorded of that.
    script = harness.ROOT / "examples" / "uvq" / "export.py"
    archive = tmp_path / "uvq_distortion_1patch.pt2"
    environment = {**os.environ, "PYTHONPATH": str(harness.ROOT / "python")}
    command = [sys.executable, str(script), "--model", "distortion_1patch", "-o", str(archive)]
    subprocess.run(command, check=True, env=environment)
    outcome = harness.convert(archive, tmp_path / "uvq.tflite", "--verify")
    assert "PASS" in outcome.stdout.splitlines()[-1]


def test_source_lines_are_relative():
    text = program(EXAMPLE / "watermark.pt2")
    assert 'File \\"examples/watermark/model.py\\", line' in text
    assert 'File \\"/' not in text


def program(path):
    """The exported program inside an archive."""
    with zipfile.ZipFile(path) as archive:
        return archive.read("watermark/models/model.json").decode()
