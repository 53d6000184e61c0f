"""What ``xtec watch`` keeps while an experiment goes on: copies, the run folder, suggestions."""
