"""EM passes on the card: checked against the formulas, then timed beside the floor and the peers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gpu_peers
import numpy as np
from gpu_device import Card, Clock, HostClock, Times, measure, pieces
from gpu_reference import (
    LIMITS,
    Ceilings,
    Floor,
    Pass,
    bytes_of_pass,
    draw,
    errors_of_labels,
    errors_of_pass,
    flops_of_pass,
    over_limit,
    reference,
)

from xtec.core.arrays import home, library_of
from xtec.core.types import CovarianceType
from xtec.mixture import MixtureParameters, Trajectories
from xtec.mixture.em import PlainModel, expect
from xtec.mixture.fused import Frame, FusedModel
from xtec.mixture.moments import ComponentMoments
from xtec.mixture.passes import fused_model

FUSED, EXPECT, PLAIN = "xtec: fused kernel", "xtec: expect", "xtec: plain array API"
COMPILED = "xtec: compiled loops on the CPU"

Found = tuple[ComponentMoments, float]
Record = dict[str, Any]

ADD_UP = dict.fromkeys(("weight", "mean", "scatter", "log_likelihood"), 1e-5)
"""Largest relative errors of a pass over everything, from passes over pieces of it."""

_PARTS = 7
_BUDGET = 10.0


class NoKernelError(RuntimeError):
    """There is no fused kernel for such trajectories."""


def fused(x: Any, parameters: MixtureParameters) -> FusedModel:
    """The model whose kernel passes over an array."""
    frame = Frame.of_mixture(parameters)
    model = fused_model(library_of(x), parameters, frame, np.dtype(str(x.dtype)))
    if model is None:
        raise NoKernelError(f"no kernel for K, T = {parameters.means.shape} and {x.dtype}")
    return model


def fused_pass(x: Any, parameters: MixtureParameters) -> Found:
    """One pass by the fused kernel."""
    model = fused(x, parameters)
    return model.expectation(np.asarray(home(model.sums(x))), x.shape[0])


def plain_pass(x: Any, parameters: MixtureParameters) -> Found:
    """One pass in float64 by whole-array operations."""
    centre = Frame.of_mixture(parameters).centre
    moments, total = home(PlainModel(parameters, centre)(x))
    moved = ComponentMoments(moments.weight, moments.mean + centre, moments.scatter)
    return moved, float(total) / x.shape[0]


def expect_pass(x: Any, parameters: MixtureParameters) -> Found:
    """One pass as EM does it, the survey of the trajectories before it."""
    found = expect(Trajectories(x), parameters)
    return found.moments, found.log_likelihood


WAYS: dict[str, Callable[[Any, MixtureParameters], Found]] = {
    FUSED: fused_pass,
    EXPECT: expect_pass,
    PLAIN: plain_pass,
}


def check(card: Card, sizes: Sequence[int], shapes: Sequence[tuple[int, int]], seed: int) -> Iterator[Record]:
    """Every way and precision against the formulas, for numbers of trajectories and shapes (K, T)."""
    rng = np.random.default_rng(seed)
    for dtype, (k, t), (number, n) in itertools.product(LIMITS, shapes, enumerate(sizes)):
        x, given = draw(rng, n, t, k, dtype, empty=number == 1)
        expected, there = reference(x, given), card.device.upload(x)
        for name in WAYS:
            case = {"contender": name, "dtype": dtype, "n": n, "t": t, "k": k}
            limits = LIMITS["float64" if name == PLAIN else dtype]  # the plain one works in float64
            yield {**case, **_judged(card, partial(_errors, name, there, given, expected), limits)}


def _errors(name: str, x: Any, given: MixtureParameters, expected: Pass) -> dict[str, float]:
    """Errors of one way of passing; of the labels too where it has its own for them."""
    errors = errors_of_pass(WAYS[name](x, given), (expected.moments, expected.log_likelihood), given)
    if name == FUSED:
        label, probability = home(fused(x, given).predict(x))
        errors |= errors_of_labels(label, probability, expected.share)
    return errors


def _judged(card: Card, call: Callable[[], dict[str, float]], limits: dict[str, float]) -> Record:
    """Errors, and whether they are within limits; or what went wrong."""
    card.poison()
    try:
        errors = call()
    except NoKernelError as error:
        return {"errors": {}, "ok": True, "problem": str(error)}
    except card.failures as error:
        return {"errors": {}, "ok": False, "problem": f"{type(error).__name__}: {error}"}
    wrong = over_limit(errors, limits)
    problem = ", ".join(f"{name} {errors[name]:.2g} > {limits[name]:.2g}" for name in wrong)
    return {"errors": errors, "ok": not wrong, "problem": problem}


def check_whole(card: Card, x: Any, given: MixtureParameters) -> Record:
    """Whether the pass over everything at once is what passes over pieces of it add up to."""
    n, t = x.shape

    def errors() -> dict[str, float]:
        model = fused(x, given)
        parts = [
            np.asarray(home(model.sums(card.xp.asfortranarray(x[first:last]))))
            for first, last in pieces(n, max(n // _PARTS, 1))
        ]
        return errors_of_pass(fused_pass(x, given), model.expectation(np.sum(parts, axis=0), n), given)

    shape = {"contender": FUSED, "dtype": str(x.dtype), "n": n, "t": t, "k": given.n_components}
    return {**shape, **_judged(card, errors, ADD_UP)}


def start_from(x: Any, k: int, seed: int) -> MixtureParameters:
    """A mixture to start from: random trajectories, with the spread of some of them."""
    few = home(x[: min(x.shape[0], 100_000)]).astype(np.float64)
    rows = np.random.default_rng(seed).choice(len(few), k, replace=False)
    variances = np.tile(few.var(axis=0), (k, 1))
    return MixtureParameters(np.full(k, 1 / k), few[rows], variances, CovarianceType.DIAG)


@dataclass(frozen=True)
class Contender:
    """One way of passing over trajectories.

    Attributes
    ----------
    name : str
    calls : sequence of callable
        One for each set of inputs.
    clock : Clock
    by_events : bool
        Whether all its work is in this thread's stream, so that events tell its time.
    note : str
        What else is in its time.
    per : int
        Passes in a call.
    on_card : bool
        Whether the card's floor is the one to compare with.
    """

    name: str
    calls: Sequence[Callable[[], object]]
    clock: Clock
    by_events: bool = False
    note: str = ""
    per: int = 1
    on_card: bool = True


def contenders(
    card: Card,
    sets: Sequence[Any],
    given: MixtureParameters,
    wrong: set[str],
    cpu_limit: int,
    slow_limit: int,
) -> Iterator[Contender | Record]:
    """Ours and the peers for the same trajectories; a record of why where one cannot take part."""
    n = sets[0].shape[0]

    def each(call: Callable[[Any], object], inputs: Sequence[Any] = sets) -> list[Callable[[], object]]:
        return [lambda one=one: call(one) for one in inputs]

    model = None if FUSED in wrong else _model_or_none(sets[0], given)
    if model is not None:
        pass_over = each(lambda x: model.expectation(np.asarray(home(model.sums(x))), n))
        yield Contender(FUSED, pass_over, card.clock, by_events=True)
    if EXPECT not in wrong:
        surveyed = [Trajectories(x) for x in sets]
        yield Contender(EXPECT, each(lambda data: expect(data, given), surveyed), card.clock)
    if PLAIN not in wrong:
        centre = Frame.of_mixture(given).centre
        yield Contender(PLAIN, each(PlainModel(given, centre)), card.clock, by_events=True)
    yield from (
        {"contender": name, "problem": "wrong: not timed"} for name in (FUSED, EXPECT, PLAIN) if name in wrong
    )
    if n <= cpu_limit:
        host = home(sets[0])
        data = Trajectories(host)
        yield Contender(COMPILED, [lambda: expect(data, given)], HostClock(), on_card=False)
        if n <= slow_limit:
            yield _as_contender(gpu_peers.sklearn_on_cpu(host, given), HostClock(), on_card=False)
    for peer in (gpu_peers.sklearn_on(card, sets[0], given), gpu_peers.torchgmm_on(sets[0], given)):
        yield _as_contender(peer, card.clock)


def _model_or_none(x: Any, given: MixtureParameters) -> FusedModel | None:
    try:
        return fused(x, given)
    except NoKernelError:
        return None


def _as_contender(peer: gpu_peers.Peer, clock: Clock, *, on_card: bool = True) -> Contender | Record:
    if peer.call is None:
        return {"contender": peer.name, "problem": peer.note}
    return Contender(peer.name, [peer.call], clock, note=peer.note, per=peer.per, on_card=on_card)


def time_one(contender: Contender, card: Card, repeats: int) -> Times | str:
    """Times, or why there are none."""
    try:
        return measure(contender.clock, contender.calls, repeats, _BUDGET)
    except card.failures as error:
        card.device.release()
        lines = str(error).splitlines()
        return f"not available: {type(error).__name__}: {lines[0] if lines else ''}"


def as_record(contender: Contender, times: Times, shape: tuple[int, int, int], found: Ceilings) -> Record:
    """Times of a pass; on the card with what it must do at least, the floor, and how near it comes."""
    record = {
        "contender": contender.name,
        **times.as_json(contender.per),
        "by_events": contender.by_events,
        "note": contender.note,
    }
    if not contender.on_card:
        return record
    n, t, k = shape
    n_bytes, n_flops = bytes_of_pass(n, t, k, 4), flops_of_pass(n, t, k)
    floor = Floor.of(n_bytes, n_flops, found)
    took = record["device_ms" if contender.by_events else "wall_ms"]["median"] / 1e3
    return {
        **record,
        "bytes": n_bytes,
        "flops": n_flops,
        "floor_ms": 1e3 * floor.seconds,
        "floor_set_by": floor.set_by,
        "share_of_floor": floor.seconds / took,
        "to_reading_once": took / (4 * n * t / found.copy),
    }
