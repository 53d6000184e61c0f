"""End-to-end runs: where reading, science and writing meet."""
