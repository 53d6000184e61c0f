"""HDF5 of any kind: opening what others own, following links, finding and decoding chunks, writing."""
