"""What NeXus makes of HDF5: NXdata, NXsample, the axes of a signal."""
