# SPDX-License-Identifier: Apache-2.0
"""What dispatchd needs when nothing happens: memory, time to its start, room on the disk."""
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from measuring import (Client, Figure, dispatchd_environment, program, setting, start_dispatchd,
                       tell)

TARGET_IDLE_MIB, TARGET_READY_MS, TARGET_MIB = 12, 50, 1.5
IDLE_S = 2
PROGRAMS = ("dispatchd", "dispatch-runner", "dispatchctl")


def start_once(scratch):
    """(ms from the fork until /readyz says so, on an empty store; MiB once it is idle)"""
    directory = Path(tempfile.mkdtemp(dir=scratch))
    try:
        env = dispatchd_environment(directory, DISPATCH_LAUNCHER="process",
                                    DISPATCH_RUNNER=program("dispatch-runner"))
        began = time.perf_counter()
        with start_dispatchd(directory, env) as server, Client(server.port) as client:
            client.call("GET", "/readyz")
            ready_ms = (time.perf_counter() - began) * 1000
            time.sleep(IDLE_S if start_once.first else 0)  # what is measured is idleness
            start_once.first = False
            return ready_ms, server.rss_mib()
    finally:
        shutil.rmtree(directory)


def stripped_mib(scratch):
    total = 0
    for name in PROGRAMS:
        copy = scratch / name
        subprocess.run(["strip", "-o", copy, program(name)], check=True)
        total += copy.stat().st_size
        copy.unlink()
    return total / 1e6


def measure(scratch):
    starts = setting("BENCH_STARTS", 20)
    ready, idle = [], []
    start_once.first = True
    for number in range(starts):
        tell(f"small, start {number + 1} of {starts}")
        ready_ms, mib = start_once(scratch)
        ready.append(ready_ms)
        idle.append(mib)
    tell("")
    return [
        Figure("small", "dispatchd idle, in memory", idle[:1], "MiB", TARGET_IDLE_MIB,
               how="VmRSS, 2 s after the start on an empty store"),
        Figure("small", "ready after its start", ready, "ms", TARGET_READY_MS,
               how="from the fork until /readyz answers, on an empty store"),
        Figure("small", "the three programs, stripped", [stripped_mib(scratch)], "MB",
               TARGET_MIB),
    ], {"starts": starts}
