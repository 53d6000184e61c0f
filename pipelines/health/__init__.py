"""What ``xtec doctor`` looks at."""
