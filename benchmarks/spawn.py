"""Runs a command and writes its wall seconds, peak memory and exit code as JSON.

    python spawn.py LOG REPORT.json COMMAND...

A small process in between, because a child's peak memory counts that of the process it was forked from.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time


def main(log: str, report: str, *command: str) -> None:
    """Run the command with its output in `log`."""
    with open(log, "w") as output:
        began = time.perf_counter()
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    with open(report, "w") as file:
        json.dump({"seconds": seconds, "peak_bytes": peak, "code": code}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
