"""Runs a command and reports what it took: `peak BYTES CPU-SECONDS EXITCODE`, the last line on stderr.

The VmHWM of the command's process is read while it runs, because `ru_maxrss` of a child also counts what the parent
held when it forked.
"""

import os
import sys
import time


def main():
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    peak, pause = 0, 0.0002
    # WNOWAIT asks whether it has ended without taking its resource usage, which wait4 reads at the end.
    while True:
        peak = max(peak, high_water(child))
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if ended is not None:
            break
        time.sleep(pause)
        pause = min(pause * 1.02, 0.002)  # a short process is looked at more often
    _, status, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    sys.stderr.write(f"\npeak {peak} {seconds:.3f} {os.waitstatus_to_exitcode(status)}\n")


def high_water(process):
    """VmHWM of a process in bytes; 0 once its memory is gone."""
    try:
        with open(f"/proc/{process}/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except ProcessLookupError:
        pass
    return 0


main()
