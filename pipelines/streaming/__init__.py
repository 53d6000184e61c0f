"""How a series flows: blocks, shards, what is held of them, and who does the work."""
