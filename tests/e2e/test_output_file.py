"""The file a conversion leaves: the same bytes each time, whole or not there, never another's."""

import signal
import subprocess
import time

import harness
import pytest


def test_two_conversions_give_the_same_bytes(tmp_path):
    archive = harness.exported("resnet18")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        harness.convert(archive, tmp_path / name / "model.tflite")
    assert (tmp_path / "a" / "model.tflite").read_bytes() == (tmp_path / "b" / "model.tflite").read_bytes()


def test_an_existing_file_is_kept_unless_forced(tmp_path):
    archive, target = harness.exported("upsample_block"), tmp_path / "model.tflite"
    target.write_bytes(b"mine")
    outcome = harness.run_program("convert", archive, "-o", target)
    assert outcome.code != 0 and target.read_bytes() == b"mine"
    assert "--force" in outcome.stderr
    harness.convert(archive, target, "--force")
    assert target.read_bytes()[4:8] == b"TFL3"


def stopped(archive, target, number, moments):
    """Converts and stops that by a signal at parts of the time that it takes; yields how each of these runs ended."""
    started = time.monotonic()
    harness.convert(archive, target)
    whole, took = target.read_bytes(), time.monotonic() - started
    for part in moments:
        target.unlink(missing_ok=True)
        process = subprocess.Popen(
            [harness.edgewright.find_program(), "convert", str(archive), "-o", str(target)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A runner in the background may ignore some signals, which its children inherit.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None,
        )
        time.sleep(part * took)
        process.send_signal(number)
        ended = process.wait()
        assert not target.exists() or target.read_bytes() == whole
        yield ended


def test_a_killed_conversion_leaves_no_output(tmp_path):
    """Stopped at several moments, the last of them near the end: the output is whole or not there."""
    archive, target = harness.exported("vs10_embedder_core"), tmp_path / "model.tflite"
    ends = list(stopped(archive, target, signal.SIGKILL, (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)))
    assert -signal.SIGKILL in ends, "no conversion was stopped: the model is too small for this machine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_conversion_that_is_told_to_end_leaves_nothing(tmp_path, number):
    """It ends by the signal, without an unfinished file."""
    archive, target = harness.exported("vs10_embedder_core"), tmp_path / "model.tflite"
    ends = []
    for ended in stopped(archive, target, number, (0.1, 0.5, 0.7, 0.8, 0.9)):
        ends.append(ended)
        assert ended in (0, -number) and not list(tmp_path.glob(".*")), (ended, list(tmp_path.iterdir()))
    assert -number in ends, "no conversion was stopped: the model is too small for this machine"


def test_a_damaged_archive_is_refused(tmp_path):
    """A cut-off archive and one with a flipped byte in its program end with 4, without a file."""
    content = harness.exported("upsample_block").read_bytes()
    place = content.index(b'"graph_module"')
    damaged = {
        "cut.pt2": content[: len(content) // 2],
        "flipped.pt2": content[:place] + b"\x00" + content[place + 1 :],
        "empty.pt2": b"",
        "text.pt2": b"not an archive",
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        outcome = harness.run_program("convert", tmp_path / name, "-o", tmp_path / "out.tflite")
        assert outcome.code == 4, (name, outcome)
        assert "error" in outcome.stderr and not (tmp_path / "out.tflite").exists()


def test_a_missing_archive_is_an_io_error(tmp_path):
    outcome = harness.run_program("convert", tmp_path / "none.pt2", "-o", tmp_path / "out.tflite")
    assert outcome.code == 5 and "none.pt2" in outcome.stderr, outcome
