"""Gaussian mixture by expectation maximisation over blocks of trajectories."""

from xtec.mixture.gaussian import GaussianMixture, MixtureConfig
from xtec.mixture.parameters import MixtureParameters

__all__ = ["GaussianMixture", "MixtureConfig", "MixtureParameters"]
