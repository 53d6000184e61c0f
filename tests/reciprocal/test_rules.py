"""Planted selection rules are found in words, and chance is no rule."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.quantities import SampleInfo
from xtec.core.reflections import Reflections
from xtec.reciprocal import find_rules, make_lattice, parse_condition


def lattice_of(symbol):
    return make_lattice(SampleInfo(), [], None, asked=symbol)


def box(largest, smallest=None):
    indices = np.arange(-largest if smallest is None else smallest, largest + 1)
    return np.stack(np.meshgrid(indices, indices, indices, indexing="ij"), axis=-1).reshape(-1, 3)


def reflections(hkl, label):
    return Reflections(hkl, np.asarray(label, dtype=np.int16), np.zeros((len(hkl), 1)))


def number_4n2(hkl):
    """How many indices are 4n+2 where all are even, else -1."""
    return np.where((hkl % 2 == 0).all(axis=1), (hkl % 4 == 2).sum(axis=1), -1)


def pm3n_forbids(hkl):
    """International Tables A, No. 223: hhl and its permutations only with l even."""
    h, k, l = np.abs(hkl).T  # noqa: E741
    return ((h == k) & (l % 2 == 1)) | ((k == l) & (h % 2 == 1)) | ((l == h) & (k % 2 == 1))


def flipped(label, share, seed=0):
    """Labels of which a share is moved to the next cluster, and which ones."""
    rng = np.random.default_rng(seed)
    moved = rng.random(len(label)) < share
    return np.where(moved, label % label.max() + 1, label), moved


def as_set(rows):
    return {tuple(row) for row in rows.tolist()}


PYROCHLORE = box(8)[(box(8) % 2 == box(8)[:, :1] % 2).all(axis=1)]
"""Reflections that F centring allows."""

PLANTED = [
    # cluster 1 where this holds, in words
    ("m-3m", "h%2==0 and k%2==0 and l%2==0", "all even"),
    ("m-3m", "h%2==1 and k%2==1 and l%2==1", "all odd"),
    ("m-3m", "(h+k+l)%2==1", "h+k+l odd"),
    ("m-3m", "h==k==0 or h==l==0 or k==l==0", "exactly two zero indices"),
    (
        "m-3m",
        "(h+k+l)%2==0 and h!=0 and k!=0 and l!=0",
        "h+k+l even, no zero index",
    ),
    ("6/mmm", "l%2==1", "l odd"),
    ("6/mmm", "l%2==1 and (h-k)%3==0", "l odd, h-k = 3n"),
    ("-3m", "(-h+k+l)%3==0", "-h+k+l = 3n"),
    ("4/mmm", "(h+k)%2==1 and l==0", "l = 0, h+k odd"),
    ("mmm", "k%2==1", "k odd"),
    ("2/m", "(h+l)%2==0", "h+l even"),
]


@pytest.mark.parametrize("share", [0.0, 0.05])
@pytest.mark.parametrize(("symbol", "condition", "words"), PLANTED)
def test_planted_rule_is_found_in_words(symbol, condition, words, share):
    hkl = box(7)
    obeys = parse_condition(condition)(hkl)
    if words == "exactly two zero indices":
        obeys &= hkl.any(axis=1)
    label, moved = flipped(np.where(obeys, 1, 2), share)
    rule, _ = find_rules(reflections(hkl, label), (1, 2), lattice_of(symbol), None)
    assert rule.rule == words
    assert as_set(rule.exceptions) == as_set(hkl[moved])
    assert rule.reflections == (label == 1).sum()
    assert rule.matched == (obeys & ~moved).sum()
    assert rule.purity == pytest.approx((obeys & ~moved).sum() / obeys.sum())
    assert rule.significance < 1e-3


@pytest.mark.parametrize("share", [0.0, 0.05])
@pytest.mark.parametrize("space_group", [None, "Fd-3m"])
def test_two_clusters_of_forbidden_kinds_and_the_rest(share, space_group):
    """As in Cd2Re2O7: one index 4n+2, one index 4n, and all other reflections of the pyrochlore lattice."""
    truth = np.where(np.isin(number_4n2(PYROCHLORE), (1, 2)), number_4n2(PYROCHLORE), 3)
    label, moved = flipped(truth, share)
    first, second, rest = find_rules(
        reflections(PYROCHLORE, label), (1, 2, 3), lattice_of("m-3m"), space_group
    )
    assert first.rule == "all even, exactly one index 4n+2"
    assert second.rule == "all even, exactly two indices 4n+2 (one 4n)"
    assert rest.rule == "all even, three indices 4n+2 or no index 4n+2"
    for number, rule in enumerate((first, second, rest), start=1):
        wrong = moved & ((truth == number) | (label == number))
        assert as_set(rule.exceptions) == as_set(PYROCHLORE[wrong])


@pytest.mark.parametrize("seed", range(3))
def test_equivalent_reflections_outvote_wrong_labels(seed):
    """28 orbits are little evidence, but five wrong labels in a hundred spoil none of it."""
    hkl = PYROCHLORE[np.abs(PYROCHLORE).max(axis=1) <= 6]
    label, _ = flipped(np.where(number_4n2(hkl) == 1, 1, 2), 0.05, seed)
    (rule,) = find_rules(reflections(hkl, label), (1,), lattice_of("m-3m"), None)
    assert rule.rule == "all even, exactly one index 4n+2"


def test_conditions_of_pm3n():
    hkl = box(6)
    label = np.where(pm3n_forbids(hkl), 1, 2)
    found = find_rules(reflections(hkl, label), (1, 2), lattice_of("m-3"), None)
    assert found[0].rule == "two indices equal, the third odd"
    assert [rule.purity for rule in found] == [1.0, 1.0]
    assert [len(rule.exceptions) for rule in found] == [0, 0]
    found = find_rules(reflections(hkl, label), (1, 2), lattice_of("m-3m"), "Pm-3n")
    assert [rule.rule for rule in found] == ["forbidden in Pm-3n", "allowed in Pm-3n"]


def test_alternatives_are_named_when_they_pay():
    hkl = box(6)
    wanted = (hkl % 2 == 1).all(axis=1) | ((hkl == 0).sum(axis=1) == 2)
    (rule,) = find_rules(reflections(hkl, np.where(wanted, 1, 2)), (1,), lattice_of("m-3m"), None)
    assert rule.rule == "all odd or exactly two zero indices"
    assert rule.purity == 1.0


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))])
@pytest.mark.parametrize("symbol", ["m-3m", "6/mmm", "-1"])
def test_random_labels_obey_no_rule(symbol, seed):
    hkl = box(5)
    label = np.random.default_rng(seed).integers(1, 4, len(hkl))
    for rule in find_rules(reflections(hkl, label), (1, 2, 3), lattice_of(symbol), "Fd-3m"):
        assert (rule.rule, rule.matched, rule.purity, rule.significance) == ("", 0, 0.0, 1.0)
        assert rule.exceptions.shape == (0, 3)


@pytest.mark.parametrize("seed", range(5))
def test_labels_that_are_random_but_symmetric_obey_no_rule(seed):
    """One draw for all 48 reflections of an orbit: many reflections, little evidence."""
    rng = np.random.default_rng(seed)
    hkl = box(6)
    size = np.sort(np.abs(hkl), axis=1)
    draw = rng.integers(1, 3, (7, 7, 7))
    label = draw[tuple(size.T)]
    assert [rule.rule for rule in find_rules(reflections(hkl, label), (1, 2), lattice_of("m-3m"), None)] == [
        "",
        "",
    ]


def test_chance_rules_are_rare():
    hkl = box(4)
    found = 0
    for seed in range(25):
        label = np.random.default_rng(seed).integers(1, 3, len(hkl))
        found += sum(
            bool(rule.rule) for rule in find_rules(reflections(hkl, label), (1,), lattice_of("mmm"), None)
        )
    assert found <= 1


def test_one_cluster_of_all_needs_no_rule_and_a_missing_one_has_none():
    hkl = box(3)
    rules = find_rules(reflections(hkl, np.ones(len(hkl))), (1, 2), lattice_of("m-3m"), None)
    assert [(rule.rule, rule.reflections) for rule in rules] == [("", len(hkl)), ("", 0)]
    nothing = find_rules(reflections(np.empty((0, 3), dtype=np.int64), []), (1,), lattice_of("m-3m"), None)
    assert [(rule.rule, rule.reflections) for rule in nothing] == [("", 0)]


def test_the_order_of_reflections_does_not_matter():
    rng = np.random.default_rng(3)
    hkl = box(6)
    label, _ = flipped(np.where(number_4n2(hkl) == 2, 1, 2), 0.05)
    order = rng.permutation(len(hkl))
    lattice = lattice_of("m-3m")
    straight = find_rules(reflections(hkl, label), (1, 2), lattice, None)
    shuffled = find_rules(reflections(hkl[order], label[order]), (1, 2), lattice, None)
    for a, b in zip(straight, shuffled, strict=True):
        assert (a.rule, a.matched, a.purity, a.significance) == (b.rule, b.matched, b.purity, b.significance)
        assert as_set(a.exceptions) == as_set(b.exceptions)


def test_twenty_thousand_reflections():
    hkl = box(13)
    label, _ = flipped(np.where(hkl[:, 1] % 2 == 1, 1, 2), 0.05)
    rules = find_rules(reflections(hkl, label), (1, 2), lattice_of("-1"), "P-1")
    assert [rule.rule for rule in rules] == ["k odd", "k even"]
