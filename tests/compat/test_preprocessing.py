"""Masks, thresholds and peaks: the reference's attributes for every option, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from xtec.core.errors import ConfigError, InputError, NothingToClusterError
from xtec.Preprocessing import Mask_Zeros, Peak_averaging, Threshold_Background

SCRIPT = """
import numpy as np
from xtec.Preprocessing import Mask_Zeros, Peak_averaging, Threshold_Background

data = inputs["data"]
for mask_type in ("zero_mean", "any_zeros"):
    mask = Mask_Zeros(data, mask_type, check4NaN=True)
    for name in ("zero_mask", "ind_cols_with_zeros", "ind_cols_nonzeros", "data_nonzero"):
        outputs[f"{mask_type}.{name}"] = getattr(mask, name)
    for kind, bin_size, max_iter in (("KL", None, 100), ("KL", 0.07, 100), ("KL", None, 2),
                                     ("simple", None, 100), ("no thresh", 0.1, 100)):
        made = Threshold_Background(mask, bin_size, kind, max_iter)
        key = f"{mask_type}.{kind}.{bin_size}.{max_iter}."
        names = ["data_shape", "data_shape_orig", "threshold_type", "bin_size", "x_bins", "y_bins",
                 "LogI_cutoff", "success", "mask_threshold", "data_thresholded", "ind_thresholded",
                 "thresholded"]
        names += ["optimal_x_ind_cut", "LTS_ind_cut", "mean_opt", "std_dev_opt"] if kind == "KL" else []
        names += ["naive_mean", "naive_std"] if kind == "simple" else []
        for name in names:
            outputs[key + name] = np.asarray(getattr(made, name))
    peaks = Peak_averaging(data, Threshold_Background(mask, None, "simple"))
    outputs[mask_type + ".averages"] = peaks.peak_avg_data
    outputs[mask_type + ".indices"] = np.concatenate(peaks.peak_avg_ind_list)
    outputs[mask_type + ".sizes"] = np.array([len(index) for index in peaks.peak_avg_ind_list])
"""


def counts(seed: int, *shape: int, dtype: str = "f8") -> np.ndarray:
    """Background with peaks of a few voxels; some voxels are empty, some NaN at a temperature."""
    rng = np.random.default_rng(seed)
    data = rng.gamma(20, 1, shape)
    centres = rng.random(shape[1:]) < 0.01
    for axis in range(centres.ndim):
        centres |= np.roll(centres, 1, axis)
    data[:, centres] += 10 * rng.gamma(2, 3, centres.sum()) * np.linspace(1, 0.3, shape[0])[:, None]
    data[:, rng.random(shape[1:]) < 0.05] = 0
    data[0, rng.random(shape[1:]) < 0.02] = 0
    data[2, rng.random(shape[1:]) < 0.02] = np.nan
    return data.astype(dtype)


@pytest.mark.filterwarnings("ignore:the cutoff")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("shape", [(9, 70, 61), (7, 12, 25, 24)], ids=["plane", "volume"])
def test_attributes_are_those_of_the_reference(
    seed: int, shape: tuple[int, ...], reference: Callable[..., dict[str, np.ndarray]]
) -> None:
    data = counts(seed, *shape)
    theirs, ours = reference(SCRIPT, data=data), {}
    exec(compile(SCRIPT, "script", "exec"), {"inputs": {"data": data}, "outputs": ours})
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        found = ours[name]
        assert found.shape == expected.shape, name
        assert found.dtype.kind == expected.dtype.kind, name
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-7, err_msg=name)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=name)


def test_nan_is_left_out_unasked() -> None:
    data = counts(0, 9, 70, 61)
    mask = Mask_Zeros(data)
    np.testing.assert_array_equal(mask.zero_mask, Mask_Zeros(data, check4NaN=True).zero_mask)
    assert np.isfinite(mask.data_nonzero).all()
    assert mask.zero_mask[np.isnan(data).any(axis=0)].all()


@pytest.mark.parametrize("dtype", ["f4", ">f4", ">f8", "i4", "u2"])
def test_any_kind_of_number_is_taken(dtype: str) -> None:
    data = np.nan_to_num(counts(0, 9, 70, 61)).round()
    expected, mask = Mask_Zeros(data), Mask_Zeros(data.astype(dtype))
    np.testing.assert_array_equal(mask.data_nonzero, expected.data_nonzero)
    assert mask.data_nonzero.dtype == dtype
    threshold = Threshold_Background(mask, threshold_type="simple")
    rescaled = threshold.Rescale_mean(threshold.data_thresholded)
    np.testing.assert_allclose(rescaled.mean(axis=0), 0, atol=1e-5)
    zscore = threshold.Rescale_zscore(threshold.data_thresholded)
    np.testing.assert_allclose(zscore.std(axis=0), 1, atol=1e-5)
    assert Peak_averaging(data.astype(dtype), threshold).peak_avg_data.dtype == np.float64


def test_the_rescaled_go_back_to_intensities() -> None:
    threshold = Threshold_Background(Mask_Zeros(counts(0, 9, 70, 61)), threshold_type="simple")
    data = threshold.data_thresholded
    np.testing.assert_allclose((threshold.Rescale_mean(data) + 1) * threshold.traj_means, data)
    zscore = threshold.Rescale_zscore(data)
    np.testing.assert_allclose(zscore * threshold.traj_std + threshold.traj_means, data)


def test_a_cutoff_far_out_is_warned_of() -> None:
    rng = np.random.default_rng([81, 77])
    data = np.exp(np.log(rng.poisson(200, int(rng.integers(50, 3000))) + 1.0))
    with pytest.warns(UserWarning, match="too far"):
        threshold = Threshold_Background(Mask_Zeros(np.stack([data, data])))
    assert threshold.success is False


def test_what_is_not_known_is_refused() -> None:
    mask = Mask_Zeros(counts(0, 9, 70, 61))
    with pytest.raises(ConfigError, match="mask_type"):
        Mask_Zeros(np.ones((2, 3, 3)), "zeros")
    with pytest.raises(ConfigError, match="threshold_type"):
        Threshold_Background(mask, None, "kullback")
    with pytest.raises(InputError, match="no voxel"):
        Threshold_Background(Mask_Zeros(np.zeros((2, 3, 3))))


def test_trajectories_that_cannot_be_rescaled_are_refused() -> None:
    threshold = Threshold_Background(Mask_Zeros(counts(0, 9, 70, 61)), threshold_type="simple")
    with pytest.raises(InputError, match="vary"):
        threshold.Rescale_zscore(np.ones((9, 4)))
    with pytest.raises(InputError, match="above zero"):
        threshold.Rescale_mean(np.zeros((9, 4)))


def test_peaks_need_voxels_and_the_same_grid() -> None:
    data = counts(0, 9, 70, 61)
    threshold = Threshold_Background(Mask_Zeros(data), threshold_type="simple")
    with pytest.raises(InputError, match="grid"):
        Peak_averaging(data[:, :60], threshold)
    threshold.thresholded[:] = 0
    with pytest.raises(NothingToClusterError):
        Peak_averaging(data, threshold)


def test_a_plane_of_a_volume_has_to_be_named() -> None:
    threshold = Threshold_Background(Mask_Zeros(counts(0, 7, 12, 25, 24)), threshold_type="simple")
    with pytest.raises(ConfigError, match="plane"):
        threshold.plot_thresholding_2D_slice()
