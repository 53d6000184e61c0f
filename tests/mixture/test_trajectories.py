"""Trajectories in one array, in several, or in shards elsewhere."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from xtec.core import parallel
from xtec.core.errors import DegenerateMixtureError
from xtec.core.parallel import Threads
from xtec.core.shards import Shards
from xtec.core.types import CovarianceType
from xtec.mixture import GaussianMixture, Labeller, MixtureConfig
from xtec.mixture.em import expect, run_em
from xtec.mixture.starts import Sample, draw_start, random_centres
from xtec.mixture.trajectories import Trajectories


class Elsewhere:
    """Shards of which only what can be pickled comes and goes."""

    def __init__(self, items):
        self._items = [pickle.dumps(item) for item in items]

    def __len__(self):
        return len(self._items)

    def map(self, function):
        sent = pickle.dumps(function)
        return (pickle.loads(pickle.dumps(pickle.loads(sent)(pickle.loads(item)))) for item in self._items)

    def derive(self, function):
        return Elsewhere(self.map(function))

    def some(self, numbers):
        return Elsewhere(pickle.loads(self._items[number]) for number in numbers)


def some_rows(n=40_000, t=5, dtype=np.float32):
    rng = np.random.default_rng(0)
    return (rng.standard_normal((n, t)) + 3 * rng.integers(0, 3, (n, 1))).astype(dtype)


def splits(rows):
    cuts = [0, 1, 1, 9000, 9001]
    parts = np.split(rows, cuts)
    return {
        "array": rows,
        "columns": np.asfortranarray(rows),
        "parts": parts,
        "elsewhere": Elsewhere(parts),
        "fewer elsewhere": Elsewhere([rows[:100], rows[100:]]),
        "threads": Threads(2).make(np.asarray, parts),
    }


def start_of(data, covariance_type, k=3):
    sample = data.sample(np.random.default_rng(1), 2000)
    return draw_start(Sample(sample), random_centres, k, covariance_type, np.random.default_rng(2))


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_data_have_their_own_mean_and_variance(offset):
    rows = some_rows(9000, dtype=np.float64) + offset
    data = Trajectories([rows[:100], rows[100:]])
    np.testing.assert_allclose(data.mean, rows.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(data.variance, rows.var(axis=0), rtol=1e-9)
    assert (data.n, data.n_features) == rows.shape


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_single_precision_loses_nothing_that_matters(offset, order):
    rows = np.array(some_rows(50_000) + np.float32(offset), order=order)
    data, exact = Trajectories(rows), rows.astype(np.float64)
    np.testing.assert_allclose(data.mean, exact.mean(axis=0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(data.variance, exact.var(axis=0), rtol=1e-5)


def test_rows_that_are_seldom_different_are_seen():
    rows = np.full((5000, 3), 7.0)
    rows[4001] = 8.0
    data = Trajectories(rows)
    np.testing.assert_allclose(data.mean, rows.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(data.variance, rows.var(axis=0), rtol=1e-9)


@pytest.mark.parametrize("how", splits(some_rows(9002)))
def test_a_sample_does_not_depend_on_how_trajectories_are_split(how):
    rows = some_rows(20_000)
    chosen = np.sort(np.random.default_rng(3).choice(20_000, 700, replace=False))
    sample = Trajectories(splits(rows)[how]).sample(np.random.default_rng(3), 700)
    np.testing.assert_array_equal(sample.rows(), rows[chosen])
    assert sample.dtype == np.float32


def test_a_sample_of_all_is_all():
    rows = some_rows(300)
    sample = Trajectories([rows[:20], rows[20:]]).sample(np.random.default_rng(0), 1000)
    np.testing.assert_array_equal(sample.rows(), rows)


def test_a_sample_of_copies_is_an_error():
    rows = np.zeros((50_000, 2))
    rows[0] = 1
    with pytest.raises(DegenerateMixtureError):
        Trajectories(rows).sample(np.random.default_rng(1), 10)


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
@pytest.mark.parametrize("how", ["columns", "parts", "elsewhere", "fewer elsewhere", "threads"])
def test_the_model_is_the_same_wherever_trajectories_are(how, covariance_type):
    rows = some_rows()
    whole, split = Trajectories(rows), Trajectories(splits(rows)[how])
    assert isinstance(splits(rows)["elsewhere"], Shards)
    start = start_of(whole, covariance_type)
    one, other = (run_em(data, start, tol=0, max_iter=3) for data in (whole, split))
    np.testing.assert_allclose(other.history, one.history, atol=1e-6)
    np.testing.assert_allclose(other.parameters.means, one.parameters.means, atol=1e-4)
    np.testing.assert_allclose(other.parameters.covariances, one.parameters.covariances, atol=1e-4)


def test_the_estimator_takes_shards():
    rows = some_rows()
    config = MixtureConfig(n_components=3, n_init=2)
    whole = GaussianMixture(config).fit(rows)
    split = GaussianMixture(config).fit(Elsewhere(np.split(rows, [5, 700, 30_000])))
    assert split.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-5)
    order = np.argsort(split.parameters.means[:, 0])[np.argsort(np.argsort(whole.parameters.means[:, 0]))]
    np.testing.assert_allclose(split.parameters.means[order], whole.parameters.means, atol=2e-2)


def test_labels_are_given_where_trajectories_are():
    rows = some_rows()
    model = GaussianMixture(MixtureConfig(n_components=3, n_init=1)).fit(rows)
    shards = Elsewhere([rows[:100], rows[100:]]).derive(Labeller(model.parameters))
    label, probability = (np.concatenate(part) for part in zip(*shards.map(tuple), strict=True))
    np.testing.assert_array_equal(label, model.predict(rows)[0])
    np.testing.assert_array_equal(probability, model.predict(rows)[1])


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_the_number_of_threads_changes_nothing(monkeypatch, covariance_type):
    rows, found = some_rows(70_000), []
    for cores in (1, 2, 7):
        monkeypatch.setattr(parallel, "n_cores", lambda cores=cores: cores)
        data = Trajectories(rows)
        found.append(expect(data, start_of(data, covariance_type)))
    for other in found[1:]:
        assert other.log_likelihood == found[0].log_likelihood
        np.testing.assert_array_equal(other.moments.mean, found[0].moments.mean)
        np.testing.assert_array_equal(other.moments.scatter, found[0].moments.scatter)


def test_a_failure_in_a_thread_is_passed_on():
    def fail(piece):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(Trajectories(some_rows()).map(fail))


@pytest.mark.parametrize("sizes", ["few large", "many empty", "one has nearly all"])
def test_batches_are_about_as_large_as_each_other(sizes):
    cuts = {
        "few large": [2000, 4000],
        "many empty": [0] * 40 + list(range(0, 6000, 200)),
        "one has nearly all": list(range(60)),
    }[sizes]
    batches = Trajectories(Elsewhere(np.split(some_rows(6000), cuts))).batches(16)
    assert sum(batch.n for batch in batches) == 6000
    assert min(batch.n for batch in batches) > 0.5 * 6000 / 16


@pytest.mark.parametrize("n_shards", [4, 50])
@pytest.mark.parametrize("n_batches", [1, 3, 16])
def test_batches_together_are_all(n_batches, n_shards):
    rows = some_rows(5000)
    data = Trajectories(Elsewhere(np.split(rows, np.linspace(0, 3000, n_shards - 1).astype(int))))
    batches = data.batches(n_batches)
    assert sum(batch.n for batch in batches) == 5000
    assert all(batch.n == len(batch.rows()) for batch in batches)
    together = np.concatenate([batch.rows() for batch in batches])
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(rows, axis=0))


def test_batches_of_many_shards_read_each_of_them_once():
    read = []

    class Counted(Elsewhere):
        def map(self, function):
            read.extend(hash(item) for item in self._items)
            return super().map(function)

        def some(self, numbers):
            return Counted(pickle.loads(self._items[number]) for number in numbers)

    data = Trajectories(Counted(np.split(some_rows(6000), 60)))
    read.clear()
    for batch in data.batches(16):
        list(batch.map(len))
    assert len(read) == len(set(read)) == 60
