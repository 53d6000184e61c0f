"""Drop-in for ``xtec.GMM`` of the reference package; see docs/compat.md."""

from xtec.compat.cluster import Cluster_Gaussian
from xtec.compat.distributions import warn_of_reference
from xtec.compat.markov import GMM_kernels
from xtec.compat.mixture import GMM

__all__ = ["GMM", "Cluster_Gaussian", "GMM_kernels"]

warn_of_reference()
