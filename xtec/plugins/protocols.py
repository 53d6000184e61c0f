"""The slots: what each is for, and what a plugin of it must be able to do.

Any object with the methods of a protocol is one. Where it has ``summary_``, a sentence on what it learned,
that is shown and recorded. Transformers, mixtures, clusterers and outlier detectors of
scikit-learn are, as they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from numpy.typing import ArrayLike, NDArray

from xtec.core.types import Float64Array, FloatArray

if TYPE_CHECKING:
    import xarray

    from xtec.core.order import CurveReading


@runtime_checkable
class Reader(Protocol):
    """Opens files that are not NeXus."""

    def can_open(self, path: Path) -> bool:
        """Whether a file is of this kind; quick, and never raises."""

    def open(self, path: Path) -> xarray.DataArray:
        """A series, dims (scan, ..., L, K, H) slowest first, with coordinates that have ``units``.

        Nothing should be read until values are asked for.
        """


@runtime_checkable
class Features(Protocol):
    """Makes of each trajectory what is clustered in its place: a transformer of scikit-learn."""

    def fit(self, rows: FloatArray) -> Self:
        """Learn from trajectories, shape (n, T)."""

    def transform(self, rows: FloatArray) -> FloatArray:
        """Features, shape (n, F); of each trajectory whatever the others are."""


@runtime_checkable
class Clusterer(Protocol):
    """Clusters trajectories or their features: an estimator of scikit-learn that can also predict.

    Where it has ``predict_proba``, that gives the probabilities of the labels.
    """

    def fit(self, rows: FloatArray) -> Self:
        """Learn clusters from trajectories, shape (n, T)."""

    def predict(self, rows: FloatArray) -> NDArray[Any]:
        """Cluster 0..K-1 of each."""


@runtime_checkable
class Novelty(Protocol):
    """Tells how like a reference trajectories are: an outlier detector of scikit-learn.

    Where it has ``offset_``, what scores below that counts as novel.
    """

    def fit(self, rows: FloatArray) -> Self:
        """Learn what is known, shape (n, T)."""

    def score_samples(self, rows: FloatArray) -> NDArray[Any]:
        """The lower, the more unlike what is known; shape (n,)."""


@runtime_checkable
class ClusterCounter(Protocol):
    """Chooses the number of clusters; called with ``lowest=, highest=, random_state=``.

    Afterwards it has ``n_clusters_``; it may have ``reason_``, a phrase, and ``curves_``, a mapping from
    ``bic``, ``icl``, ``silhouette``, ``stability``, ``size``, ``fidelity`` or ``gain`` to an array with a
    value for each number from the lowest to the highest.
    """

    n_clusters_: int

    def fit(self, rows: FloatArray) -> Self:
        """Choose, from trajectories of shape (n, T)."""


@runtime_checkable
class CurveFitter(Protocol):
    """Reads an order parameter off one curve."""

    def fit(self, temperature: Float64Array, intensity: Float64Array, sigma: Float64Array) -> CurveReading:
        """What the curve says; each of shape (T,), in any order, sigma NaN where it is not known."""


@runtime_checkable
class TemperatureSampler(Protocol):
    """Proposes temperatures; called with ``low, high, step=, direction=, budget=``.

    Where it also has ``suggest(n)``, which gives objects with ``temperature`` and ``reason``, that is asked.
    """

    def tell(self, x: ArrayLike, y: ArrayLike) -> None:
        """Take in the intensities of all curves at one temperature; NaN until a cluster is seen to order."""

    def ask(self, n: int = 1) -> Sequence[float]:
        """The next temperatures; fewer, or none, where no more are allowed."""


@runtime_checkable
class Writer(Protocol):
    """Writes more files into a run folder."""

    def write(self, folder: Path, run: xarray.DataTree) -> None:
        """Write what the run holds (see `xtec.open_run`) into its folder."""


@dataclass(frozen=True)
class Slot:
    """A place for plugins.

    Attributes
    ----------
    name : str
        Entry points are of the group ``xtec.NAME``.
    option : str
        Of the command line.
    what : str
    protocol : type
    builtin : str
        What is done without a plugin.
    """

    name: str
    option: str
    what: str
    protocol: type
    builtin: str

    @property
    def methods(self) -> tuple[str, ...]:
        """What a plugin must have."""
        return tuple(
            name for name, member in vars(self.protocol).items() if callable(member) and name[0] != "_"
        )


SLOTS = {
    one.name: one
    for one in (
        Slot("readers", "--reader", "opens other files", Reader, "NeXus and HDF5"),
        Slot("features", "--features", "what is clustered for trajectories", Features, "trajectories"),
        Slot("clusterers", "--clusterer", "finds clusters", Clusterer, "Gaussian mixture"),
        Slot("novelty", "--novelty", "tells what is unlike a reference", Novelty, "none"),
        Slot("selectors", "--selector", "chooses the number of clusters", ClusterCounter, "shapes"),
        Slot("order_parameters", "--method", "reads Tc off a curve", CurveFitter, "power laws"),
        Slot("samplers", "--sampler", "proposes temperatures", TemperatureSampler, "gp"),
        Slot("writers", "--writer", "writes more files", Writer, "none"),
    )
}
"""All slots by name."""
