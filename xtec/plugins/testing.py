"""What a plugin of each slot must do: for the tests of a plugin, and for ``xtec plugins check``.

from xtec.plugins.testing import assert_conforms
assert_conforms("features", MyFeatures, components=3)
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array, FloatArray
from xtec.plugins.protocols import SLOTS
from xtec.plugins.registry import fitting_options
from xtec.plugins.state import Stateful, load_state_bytes, pack_state

_N_CLUSTERS = 3
_SEED = 7
_LOW, _HIGH = 30.0, 150.0


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    Attributes
    ----------
    name : str
        What must hold.
    reason : str
        Why it does not; empty where it does.
    """

    name: str
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return not self.reason

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {"name": self.name, "passed": self.passed, "reason": self.reason}


def trajectories(
    n: int = 600, n_temperatures: int = 24, seed: int = 1
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Rescaled trajectories of three kinds: what orders, what grows, what stays; and which is which.

    Parameters
    ----------
    n, n_temperatures : int
    seed : int

    Returns
    -------
    rows : array, shape (n, T), float32
        I / mean - 1.
    kind : array, shape (n,)
        0, 1, 2.
    """
    rng = np.random.default_rng(seed)
    x = np.linspace(0.0, 1.2, n_temperatures)
    order = 0.2 + np.maximum(1 - x, 0.0) ** 0.7
    shapes = np.stack([order / order.mean(), (0.6 + x) / (0.6 + x).mean(), np.ones_like(x)]) - 1
    kind = np.arange(n) % 3
    noise = 0.05 * rng.standard_normal((n, n_temperatures))
    return (shapes[kind] + noise).astype(np.float32), kind


def check(slot: str, make: Callable[..., Any], **options: Any) -> list[Check]:
    """Try a plugin out on trajectories whose truth is known.

    Parameters
    ----------
    slot : str
        Of `xtec.plugins.SLOTS`.
    make : callable
        What the entry point names.
    options
        Of the plugin, as a person would give them.

    Raises
    ------
    ConfigError
        If there is no such slot.
    """
    if slot not in SLOTS:
        raise ConfigError(f"there is no slot {slot!r}", hint=", ".join(SLOTS))
    try:
        plugin = _made(slot, make, options)
    except Exception as error:  # noqa: BLE001  whatever another's code raises is what is to be reported
        return [Check("it can be made", repr(error))]
    missing = [name for name in SLOTS[slot].methods if not callable(getattr(plugin, name, None))]
    done = [Check("it can be made"), Check("it has its methods", ", ".join(missing))]
    if missing:
        return done
    steps = _STEPS[slot](lambda: _made(slot, make, options))
    while True:
        try:
            done.append(next(steps))
        except StopIteration:
            return done
        except Exception as error:  # noqa: BLE001  as above
            return [*done, Check("it does not fail", repr(error))]


def assert_conforms(slot: str, make: Callable[..., Any], **options: Any) -> None:
    """Raise an AssertionError that says what does not hold.

    Raises
    ------
    AssertionError
    """
    failed = [f"{one.name}: {one.reason}" for one in check(slot, make, **options) if not one.passed]
    assert not failed, "; ".join(failed)


def _made(slot: str, make: Callable[..., Any], options: dict[str, Any]) -> Any:
    fixed: tuple[Any, ...] = ()
    given: dict[str, Any] = {}
    if slot == "samplers":
        fixed, given = (_LOW, _HIGH), {"step": 5.0, "direction": "either", "budget": 12}
    if slot == "selectors":
        given = {"lowest": 1, "highest": 6}
    n_clusters = _N_CLUSTERS if slot == "clusterers" else None
    return make(*fixed, **{**given, **fitting_options(make, n_clusters=n_clusters, seed=_SEED), **options})


def _holds(name: str, truth: bool, reason: str = "it does not") -> Check:
    return Check(name, "" if truth else reason)


def _same(some: Any, other: Any) -> bool:
    return bool(np.allclose(np.asarray(some), np.asarray(other), rtol=1e-4, atol=1e-5))


def _estimator(fresh: Callable[[], Any], call: Callable[[Any, FloatArray], Any]) -> Iterator[Check]:
    """What every plugin must do that learns from trajectories and is asked about others."""
    rows, _ = trajectories()
    before = rows.copy()
    one = fresh()
    one.fit(rows)
    found = np.asarray(call(one, rows))
    yield _holds("its input is not changed", bool((rows == before).all()))
    yield _holds("it answers for every trajectory", len(found) == len(rows), f"{len(found)} of {len(rows)}")
    yield _holds("it gives numbers", bool(np.isfinite(found).all()), "NaN or infinity")
    apart = np.concatenate([np.asarray(call(one, part)) for part in np.split(rows, 3)])
    yield _holds("the answer for a trajectory does not depend on the others", _same(found, apart))
    again = fresh()
    again.fit(rows)
    yield _holds("a seed settles the answer", _same(found, call(again, rows)))
    sent = pickle.loads(pickle.dumps(one))  # our own bytes, as Dask sends them to workers
    yield _holds("it can be sent to other processes", _same(found, call(sent, rows)))
    if isinstance(one, Stateful):
        other = fresh()
        other.set_state(load_state_bytes("plugin", pack_state("plugin", one.get_state())))
        yield _holds("what it learned can be saved and used again", _same(found, call(other, rows)))


def _features(fresh: Callable[[], Any]) -> Iterator[Check]:
    yield from _estimator(fresh, lambda one, rows: one.transform(rows))
    rows, _ = trajectories()
    one = fresh()
    one.fit(rows)
    found = np.asarray(one.transform(rows))
    yield _holds("features have shape (n, F)", found.ndim == 2 and found.shape[1] >= 1, f"{found.shape}")


def _clusterer(fresh: Callable[[], Any]) -> Iterator[Check]:
    yield from _estimator(fresh, lambda one, rows: one.predict(rows))
    rows, kind = trajectories()
    one = fresh()
    one.fit(rows)
    labels = np.asarray(one.predict(rows))
    whole = labels.ndim == 1 and labels.dtype.kind in "iu" and labels.min() >= 0
    yield _holds("labels are 0..K-1", bool(whole), f"{labels.dtype} of shape {labels.shape}")
    if hasattr(one, "predict_proba"):
        share = np.asarray(one.predict_proba(rows))
        fits = share.shape == (len(rows), share.shape[-1]) and np.allclose(share.sum(axis=1), 1, atol=1e-3)
        yield _holds("probabilities add up to 1", bool(fits), f"shape {share.shape}")
        yield _holds("labels are the most probable", float((share.argmax(axis=1) == labels).mean()) > 0.99)
    pure = np.mean([np.bincount(kind[labels == k]).max() for k in np.unique(labels)]) * np.unique(labels).size
    yield _holds("three plain shapes are told apart", pure / len(rows) > 0.95, f"{pure / len(rows):.2f} pure")


def _novelty(fresh: Callable[[], Any]) -> Iterator[Check]:
    yield from _estimator(fresh, lambda one, rows: one.score_samples(rows))
    rows, _ = trajectories()
    one = fresh()
    one.fit(rows)
    strange = rows[:100, ::-1] * np.float32(2) + np.float32(1)
    known, unknown = (np.asarray(one.score_samples(some)) for some in (rows, strange))
    yield _holds("a score has shape (n,)", known.ndim == 1, f"{known.shape}")
    share = float((unknown[:, None] < known[None]).mean())
    yield _holds("strange trajectories score lower", share > 0.9, f"in {100 * share:.0f} % of pairs")


def _selector(fresh: Callable[[], Any]) -> Iterator[Check]:
    rows, _ = trajectories()
    chosen = []
    for _ in range(2):
        one = fresh()
        one.fit(rows)
        chosen.append(int(one.n_clusters_))
    yield _holds("it chooses a number that is allowed", 1 <= chosen[0] <= 6, f"{chosen[0]}")
    yield _holds("a seed settles the answer", chosen[0] == chosen[1], f"{chosen[0]}, then {chosen[1]}")


def _curve() -> tuple[Float64Array, Float64Array, Float64Array]:
    rng = np.random.default_rng(3)
    t = np.linspace(30.0, 200.0, 24)
    clean = 10 + 100 * np.maximum(1 - t / 130.0, 0.0) ** 0.7
    return t, clean + rng.normal(0, 0.5, t.size), np.full(t.size, 0.5)


def _curve_fitter(fresh: Callable[[], Any]) -> Iterator[Check]:
    from xtec.core.order import CurveReading

    t, intensity, sigma = _curve()
    found = fresh().fit(t.copy(), intensity.copy(), sigma.copy())
    yield _holds("it gives a CurveReading", isinstance(found, CurveReading), type(found).__name__)
    if found.tc is not None:
        yield _holds("Tc is near", abs(found.tc.value - 130.0) < 10.0, f"{found.tc.value:.1f} K for 130 K")
    turned = fresh().fit(t[::-1].copy(), intensity[::-1].copy(), sigma.copy())
    same = (found.tc is None) == (turned.tc is None)
    if found.tc is not None and turned.tc is not None:
        same = abs(found.tc.value - turned.tc.value) < 0.5
    yield _holds("the order of temperatures is of no matter", same)
    flat = fresh().fit(t, 10 + np.random.default_rng(5).normal(0, 0.5, t.size), sigma)
    yield _holds("a constant curve has no transition", flat.kind == "none", flat.kind)


def _sampler(fresh: Callable[[], Any]) -> Iterator[Check]:
    one = fresh()
    t, intensity, _ = _curve()
    for value in (40.0, 90.0, 140.0):
        one.tell(value, np.array([np.interp(value, t, intensity)]))
    asked = [float(value) for value in one.ask(3)]
    yield _holds("it gives no more than asked for", len(asked) <= 3, f"{len(asked)}")
    yield _holds("it stays in its bounds", all(_LOW <= value <= _HIGH for value in asked), f"{asked}")


def _reader(fresh: Callable[[], Any]) -> Iterator[Check]:
    yield _holds("it does not open what is not there", not fresh().can_open(Path("no such file.xyz")))


def _writer(_: Callable[[], Any]) -> Iterator[Check]:
    yield from ()


_STEPS: dict[str, Callable[[Callable[[], Any]], Iterator[Check]]] = {
    "readers": _reader,
    "features": _features,
    "clusterers": _clusterer,
    "novelty": _novelty,
    "selectors": _selector,
    "order_parameters": _curve_fitter,
    "samplers": _sampler,
    "writers": _writer,
}
