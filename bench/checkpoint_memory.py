"""How much memory `edgewright weights` needs for a checkpoint that is larger than it may hold.

    python bench/checkpoint_memory.py --edgewright target/release/edgewright [--gigabytes 13] [--convert]

Makes a checkpoint of that size whose file is sparse (its elements take no place on the disk), lists it, compares it with
itself element by element and, with --convert, writes it as .safetensors, which does take the place. Prints the most
resident memory of each. Needs torch 2.6 or later.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def make(path, gigabytes):
    """Writes the checkpoint. In a process of its own: a child's peak counts what its parent holds when it is started."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), torch.serialization.skip_data(materialize_fake_tensors=True):
        # A quarter of the bytes is stored transposed, and a quarter in tensors of a single row.
        state = {f"layers.{i}.weight": torch.empty(8192, 8192) for i in range(gigabytes * 2)}
        state |= {f"layers.{i}.turned": torch.empty(8192, 8192).t() for i in range(gigabytes)}
        state |= {f"layers.{i}.row": torch.empty(1, 1 << 26) for i in range(gigabytes)}
        torch.save({"model": state}, path)


def measure(words):
    """Runs a command: its peak resident memory in MB, and its seconds."""
    started = time.monotonic()
    child = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1024, time.monotonic() - started


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
        verbs = [["list", str(path)], ["diff", "--values", str(path), str(path)]]
        if options.convert:
            verbs.append(["convert", str(path), "-o", str(Path(folder) / "large.safetensors")])
        for verb in verbs:
            peak, seconds = measure([options.edgewright, "weights", *verb, "-q"])
            print(f"{verb[0]:8} {peak:6.0f} MB {seconds:6.1f} s")


if __name__ == "__main__":
    main()
