"""The main job on the sample that comes with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from xtec.core.errors import OutputError
from xtec.io.disk.sole_use import contents
from xtec.io.run.folder import PROGRESS
from xtec_pipelines.config import ClusterConfig, make_config

SAMPLE = "srn_cdw.nxs"


def demo_config(output: str) -> ClusterConfig:
    """Configuration of the demo; an earlier demo in the same folder may be replaced, nothing else.

    Raises
    ------
    OutputError
        If the folder holds something that is not an earlier run.
    """
    folder = Path(output)
    there = contents(folder) - {PROGRESS}  # which a demo that was killed leaves
    if there and "results.nxs" not in there:
        raise OutputError("this folder holds something else", file=folder, hint="another folder with -o")
    sample = files("xtec_pipelines.sample_data") / SAMPLE
    return make_config({"inputs": (str(sample),), "output": output, "clusters": "auto", "force": True})
