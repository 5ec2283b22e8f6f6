"""What `edgewright weights` takes for a checkpoint that is larger than it may hold: memory, and CPU time by that of `cp`.

    python bench/checkpoint_memory.py --edgewright target/release/edgewright [--gigabytes 13] [--convert]

Makes a checkpoint of that size whose file is sparse (its elements take no place on the disk), lists it, extracts the
tensors whose names begin with `detector.`, some 4 GB that do take their place, compares it with itself element by
element, and with --convert writes all of it as .safetensors. Prints the most resident memory of each, and the CPU time of what writes
by that of `cp --reflink=never` of what it wrote. Needs torch 2.6 or later.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def make(path, gigabytes):
    """Writes the checkpoint. In a process of its own: a child's peak counts what its parent holds when it is started."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), torch.serialization.skip_data(materialize_fake_tensors=True):
        # A quarter of the bytes is stored transposed, and a quarter in tensors of a single row.
        state = {}
        for i in range(gigabytes):
            part = f"{'detector' if i % 4 == 0 else 'embedder'}.layers.{i}"
            state |= {f"{part}.{name}": torch.empty(8192, 8192) for name in ("first", "second")}
            state |= {f"{part}.turned": torch.empty(8192, 8192).t(), f"{part}.row": torch.empty(1, 1 << 26)}
        torch.save(state, path)


def measure(words):
    """Runs a command: its peak resident memory in MB, and its CPU seconds."""
    child = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss * 1024 / 1e6, usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--edgewright", default="target/release/edgewright")
    parser.add_argument("--gigabytes", type=int, default=13)
    parser.add_argument("--convert", action="store_true")
    parser.add_argument("--make", metavar="PATH", help="only write the checkpoint")
    options = parser.parse_args()
    if options.make:
        return make(options.make, options.gigabytes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.pth"
        words = [sys.executable, __file__, "--make", str(path), "--gigabytes", str(options.gigabytes)]
        subprocess.run(words, check=True)
        print(f"{path.stat().st_size / 1e9:.1f} GB, of which {path.stat().st_blocks * 512 / 1e6:.1f} MB on disk")
        written = Path(folder) / "written.safetensors"
        verbs = [["list", str(path)], ["extract", str(path), "--prefix", "detector.", "-o", str(written)]]
        verbs.append(["diff", "--values", str(path), str(path)])
        if options.convert:
            verbs.append(["convert", str(path), "-o", str(written)])
        for verb in verbs:
            command = [options.edgewright, "weights", *verb, "-q"]
            if str(written) not in verb:
                peak, seconds = measure(command)
                print(f"{verb[0]:8} {peak:6.0f} MB {seconds:6.1f} s", flush=True)
                continue
            peak, seconds = warm([*command, "--force"])
            copy = warm([shutil.which("cp"), "--reflink=never", str(written), str(written.with_suffix(".copy"))])[1]
            size = written.stat().st_size / 1e9
            print(f"{verb[0]:8} {peak:6.0f} MB {seconds:6.1f} s  {seconds / copy:.2f} of cp, {size:.1f} GB", flush=True)


def warm(words):
    """The medians of three runs after one that fills the cache."""
    runs = [measure(words) for _ in range(4)][1:]
    return tuple(statistics.median(column) for column in zip(*runs))


if __name__ == "__main__":
    main()
