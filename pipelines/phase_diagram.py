"""``xtec phase-diagram``: Tc of many samples against composition, field, pressure or strain."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from xtec.core.diagram import PhaseDiagram
from xtec.core.errors import ConfigError, NothingToClusterError, XtecError
from xtec.core.order import OrderFindings
from xtec.core.progress import Progress
from xtec.core.quantities import Quantity
from xtec.core.results import ClusteredRun
from xtec.io.disk.atomic import write_json, write_text
from xtec.io.disk.sole_use import sole_use
from xtec.io.run.clustered import read_clustered
from xtec.io.run.folder import check_output
from xtec.io.run.phase_diagram import write_phase_diagram
from xtec.order_parameter import LEAST_TEMPERATURES
from xtec.phase_diagram import SampleTransitions, assemble
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.findings.abscissa import abscissa
from xtec_pipelines.findings.joint import JointClusters, cluster_jointly
from xtec_pipelines.findings.places import superlattice
from xtec_pipelines.logbook import logbook
from xtec_pipelines.order_parameter import OrderConfig, find_order
from xtec_pipelines.run_folder import run_folder
from xtec_pipelines.validation import read_recipe, validated

logger = logging.getLogger(__name__)


class PhaseDiagramConfig(BaseModel):
    """What decides the result of ``xtec phase-diagram``, and where it goes.

    `inputs` are run folders, or series that are clustered first, all with the options in `cluster`. `values`
    gives x by the name of a run, a sample or an input; what is not named there is taken from the files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[str, ...] = Field(min_length=1)
    output: str
    against: str | None = None
    units: str | None = None
    values: dict[str, float] = Field(default_factory=dict)
    joint: bool = False
    symmetry: str | None = None
    seed: int = Field(default=0, ge=0)
    figures: bool = True
    force: bool = False
    cluster: dict[str, Any] = Field(default_factory=dict)

    @field_validator("values", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """From ``NAME=0.15`` as on the command line."""
        if isinstance(value, Mapping):
            return value
        named = [str(one).rpartition("=") for one in value] if isinstance(value, list | tuple) else []
        if not all(name and number for name, _, number in named):
            raise ConfigError("a value is written NAME=NUMBER", hint="--value runs/a=0.15")
        return {name: number for name, _, number in named}

    @model_validator(mode="after")
    def _known_options(self) -> PhaseDiagramConfig:
        """What is said of clustering is checked even where every input is a run."""
        make_config({**self.cluster, "inputs": ("series",), "output": "run"})
        if self.joint and not isinstance(self.cluster.get("clusters", 4), int):
            raise ConfigError("joint clustering needs a number of clusters", hint="-k 4")
        return self


@dataclass(frozen=True)
class SampleFindings:
    """One sample of a phase diagram.

    Attributes
    ----------
    name : str
    x : float
    run : ClusteredRun
    order : OrderFindings
    """

    name: str
    x: float
    run: ClusteredRun
    order: OrderFindings


@dataclass(frozen=True)
class DiagramFindings:
    """What `xtec phase-diagram` finds out.

    Attributes
    ----------
    diagram : PhaseDiagram
    samples : sequence of SampleFindings
    joint : JointClusters or None
        Where samples were clustered together.
    failed : mapping
        Inputs that could not be used, and why.
    warnings : sequence of str
    """

    diagram: PhaseDiagram
    samples: Sequence[SampleFindings]
    joint: JointClusters | None = None
    failed: Mapping[str, str] | None = None
    warnings: Sequence[str] = ()


def load_phase_diagram_recipe(path: Path) -> PhaseDiagramConfig:
    """Read a recipe with ``command = "phase-diagram"``.

    Raises
    ------
    ConfigError
        If it is of another command, or asks for something unknown.
    """
    command, values = read_recipe(path)
    if command != "phase-diagram":
        raise ConfigError(f"this recipe is one of {command!r}", file=path, hint='command = "phase-diagram"')
    try:
        return validated(PhaseDiagramConfig, values)
    except ConfigError as error:
        raise ConfigError(error.what, file=path, hint=error.hint) from None


def run_phase_diagram(config: PhaseDiagramConfig, progress: Progress | None = None) -> DiagramFindings:
    """Find the transitions of every sample and the boundaries through them, and write the folder.

    A sample that cannot be used is left out with a warning, unless it is the only one.

    Raises
    ------
    ConfigError
        If an x is missing or samples do not fit together.
    NothingToClusterError
        If no sample can be used.
    OutputError
        If the folder cannot be written.
    """
    progress = progress or Progress()
    folder = Path(config.output)
    series = [Path(item) for item in config.inputs if not _is_run(item)]
    check_output(folder, series, force=config.force)
    with logbook() as book, sole_use(folder):
        runs, failed = _runs(config, folder, progress)
        x, variable, units = abscissa(runs, _values(config, failed), config.against, config.units)
        joint = None
        clustered = list(runs.values())
        if config.joint:
            with progress.stage("joint"):
                number = int(config.cluster.get("clusters", 4))
                clustered, joint = cluster_jointly(clustered, number, config.seed)
        with progress.stage("fit", total=len(clustered), unit="samples") as advance:
            samples = []
            for item, run in zip(runs, clustered, strict=True):
                order = find_order(run, OrderConfig(run=item, symmetry=config.symmetry, seed=config.seed))
                samples.append(SampleFindings(_sample_name(run, item), x[item], run, order))
                advance(1)
        with progress.stage("boundary"):
            units_of_tc = clustered[0].curves.scan.units
            found = [_transitions(one, config.symmetry) for one in _distinct(samples)]
            diagram = assemble(found, variable, units, units_of_tc)
        findings = DiagramFindings(diagram, samples, joint, failed, tuple(book.warnings))
        with progress.stage("write"):
            _write(folder, findings, config)
    return findings


def _is_run(item: str) -> bool:
    return (run_folder(item) / "results.nxs").exists()


def _runs(
    config: PhaseDiagramConfig, folder: Path, progress: Progress
) -> tuple[dict[str, ClusteredRun], dict[str, str]]:
    """Runs by input; series are clustered into the folder first."""
    runs, failed = {}, {}
    for item in config.inputs:
        try:
            runs[item] = read_clustered(_clustered(item, config, folder, progress))
        except ConfigError:
            raise
        except XtecError as error:
            if len(config.inputs) == 1:
                raise
            failed[item] = error.what
            logger.warning("%s is left out: %s", item, error.what)
    if not runs:
        reasons = "; ".join(f"{item}: {why}" for item, why in failed.items())
        raise NothingToClusterError(f"no sample can be used: {reasons}")
    return runs, failed


def _clustered(item: str, config: PhaseDiagramConfig, folder: Path, progress: Progress) -> Path:
    """The run folder of an input."""
    if _is_run(item):
        return run_folder(item)
    names = [Path(other).name.removesuffix(".nxs") for other in config.inputs]
    name = Path(item).name.removesuffix(".nxs")
    if names.count(name) > 1:
        name = f"{Path(item).resolve().parent.name}_{name}_{config.inputs.index(item) + 1}"
    place = folder / "runs" / re.sub(r"[^\w.+-]", "_", name)
    settings = {"figures": False, "seed": config.seed, **config.cluster}
    run_cluster(make_config({**settings, "inputs": (item,), "output": str(place), "force": True}), progress)
    return place


def _values(config: PhaseDiagramConfig, failed: Mapping[str, str]) -> dict[str, float]:
    """The values given, without those of inputs that could not be used."""
    gone = {name for item in failed for name in (item, Path(item).name)}
    return {name: x for name, x in config.values.items() if name not in gone}


def _sample_name(run: ClusteredRun, item: str) -> str:
    return run.sample.name or Path(item).stem


def _distinct(samples: Sequence[SampleFindings]) -> list[SampleFindings]:
    """The samples with names that differ: the run's is added where the sample's is there twice."""
    names = [one.name for one in samples]
    return [
        one if names.count(one.name) == 1 else replace(one, name=f"{one.name} [{i + 1}: {one.run.name}]")
        for i, one in enumerate(samples)
    ]


def _transitions(one: SampleFindings, symmetry: str | None) -> SampleTransitions:
    values = np.unique(one.run.curves.scan.values)
    lowest = float(values[2]) if values.size >= LEAST_TEMPERATURES else float("nan")
    present = superlattice(one.run, symmetry)
    if present and not one.order.order_parameters:
        where = ", ".join(vector.text for vector in present[:3])
        logger.warning("%s has peaks at %s that do not set in: its Tc is not known", one.name, where)
    order = one.order
    return SampleTransitions(one.name, one.x, order.order_parameters, order.wave_vectors, lowest, present)


def diagram_summary(findings: DiagramFindings) -> dict[str, Any]:
    """summary.json of a phase diagram."""
    diagram = findings.diagram
    return {
        "phase_diagram": {
            "variable": diagram.variable,
            "units": diagram.units,
            "samples": [
                {
                    "name": point.name,
                    "x": point.x,
                    "tc": _json(point.tc),
                    "upper_limit": _json(_below(point.upper_limit, diagram.temperature_units)),
                    "boundary": point.boundary,
                    "beta": _json(point.beta),
                    "kind": point.kind,
                }
                for point in diagram.points
            ],
            "boundaries": [
                {
                    "name": one.name,
                    "t0": _json(one.t0),
                    "xc": _json(one.xc),
                    "phi": _json(one.phi),
                    "scatter": one.scatter,
                    "note": one.note,
                }
                for one in diagram.boundaries
            ],
        },
        "failed": dict(findings.failed or {}),
        "status": {"state": "done", "warnings": list(findings.warnings)},
    }


def _below(limit: float | None, units: str) -> Quantity | None:
    """An upper limit as a quantity: nothing below it is known."""
    return None if limit is None else Quantity(limit, None, limit, units)


def _json(quantity: Quantity | None) -> dict[str, Any] | None:
    return None if quantity is None else quantity.as_json()


def _write(folder: Path, findings: DiagramFindings, config: PhaseDiagramConfig) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shared = None
    if findings.joint is not None:
        shared = (findings.joint.curves, findings.joint.counts, [one.name for one in findings.samples])
    write_phase_diagram(folder, findings.diagram, config.model_dump(mode="json"), shared)
    recipe = config.model_dump(mode="json", exclude_none=True, exclude={"force"})
    recipe["inputs"] = [str(Path(item).resolve()) for item in config.inputs]
    inputs = dict(zip(config.inputs, recipe["inputs"], strict=True))
    recipe["values"] = {inputs.get(name, name): x for name, x in config.values.items()}
    recipe["output"] = str(folder.resolve())
    write_text(folder / "run.toml", tomli_w.dumps({"command": "phase-diagram", **recipe}))
    if config.figures:
        from xtec.plotting import plot_phase_diagram, plot_trajectories, save_figure

        for ending in ("png", "svg"):
            save_figure(plot_phase_diagram(findings.diagram), folder / f"phase_diagram.{ending}")
        if findings.joint is not None:
            save_figure(plot_trajectories(findings.joint.curves), folder / "joint_clusters.png")
    write_json(folder / "summary.json", diagram_summary(findings))
