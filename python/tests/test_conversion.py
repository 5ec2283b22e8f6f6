"""Converting: the program is found and called, its refusals are told, its result can be saved."""

import pathlib
import stat
import sys

import pytest
import torch

import edgewright


def program(tmp_path, monkeypatch, body):
    """An executable that stands in for the compiler, so that these tests need none; EDGEWRIGHT names it."""
    path = tmp_path / "program"
    path.write_text(f"#!{sys.executable}\nimport pathlib, sys\nwords = sys.argv[1:]\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("EDGEWRIGHT", str(path))
    return path


def test_the_program_is_called_with_the_archive_and_the_options(tmp_path, monkeypatch):
    body = (
        "assert words[0] == 'convert' and words[1].endswith('.pt2') and words[2] == '-o', words\n"
        "assert pathlib.Path(words[1]).exists() and pathlib.Path(words[1]).with_suffix('.safetensors').exists()\n"
        "pathlib.Path(words[3]).write_bytes(b'TFL3 ' + ' '.join(words[4:]).encode())"
    )
    program(tmp_path, monkeypatch, body)
    converted = edgewright.convert(torch.nn.ReLU().eval(), (torch.randn(2),), options=["--io-layout", "nhwc"])
    assert converted.model_content() == b"TFL3 --io-layout nhwc"
    converted.export(tmp_path / "out.tflite")
    assert (tmp_path / "out.tflite").read_bytes() == converted.model_content()


def test_a_refusal_is_told_with_the_programs_words(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "print('error[unsupported-operator]: relu', file=sys.stderr); sys.exit(3)")
    with pytest.raises(edgewright.ConversionError, match="unsupported-operator") as caught:
        edgewright.convert(torch.nn.ReLU().eval(), (torch.randn(2),))
    assert caught.value.exit_code == 3


def test_a_missing_program_is_told(monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT", "/nowhere/edgewright")
    with pytest.raises(FileNotFoundError, match="EDGEWRIGHT names /nowhere/edgewright"):
        edgewright.find_program()
    monkeypatch.delenv("EDGEWRIGHT")
    monkeypatch.setenv("PATH", "")
    if not (pathlib.Path(sys.executable).parent / "edgewright").exists():
        with pytest.raises(FileNotFoundError, match="put it on PATH"):
            edgewright.find_program()


def test_without_litert_a_call_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match="pip install ai-edge-litert"):
        edgewright.Converted(str(tmp_path / "none.tflite"))(torch.zeros(1))
