"""Classes of reflections, conditions and tables against indices worked out by hand."""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np
import pytest

from xtec.core.errors import ConfigError
from xtec.core.quantities import SampleInfo
from xtec.reciprocal import absent, classify, contingency, make_lattice, parse_condition
from xtec.reciprocal.reflections import count_equal, odd_one_out


def lattice_of(symbol):
    return make_lattice(SampleInfo(), [], None, asked=symbol)


def box(largest):
    indices = np.arange(-largest, largest + 1)
    return np.stack(np.meshgrid(indices, indices, indices, indexing="ij"), axis=-1).reshape(-1, 3)


def class_of(hkl, *args, **kwargs):
    names, number = classify(np.array([hkl]), *args, **kwargs)
    return names[number[0]]


@pytest.mark.parametrize(
    ("symbol", "hkl", "name"),
    [
        ("m-3m", (2, -4, 0), "all even"),
        ("m-3m", (1, -3, 5), "all odd"),
        ("m-3m", (0, 1, 2), "two even, one odd"),
        ("m-3m", (-1, 2, 3), "one even, two odd"),
        ("6/mmm", (2, 0, -4), "all even"),
        ("6/mmm", (1, 2, 0), "h or k odd, l even"),
        ("6/mmm", (1, 1, 3), "h or k odd, l odd"),
        ("6/mmm", (0, 2, 1), "h even, k even, l odd"),
        ("4/mmm", (0, 1, 1), "one of h, k odd, l odd"),
        ("4/mmm", (1, 1, 0), "h odd, k odd, l even"),
        ("mmm", (1, 0, 0), "h odd, k even, l even"),
        (None, (0, 1, 0), "h even, k odd, l even"),
    ],
)
def test_parity_is_told_up_to_symmetry(symbol, hkl, name):
    lattice = symbol and lattice_of(symbol)
    assert class_of(hkl, "parity", lattice=lattice) == name


@pytest.mark.parametrize(
    ("symbol", "scheme"),
    [
        *((symbol, "parity") for symbol in ("m-3m", "6/mmm", "4/mmm", "-3m", "2/m")),
        ("m-3m", "4n+2"),
        ("4/mmm", "4n+2"),
    ],
)
def test_equivalent_reflections_have_one_class(symbol, scheme):
    lattice, hkl = lattice_of(symbol), box(3)
    names, number = classify(hkl, scheme, lattice=lattice)
    table = {tuple(row): names[n] for row, n in zip(hkl.tolist(), number, strict=True)}
    for row in [(1, 0, 2), (3, 2, 1), (2, 2, 0), (1, 1, 3), (0, 2, 0)]:
        orbit = {tuple(member) for member in lattice.orbit(row).tolist()} & set(table)
        assert len({table[member] for member in orbit}) == 1


@pytest.mark.parametrize(
    ("hkl", "name"),
    [
        ((0, 4, -8), "all even, no index 4n+2"),
        ((2, 0, 0), "all even, one index 4n+2"),
        ((-2, 4, 8), "all even, one index 4n+2"),
        ((2, -6, 0), "all even, two indices 4n+2 (one 4n)"),
        ((2, -2, 10), "all even, three indices 4n+2"),
        ((1, 3, 5), "all odd"),
        ((2, 2, 1), "two even, one odd"),
    ],
)
def test_indices_4n_plus_2(hkl, name):
    assert class_of(hkl, "4n+2", lattice=lattice_of("m-3m")) == name


def test_zeros_are_counted():
    names, number = classify(np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, -1, 1]]), "zeros")
    assert [names[n] for n in number] == [
        "three zero indices",
        "two zero indices",
        "one zero index",
        "no zero index",
    ]


def test_classes_without_a_reflection_are_left_out():
    names, number = classify(np.array([[1, 1, 1], [3, 1, 1]]), "4n+2", lattice=lattice_of("m-3m"))
    assert names == ("all odd",)
    assert number.tolist() == [0, 0]


def fd3m_forbids(hkl):
    """International Tables A, No. 227: F centring; 0kl: k+l = 4n; so h00: h = 4n."""
    size = np.abs(hkl)
    centred = (size % 2 == size[:, :1] % 2).all(axis=1)
    glide = np.zeros(len(hkl), dtype=bool)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        glide |= (hkl[:, i] == 0) & ((hkl[:, j] + hkl[:, k]) % 4 != 0)
    return ~centred | glide


def test_space_group_forbids_what_its_tables_say():
    hkl = box(6)
    np.testing.assert_array_equal(absent(hkl, "Fd-3m"), fd3m_forbids(hkl))
    names, number = classify(hkl, "space-group", space_group="F d -3 m:2")
    assert names == ("allowed in Fd-3m", "forbidden in Fd-3m")
    np.testing.assert_array_equal(number == 1, fd3m_forbids(hkl))


def test_rhombohedral_symbol_is_told_as_it_is_written():
    assert class_of((1, 0, 0), "space-group", space_group="R-3m") == "forbidden in R-3m"


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("h%4==2 and k%4==0 and l%2==0", lambda h, k, _l: (h % 4 == 2) and (k % 4 == 0) and (_l % 2 == 0)),
        ("(h+k+l)%2==0 or h==k", lambda h, k, _l: (h + k + _l) % 2 == 0 or h == k),
        ("not (h == k == l)", lambda h, k, _l: not (h == k == _l)),
        ("-1 <= h < k*2 - 3", lambda h, k, _l: -1 <= h < k * 2 - 3),
        ("abs(h) != abs(-k) and l//2 > 0", lambda h, k, _l: abs(h) != abs(-k) and _l // 2 > 0),
        ("1 == 1", lambda *_: True),
    ],
)
def test_conditions_say_what_python_says(text, truth):
    hkl = box(4)
    expected = [truth(*row) for row in hkl.tolist()]
    assert parse_condition(text)(hkl).tolist() == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("__import__('os').system('true') == 0", "__import__"),
        ("h.__class__ == 1", "h.__class__"),
        ("(lambda: 1)() == 1", "lambda"),
        ("[h for h in (1,)] == 1", "for h in"),
        ("h ** 99 == 1", "h ** 99"),
        ("h / 2 == 1", "h / 2"),
        ("h << 9 == 1", "h << 9"),
        ("x == 1", "x"),
        ("h == 1.5", "1.5"),
        ("h == True", "True"),
        ("h == 'a'", "'a'"),
        ("h in (1, 2)", "(1, 2)"),
        ("max(h, k) == 1", "max(h, k)"),
        ("abs(h, k) == 1", "abs(h, k)"),
        ("h == 10000000000", "10000000000"),
        ("h % k == 0", "does not divide"),
        ("h % 0 == 0", "does not divide"),
        ("h + k", "neither true nor false"),
        ("not h", "neither true nor false"),
        ("h =", "cannot read"),
        ("", "cannot read"),
        ("h" * 600, "longer"),
    ],
)
def test_anything_else_is_refused_by_name(text, named):
    with pytest.raises(ConfigError) as caught:
        parse_condition(text)
    assert named in caught.value.what


def test_products_of_large_numbers_stay_numbers():
    assert parse_condition("1000000*1000000*1000000*1000000*h != 1")(box(1)).all()


def test_expression_makes_two_classes():
    names, number = classify(np.array([[2, 0, 0], [1, 0, 0]]), "expression", expression="h % 2 == 0")
    assert [names[n] for n in number] == ["h % 2 == 0", "not (h % 2 == 0)"]


@pytest.mark.parametrize(
    ("scheme", "hint"),
    [("colour", "one of: parity"), ("space-group", "name one"), ("expression", "% 2 == 0")],
)
def test_schemes_without_what_they_need_are_refused(scheme, hint):
    with pytest.raises(ConfigError, match="reflection classes") as caught:
        classify(np.zeros((1, 3), dtype=int), scheme)
    assert hint in str(caught.value)


def test_equal_indices_by_hand():
    hkl = np.array([[1, -1, 3], [2, 0, 0], [1, 1, -1], [1, 2, 3], [5, 2, -5]])
    assert count_equal(hkl).tolist() == [1, 1, 3, 0, 1]
    assert odd_one_out(hkl).tolist() == [3, 2, 1, -1, 2]


def test_table_of_two_by_two_has_the_closed_form():
    # chi-square = N (ad - bc)^2 / products of the margins; one degree of freedom.
    a, b, c, d = 30, 10, 12, 28
    number = np.repeat([0, 0, 1, 1], [a, b, c, d])
    label = np.repeat([1, 2, 1, 2], [a, b, c, d])
    table = contingency(number, ("x", "y"), label, (1, 2))
    assert table.counts.tolist() == [[a, b], [c, d]]
    statistic = 80 * (a * d - b * c) ** 2 / ((a + b) * (c + d) * (a + c) * (b + d))
    assert table.p_value == pytest.approx(erfc(sqrt(statistic / 2)), rel=1e-9)
    assert table.cramers_v == pytest.approx(sqrt(statistic / 80), rel=1e-12)


def test_perfect_association_and_none_at_all():
    number = np.repeat([0, 1, 2], 20)
    perfect = contingency(number, ("x", "y", "z"), number + 1, (1, 2, 3))
    assert perfect.cramers_v == pytest.approx(1.0)
    assert perfect.p_value < 1e-20
    nothing = contingency(number, ("x", "y", "z"), np.tile([1, 2], 30), (1, 2))
    assert nothing.cramers_v == pytest.approx(0.0)
    assert nothing.p_value == pytest.approx(1.0)


def test_empty_classes_and_clusters_do_not_count():
    number, label = np.array([0, 0, 2, 2]), np.array([1, 1, 3, 3])
    table = contingency(number, ("x", "y", "z"), label, (1, 2, 3))
    assert table.counts.tolist() == [[2, 0, 0], [0, 0, 0], [0, 0, 2]]
    assert table.cramers_v == pytest.approx(1.0)
    for single in (contingency(number * 0, ("x",), label, (1, 3)), contingency(number, "xyz", label, (1,))):
        assert (single.p_value, single.cramers_v) == (1.0, 0.0)
