"""Run ``xtec cluster`` on Dask workers that Slurm starts as jobs of their own (needs dask-jobqueue).

    python pipelines/slurm/jobqueue.py --jobs 8 --queue cpu -- nxrefine/SrRhSn/cubic -o runs/cubic -k 4

What stands after ``--`` goes to ``xtec cluster``. Workers come and go as the queue lets them; a run goes on
with those that are there.
"""

from __future__ import annotations

import argparse
import subprocess

from dask_jobqueue import SLURMCluster


def main() -> int:
    """Ask Slurm for workers, and run until the run ends."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=4, help="Slurm jobs to keep running [4]")
    parser.add_argument("--cores", type=int, default=16, help="cores of a job, one worker each [16]")
    parser.add_argument("--memory", default="64GB", help="memory of a job [64GB]")
    parser.add_argument("--walltime", default="04:00:00", help="time of a job [04:00:00]")
    parser.add_argument("--queue", help="partition")
    parser.add_argument("--account", help="account")
    parser.add_argument("xtec", nargs=argparse.REMAINDER, help="-- and the arguments of xtec cluster")
    asked = parser.parse_args()
    with SLURMCluster(
        cores=asked.cores,
        processes=asked.cores,
        memory=asked.memory,
        walltime=asked.walltime,
        queue=asked.queue,
        account=asked.account,
    ) as cluster:
        cluster.scale(jobs=asked.jobs)
        command = ["xtec", "cluster", *asked.xtec[1:], "--scheduler", cluster.scheduler_address]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
