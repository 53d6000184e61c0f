"""Which way of passing over trajectories is the fastest, and what a label is."""

from __future__ import annotations

from typing import Any

from xtec.core.arrays import namespace
from xtec.mixture.fused import Frame, FusedModel, precision
from xtec.mixture.moments import has_full_scatter
from xtec.mixture.parameters import MixtureParameters


def fused_model(library: str, parameters: MixtureParameters, frame: Frame, dtype: Any) -> FusedModel | None:
    """The mixture with a kernel of its own for the arrays of a library; None where there is none.

    Parameters
    ----------
    library : str
        Of the arrays: compiled loops take NumPy's, CUDA kernels CuPy's.
    parameters : MixtureParameters
        Where the covariances are not diagonal, there is no such kernel.
    frame : Frame
    dtype : dtype
        Of the arrays.
    """
    if has_full_scatter(parameters.covariance_type):
        return None
    if library == "numpy":
        return FusedModel(parameters, frame, precision(dtype))
    if library == "cupy":
        from xtec.mixture.cuda import CudaModel, fits

        if fits(parameters.n_components, parameters.n_features, precision(dtype)):
            return CudaModel(parameters, frame, precision(dtype))
    return None


def most_probable(shares: Any) -> tuple[Any, Any]:
    """Component of the largest share, int16, and that share, float32; both of shape (n,)."""
    xp = namespace(shares)
    return xp.astype(xp.argmax(shares, axis=1), xp.int16), xp.astype(xp.max(shares, axis=1), xp.float32)
