"""Mutation testing: whether the tests notice when the mathematics is changed.

    python benchmarks/mutants.py threshold --sample 80 -o FILE.json        # or em, or order
    python benchmarks/mutants.py threshold --again FILE.json -o FILE2.json     # its survivors, on more tests

Mutants are those of cosmic-ray (``pip install cosmic-ray``): one operator, comparison, number, condition or
loop of a module is changed. A seeded random sample is tried, each in a copy of the package, in a process
forked from one that has the libraries loaded, on the quick tests that hold its module. A mutant is killed if
a test fails, if it cannot be imported, or if it takes far more processor time or memory than the tests do;
what has survived is listed with the line that was changed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import multiprocessing
import os
import random
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("xtec", "tests", "pyproject.toml")

OPERATORS = {
    "Binary": "Add_Sub Sub_Add Mul_Div Div_Mul Pow_Mul FloorDiv_Div Mod_Div BitAnd_BitOr BitOr_BitAnd",
    "Comparison": "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot",
    "Unary": "Delete_USub Delete_Not Delete_Invert",
}
"""Replacements of cosmic-ray that keep types; the others (+ by <<, say) fail wherever a test comes by."""

OTHERS = (
    "AddNot NumberReplacer ReplaceAndWithOr ReplaceBreakWithContinue ReplaceContinueWithBreak "
    "ReplaceFalseWithTrue ReplaceOrWithAnd ReplaceTrueWithFalse ZeroIterationForLoop"
)

LIBRARIES = (
    "array_api_strict",
    "h5py",
    "hypothesis",
    "lmfit",
    "numba",
    "pytest",
    "scipy.stats",
    "sklearn.mixture",
)
"""Loaded once, before processes are forked."""

UNWARNED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""Hypothesis is there before pytest."""

MEMORY = 12 << 30
KILLED, SURVIVED = "killed", "survived"


@dataclass(frozen=True)
class Held:
    """A module and the arguments of pytest for tests that hold it, the quick ones and all."""

    module: str
    quick: str
    all: str


_DENSITIES = "tests/mixture/test_densities.py tests/mixture/test_moments.py"
_INTERVALS = "tests/order_parameter/test_intervals.py"
_CANDIDATES = "tests/order_parameter/test_candidates.py"
_FIT = (
    "tests/order_parameter/test_fit.py -k 'test_intervals or test_grid or test_candidates or sets_in or faint"
    " or too_few or straight or unevenly or second_onset_gains or take_twelve or degrees_of_freedom"
    " or (exact_onsets and 131.0) or (jump_lies and 0-0.002) or (smooth_curves_without and 0.001)"
    " or (within_a_spacing and 0) or (saturating and 0) or (gives_its_width and 4.0-0)"
    " or (told_apart and 0)'"
)
_CUTOFF = "tests/preprocess/test_background.py tests/preprocess/test_elsewhere.py -k 'not (rescaled or vary)'"


def _held(folder: str, everything: str, **quick: str) -> tuple[Held, ...]:
    return tuple(Held(f"xtec/{folder}/{name}.py", tests, everything) for name, tests in quick.items())


PARTS = {
    "threshold": _held(
        "preprocess",
        "tests/preprocess",
        background="tests/preprocess/test_background.py",
        spread=_CUTOFF,
    ),
    "em": _held(
        "mixture",
        "tests/mixture",
        em=f"{_DENSITIES} tests/mixture/test_maximise.py tests/mixture/test_em.py -k 'not longer_steps_end'",
        moments=_DENSITIES,
        covariance=f"{_DENSITIES} tests/mixture/test_maximise.py tests/mixture/test_em.py -k 'not longer'",
        squarem="tests/mixture/test_squarem.py",
        stepwise="tests/mixture/test_stepwise.py",
        fused="tests/mixture/test_fused.py",
    ),
    "kernels": _held("mixture", "tests/mixture", kernels="tests/mixture/test_fused.py"),
    "order": _held(
        "order_parameter",
        "tests/order_parameter",
        models="tests/order_parameter/test_models.py",
        grid=f"tests/order_parameter/test_grid.py {_INTERVALS} {_FIT}",
        candidates=f"{_CANDIDATES} {_FIT}",
        fit=f"{_CANDIDATES} {_FIT}",
        polish=f"{_CANDIDATES} {_INTERVALS}",
        intervals=f"{_INTERVALS} {_FIT}",
    ),
}


@dataclass(frozen=True)
class Mutant:
    """One change: which occurrence of an operator in a module, and where that is."""

    module: str
    operator: str
    occurrence: int
    line: int
    column: int


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant, and by which test or limit."""

    mutant: Mutant
    changed: str
    outcome: str
    by: str
    seconds: float


def operator_names() -> list[str]:
    """Names in cosmic-ray of what is tried."""
    replaced = [
        f"Replace{kind}Operator_{pair}" for kind, pairs in OPERATORS.items() for pair in pairs.split()
    ]
    return [f"core/{name}" for name in (*replaced, *OTHERS.split())]


def mutants_of(module: str) -> list[Mutant]:
    """All mutants of a module, but for those in annotations, which are never run."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    source = (ROOT / module).read_text(encoding="utf-8")
    unused = annotations(source)
    nodes = list(ast_nodes(get_ast(source)))
    found = []
    for name in operator_names():
        operator = get_operator(name)()
        places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        found += [
            Mutant(module, name, number, *place)
            for number, place in enumerate(places)
            if not any(start <= place < end for start, end in unused)
        ]
    return found


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations start and end, (line, column) each."""
    nodes = [
        part
        for node in ast.walk(ast.parse(source))
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if isinstance(part, ast.expr)
    ]
    return [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in nodes]


def mutated(mutant: Mutant) -> str:
    """The source of the module with the change."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = (ROOT / mutant.module).read_text(encoding="utf-8")
    return str(mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence))


def changed_line(mutant: Mutant, source: str) -> str:
    """What the change is, ``before -> after``."""
    before = (ROOT / mutant.module).read_text(encoding="utf-8").splitlines()
    for one, other in zip(before, source.splitlines(), strict=False):
        if one != other:
            return f"{one.strip()}  ->  {other.strip()}"
    return "nothing"


class Copy:
    """A copy of the package and its tests, in which modules are changed and tests are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name)
            else:
                shutil.copy2(ROOT / name, folder / name)

    @contextlib.contextmanager
    def changed(self, module: str, source: str) -> Iterator[None]:
        """With another source of a module."""
        (self.folder / module).write_text(source, encoding="utf-8")
        yield
        shutil.copy2(ROOT / module, self.folder / module)

    def run(self, tests: str, limit: float) -> tuple[str, str, float]:
        """Run the tests: the outcome, the first failure or the limit, and the processor time in seconds."""
        output = self.folder / "output.txt"
        child = os.fork()
        if child == 0:
            try:
                self._tests(tests, output, limit)
            finally:
                traceback.print_exc()
                os._exit(99)
        _, status, usage = os.wait4(child, 0)
        spent = usage.ru_utime + usage.ru_stime
        if os.WIFSIGNALED(status):
            return KILLED, signal.Signals(os.WTERMSIG(status)).name, spent
        code = os.WEXITSTATUS(status)
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
        if code not in (0, 1, 2):
            raise RuntimeError("\n".join([f"pytest ended with {code}", *lines[-20:]]))
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        by = failed[0].split(" - ")[0] if failed else f"exit code {code}"
        return (KILLED, by, spent) if code else (SURVIVED, "", spent)

    def _tests(self, tests: str, output: Path, limit: float) -> None:
        """In the forked process."""
        sys.dont_write_bytecode = True  # a file changed twice a second is not told apart
        sys.path.insert(0, str(self.folder))
        os.chdir(self.folder)
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        import pytest

        options = ["-q", "-x", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-m", "not slow", *UNWARNED]
        os._exit(int(pytest.main([*options, *shlex.split(tests)])))


def sampled(name: str, size: int, seed: int) -> tuple[list[Mutant], int]:
    """A random sample of the mutants of a part, and how many there are; larger samples hold smaller ones."""
    known = [mutant for held in PARTS[name] for mutant in mutants_of(held.module)]
    random.Random(seed).shuffle(known)
    return known[:size], len(known)


def earlier(file: Path) -> list[Outcome]:
    """What a run has written."""
    if not file.exists():
        return []
    known = json.loads(file.read_text(encoding="utf-8"))["outcomes"]
    return [Outcome(**{**one, "mutant": Mutant(**one["mutant"])}) for one in known]


_copy: Copy


def _settle(folder: str) -> None:
    """Give a worker a copy of its own."""
    global _copy
    _copy = Copy(Path(tempfile.mkdtemp(dir=folder)))


def try_out(task: tuple[Mutant, str, float]) -> Outcome:
    """Run tests on a mutant."""
    mutant, tests, limit = task
    source = mutated(mutant)
    with _copy.changed(mutant.module, source):
        outcome, by, seconds = _copy.run(tests, limit)
    return Outcome(mutant, changed_line(mutant, source), outcome, by, round(seconds, 1))


def unchanged(task: tuple[str, str, float]) -> tuple[str, str]:
    """A module, and what its tests say of it without a change: nothing, if they pass."""
    module, tests, limit = task
    outcome, by, _ = _copy.run(tests, limit)
    return module, by if outcome == KILLED else ""


def main() -> None:
    """Sample, try, tell; what the output file holds already is not tried again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--sample", type=int, default=80, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--again", type=Path, metavar="FILE", help="the survivors of a run, on all tests of the part"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N")
    parser.add_argument("--limit", type=float, default=60.0, metavar="S", help="processor time of a mutant")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    chosen, population = sampled(options.part, options.sample, options.seed)
    if options.again:
        chosen = [one.mutant for one in earlier(options.again) if one.outcome == SURVIVED]
    tests = {one.module: one.all if options.again else one.quick for one in PARTS[options.part]}
    outcomes = earlier(options.output)
    done = {one.mutant for one in outcomes}
    tasks = [(one, tests[one.module], options.limit) for one in chosen if one not in done]
    for name in LIBRARIES:
        importlib.import_module(name)
    with (
        tempfile.TemporaryDirectory() as folder,
        multiprocessing.get_context("fork").Pool(options.workers, _settle, (folder,)) as pool,
    ):
        concerned = dict.fromkeys(mutant.module for mutant, *_ in tasks)
        for module, by in pool.map(unchanged, [(one, tests[one], options.limit) for one in concerned]):
            if by:
                sys.exit(f"{module}: its tests fail without a change: {by}")
        for found in pool.imap_unordered(try_out, tasks):
            outcomes.append(found)
            where = f"{found.mutant.module}:{found.mutant.line}"
            print(f"{found.outcome:8} {where}  {found.changed}  [{found.by}]", flush=True)
            kept = {"seed": options.seed, "mutants": population, "outcomes": list(map(asdict, outcomes))}
            options.output.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    counts = Counter(one.outcome for one in outcomes)
    print(f"{options.part}: {len(outcomes)} of {population} mutants, {dict(counts)}")


if __name__ == "__main__":
    main()
