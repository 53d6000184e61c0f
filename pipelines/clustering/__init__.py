"""What is clustered, how, and what the clusters say: the steps of ``xtec cluster``."""
