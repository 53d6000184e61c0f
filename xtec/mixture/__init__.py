"""Gaussian mixture by expectation maximisation over shards of trajectories."""

from xtec.mixture.em import EMState
from xtec.mixture.gaussian import GaussianMixture, MixtureConfig
from xtec.mixture.labels import Labeller
from xtec.mixture.noise import Noisy
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.search import Candidates
from xtec.mixture.trajectories import Blocks, Trajectories

__all__ = [
    "Blocks",
    "Candidates",
    "EMState",
    "GaussianMixture",
    "Labeller",
    "MixtureConfig",
    "MixtureParameters",
    "Noisy",
    "Trajectories",
]
