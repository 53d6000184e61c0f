"""Series that we write ourselves: simulated, stacked, as they come at a beamline."""
