"""Novelty by a normalizing flow: what is in this series that was not in the reference?

Trajectories are whitened (`whitening`), their density given the noise is learned by spline couplings
(`coupling`, `training`), and log-likelihoods are judged against held-out reference trajectories (`judging`).
"""

from xtec.learned.flow.novelty import FlowNovelty

__all__ = ["FlowNovelty"]
