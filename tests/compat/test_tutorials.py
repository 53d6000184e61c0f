"""The calls of the published notebooks and of the NeXpy plugin, here and in the reference's own environment.

Scripts get ``inputs`` and leave ``outputs``, which must be the same.
"""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from xtec.simulation import Overrides, SimulatedSeries, make_specs

Outputs = dict[str, np.ndarray]

START = """
import matplotlib.pyplot as plt
import numpy as np
from xtec.GMM import GMM, GMM_kernels
from xtec.Preprocessing import Mask_Zeros, Peak_averaging, Threshold_Background

np.random.seed(0)
I, T = inputs["intensity"], inputs["temperature"]

def keep(name, thing, *attributes):
    for attribute in attributes:
        outputs[f"{name}.{attribute}"] = np.asarray(getattr(thing, attribute))

def keep_lines(name):
    lines = plt.gca().get_lines()
    outputs[f"{name}.lines"] = np.array([line.get_ydata() for line in lines])
    outputs[f"{name}.size"] = np.array(plt.gcf().get_size_inches())
    plt.close("all")

def keep_image(name):
    outputs[f"{name}.shown"] = np.array(plt.gca().get_images()[0].get_array())
    outputs[f"{name}.size"] = np.array(plt.gcf().get_size_inches())
    plt.close("all")
"""

PREPROCESS = """
masked = Mask_Zeros(I)
keep("masked", masked, "data_shape", "zero_mask", "ind_cols_with_zeros", "ind_cols_nonzeros",
     "data_with_zeros", "data_nonzero")
threshold = Threshold_Background(masked, bin_size=None, threshold_type="KL", max_iter=100)
keep("threshold", threshold, "bin_size", "data_shape", "data_shape_orig", "LogI_cutoff", "success", "x_bins",
     "y_bins", "optimal_x_ind_cut", "LTS_ind_cut", "mean_opt", "std_dev_opt", "mask_threshold",
     "data_thresholded", "ind_thresholded", "thresholded")
threshold.plot_cutoff((10, 5))
plt.title("cutoff")
keep_lines("cutoff")
threshold.plot_thresholding_2D_slice((8, 8), slice_ind=0, axis_=0)
plt.xlabel("H", size=22)
keep_image("kept")
if I.ndim == 4:
    threshold.plot_thresholding_3D()
plt.close("all")
Data_thresh = threshold.data_thresholded
Data_ind = threshold.ind_thresholded
"""

CLUSTERED = """
def keep_clusters(name, gmm):
    keep(name, gmm, "cluster_num", "cov_type", "batch_num", "alpha", "tol", "max_batch_epoch", "verbose",
         "max_full_epoch", "epoch", "data", "cluster_probs", "means", "covs", "mixing_weights", "converged",
         "loglikelihood", "cluster_assignments", "num_per_cluster", "discovery_cluster_ind")
    for k in range(gmm.cluster_num):
        keep(f"{name}.cluster{k}", gmm.cluster[k], "mean", "cov", "data_dim")

def keep_map(name, gmm, *arguments, **options):
    gmm.Plot_Cluster_kspace_2D_slice(*arguments, **options)
    keep_image(name)
    keep(name, gmm, "plot_image")
    colors = [gmm.plot_cmap(gmm.plot_norm(k)) for k in range(2 + gmm.cluster_num)]
    outputs[name + ".colors"] = np.array(colors)
    plt.figure(figsize=(10, 10))
    plt.imshow(gmm.plot_image[:20, 10:], origin="lower", cmap=gmm.plot_cmap, norm=gmm.plot_norm)
    plt.close("all")
"""

DETAILED = """
Rescaled_data = threshold.Rescale_mean(Data_thresh)
keep("threshold", threshold, "traj_means")
outputs["rescaled"] = Rescaled_data
clusterGMM = GMM(Rescaled_data.transpose(), 2)
clusterGMM.RunEM()
keep_clusters("gmm", clusterGMM)
clusterGMM.Plot_Cluster_Results_traj(T)
plt.xlabel("T(K)", size=18)
keep_lines("trajectories")
keep("gmm", clusterGMM, "traj_means")
keep_map("map", clusterGMM, threshold, (8, 8), Data_ind, 0, 0)

good = clusterGMM.cluster_assignments == clusterGMM.discovery_cluster_ind
Good_data, Good_ind = Rescaled_data[:, good], Data_ind[good]
second = GMM(Good_data.transpose(), 3)
second.RunEM()
keep_clusters("second", second)
keep_map("second_map", second, threshold, (8, 8), Good_ind, 0, 0, cluster_list=[0, 2])
outputs["average"] = np.array([Good_data[:, second.cluster_assignments == k].mean(axis=1) for k in range(3)])
"""

HIGH_VARIANCE = """
Rescaled_data = threshold.Rescale_zscore(Data_thresh)
keep("threshold", threshold, "traj_means", "traj_std")
outputs["zscore"] = Rescaled_data
Rescaled_data = threshold.Rescale_mean(Data_thresh)
threshold.Get_High_Variance(Rescaled_data, 0.3)
keep("threshold", threshold, "data_high_std_dev", "ind_high_std_dev", "data_low_std_dev", "ind_low_std_dev")
clusterGMM = GMM(threshold.data_high_std_dev.transpose(), cluster_num=2, cov_type="diagonal", batch_num=2)
clusterGMM.RunEM()
keep_clusters("gmm", clusterGMM)
clusterGMM.Plot_Cluster_Results_traj(T, True).title("all")
plt.close("all")
clusterGMM.Plot_Cluster_Results_traj(T, traj_flag=False, data_means=threshold.ind_high_std_dev[:, 0] + 1.0)
keep_lines("shifted")
clusterGMM.Plot_Cluster_Results_kspace_3D(threshold)
plt.close("all")
"""

PEAKS = """
Peak_avg = Peak_averaging(I, threshold)
Peak_avg_data = Peak_avg.peak_avg_data
keep("peaks", Peak_avg, "peak_avg_data")
outputs["peaks.sizes"] = np.array([len(index) for index in Peak_avg.peak_avg_ind_list])
outputs["peaks.indices"] = np.concatenate(Peak_avg.peak_avg_ind_list)
clusterGMM = GMM(threshold.Rescale_mean(Peak_avg_data).transpose(), 2)
clusterGMM.RunEM()
keep_clusters("gmm", clusterGMM)
clusterGMM.Get_pixel_labels(Peak_avg)
keep("gmm", clusterGMM, "Data_ind", "Pixel_assignments")
clusterGMM.Plot_Cluster_Results_traj(T)
keep_lines("trajectories")
keep_map("map", clusterGMM, threshold, (8, 8), data_ind=clusterGMM.Data_ind, slice_ind=0, axis_=0,
         cluster_assignments=clusterGMM.Pixel_assignments)
"""

SMOOTHED = """
L_scale, kernel_type = float(inputs["length"]), str(inputs["kernel"])
unit_cell_shape = np.array([8, 8, 8]) if kernel_type == "periodic" else None
Markov_matrix = GMM_kernels.Build_Markov_Matrix(Data_ind, L_scale, kernel_type, unit_cell_shape)
outputs["format"] = Markov_matrix.format
outputs["matrix"] = Markov_matrix.toarray()
clusterGMM = GMM(threshold.Rescale_mean(Data_thresh).transpose(), 2)
clusterGMM.RunEM(True, Markov_matrix, 1)
keep_clusters("gmm", clusterGMM)
outputs["gmm.smoothing"] = (clusterGMM.Markov_matrix != Markov_matrix).nnz
keep_map("map", clusterGMM, threshold, (8, 8), Data_ind, 0, 0)
"""

PLUGIN = """
masked = Mask_Zeros(I)
threshold = Threshold_Background(masked, threshold_type=str(inputs["threshold"]))
Peak_avg = Peak_averaging(I, threshold)
Data_thresh = threshold.data_thresholded
rescaled = np.log(1 + Data_thresh)
rescaled = rescaled - np.mean(rescaled, axis=0)
clusterGMM = GMM(rescaled.transpose(), 2)
clusterGMM.RunEM()
keep_clusters("gmm", clusterGMM)
keep("threshold", threshold, "LogI_cutoff", "success", "x_bins", "y_bins", "thresholded")
keep("peaks", Peak_avg, "peak_avg_data")
covs = [clusterGMM.cluster[i].cov for i in range(2)]
image = np.zeros(I[0].shape)
for i in range(2):
    image[tuple(np.array(threshold.ind_thresholded[clusterGMM.cluster_assignments == i]).T)] = i + 1
outputs["qmap"] = image
"""

VOLUME = SimulatedSeries(make_specs("tiny", Overrides(hot_pixels=0))[0])
PLANE = SimulatedSeries(make_specs("tiny", Overrides(planar=True, pixels=20, seed=3))[0])

NUMBERED = ("gmm", "second", "trajectories", "shifted", "map", "second_map", "average", "qmap")
"""Outputs that depend on how clusters are numbered, or on where EM has got to: same shape and kind."""

SETTINGS = (
    "cluster_num",
    "cov_type",
    "batch_num",
    "alpha",
    "tol",
    "max_batch_epoch",
    "max_full_epoch",
    "data",
)
"""Of those, what was given."""


def compare(script: str, reference: Callable[..., Outputs], **inputs: np.ndarray) -> tuple[Outputs, Outputs]:
    """Run a script here and there; outputs that do not depend on numbering have to be equal."""
    theirs = reference(script, **inputs)
    rounding = 1e-9 if inputs["intensity"].dtype == np.float64 else 2e-5
    ours: Outputs = {}
    exec(compile(script, "script", "exec"), {"inputs": inputs, "outputs": ours})
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        found = np.asarray(ours[name])
        assert found.shape == expected.shape, name
        assert found.dtype.kind == expected.dtype.kind, name
        if name.split(".")[0] in NUMBERED and name.split(".")[-1] not in SETTINGS:
            continue
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=rounding, atol=rounding, err_msg=name)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=name)
    return ours, theirs


def series(simulated: SimulatedSeries, dtype: str = "f8") -> dict[str, np.ndarray]:
    data = simulated.block(slice(None), slice(None)).astype(dtype)
    return {"intensity": data[:, 0] if simulated.planar else data, "temperature": simulated.scan.values}


def same_clusters(ours: Outputs, theirs: Outputs, *, settled: bool = True) -> None:
    """Same members as the reference; where it has settled on plain EM's optimum, the same mixture too."""
    labels, expected = ours["gmm.cluster_assignments"], theirs["gmm.cluster_assignments"]
    assert adjusted_rand_score(expected, labels) >= 0.98
    if not settled:
        return
    assert theirs["gmm.converged"]
    match = [int(np.bincount(expected[labels == k]).argmax()) for k in range(ours["gmm.cluster_num"])]
    assert sorted(match) == list(range(len(match)))
    for name in ("gmm.means", "gmm.covs", "gmm.mixing_weights"):
        np.testing.assert_allclose(ours[name], theirs[name][match], rtol=1e-2, atol=1e-3, err_msg=name)
    np.testing.assert_allclose(ours["gmm.cluster_probs"], theirs["gmm.cluster_probs"][match], atol=1e-2)
    n, t = ours["gmm.data"].shape
    normaliser = 0.5 * n * (len(match) - t) * np.log(2 * np.pi)
    assert ours["gmm.loglikelihood"] >= theirs["gmm.loglikelihood"] + normaliser - n * ours["gmm.tol"]


@pytest.fixture(autouse=True)
def agg() -> None:
    plt.switch_backend("agg")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("simulated", [VOLUME, PLANE], ids=["volume", "plane"])
def test_detailed(simulated: SimulatedSeries, dtype: str, reference: Callable[..., Outputs]) -> None:
    script = START + PREPROCESS + CLUSTERED + DETAILED
    ours, theirs = compare(script, reference, **series(simulated, dtype))
    same_clusters(ours, theirs)
    np.testing.assert_array_equal(ours["map.colors"], theirs["map.colors"])


def test_high_variance(reference: Callable[..., Outputs]) -> None:
    script = START + PREPROCESS + CLUSTERED + HIGH_VARIANCE
    ours, theirs = compare(script, reference, **series(VOLUME))
    same_clusters(ours, theirs)
    lines = (np.sort(one["shifted.lines"], axis=0) for one in (ours, theirs))
    np.testing.assert_allclose(*lines, rtol=1e-3)


def test_peak_averaging(reference: Callable[..., Outputs]) -> None:
    script = START + PREPROCESS + CLUSTERED + PEAKS
    ours, theirs = compare(script, reference, **series(VOLUME))
    same_clusters(ours, theirs)
    assert adjusted_rand_score(theirs["gmm.Pixel_assignments"], ours["gmm.Pixel_assignments"]) >= 0.98
    np.testing.assert_array_equal(ours["gmm.Data_ind"], theirs["gmm.Data_ind"])


@pytest.mark.parametrize(("kernel", "length"), [("local", 1.0), ("periodic", 0.1)])
def test_label_smoothing(kernel: str, length: float, reference: Callable[..., Outputs]) -> None:
    script = START + PREPROCESS + CLUSTERED + SMOOTHED
    settings = {"kernel": np.array(kernel), "length": np.array(length)}
    ours, theirs = compare(script, reference, **series(VOLUME), **settings)
    same_clusters(ours, theirs, settled=False)


@pytest.mark.parametrize("threshold", ["KL", "No threshold"])
def test_plugin(threshold: str, reference: Callable[..., Outputs]) -> None:
    script = START + CLUSTERED + PLUGIN
    ours, theirs = compare(script, reference, **series(VOLUME), threshold=np.array(threshold))
    same_clusters(ours, theirs, settled=threshold == "KL")
