"""Clusters keep their numbers while a series grows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xtec.operando.follow import ClusterMembers, follow


def members(label: list[int], start: int = 0, highest: int = 0) -> ClusterMembers:
    index = np.arange(start, start + len(label))
    return ClusterMembers(index, np.array(label, np.int16), highest or max(label))


@given(st.permutations(range(1, 6)), st.lists(st.integers(1, 5), min_size=40, max_size=60))
def test_renumbered_clusters_get_their_numbers_back(numbers: list[int], label: list[int]) -> None:
    before = members(label, highest=5)
    now = members([numbers[one - 1] for one in label], highest=5)
    followed = follow(before, now)
    np.testing.assert_array_equal(followed.numbers[now.label - 1], before.label)
    assert followed.new == followed.gone == ()


def test_a_cluster_that_loses_most_of_its_voxels_is_gone_and_the_other_is_new() -> None:
    before = members([1] * 50 + [2] * 50)
    now = members([2] * 50 + [1] * 10 + [2] * 40)
    followed = follow(before, now)
    assert followed.numbers.tolist() == [3, 1]
    assert (followed.new, followed.gone) == ((3,), (2,))


def test_early_a_new_cluster_takes_the_number_of_one_that_is_gone() -> None:
    before = members([1] * 50 + [2] * 50)
    now = members([2] * 50 + [1] * 10 + [2] * 40)
    followed = follow(before, now, reuse=True)
    assert followed.numbers.tolist() == [2, 1]
    assert (followed.new, followed.gone) == ((2,), ())


def test_voxels_that_come_and_go_with_the_threshold_do_not_matter() -> None:
    before = members([1] * 50 + [2] * 50)
    now = members([2] * 5 + [1] * 60 + [2] * 500, start=45)  # most of either cluster left, many came
    assert follow(before, now).numbers.tolist() == [2, 1]


def test_more_clusters_than_before() -> None:
    before = members([1] * 50 + [2] * 50)
    now = members([3] * 50 + [1] * 30 + [2] * 20)
    followed = follow(before, now)
    assert followed.numbers.tolist() == [2, 3, 1]
    assert (followed.new, followed.gone) == ((3,), ())


def test_numbers_of_clusters_long_gone_are_not_given_again() -> None:
    before = members([1] * 50 + [4] * 50, highest=6)
    now = members([1] * 50 + [2] * 25 + [3] * 25)
    followed = follow(before, now)
    assert set(followed.numbers) == {1, 4, 7}
    assert followed.new == (7,)


def test_an_empty_cluster_has_no_number() -> None:
    before = members([1] * 50 + [2] * 50)
    followed = follow(before, members([3] * 50 + [1] * 50))
    assert followed.numbers.tolist() == [2, 0, 1]


def test_without_common_voxels_all_are_new() -> None:
    followed = follow(members([1, 2]), members([1, 2], start=10))
    assert followed.numbers.tolist() == [3, 4]
    assert (followed.new, followed.gone) == ((3, 4), (1, 2))


def test_labels_of_voxels() -> None:
    some = ClusterMembers(np.array([3, 5, 9]), np.array([2, 1, 2], np.int16), 2)
    assert some.labels_of(np.array([0, 3, 4, 9, 20])).tolist() == [0, 2, 0, 2, 0]
    nothing = ClusterMembers(np.empty(0, np.int64), np.empty(0, np.int16), 0)
    assert nothing.labels_of(np.array([1, 2])).tolist() == [0, 0]
