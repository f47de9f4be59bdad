"""What all files of named arrays share: HDF5, NetCDF, Zarr, MATLAB, NumPy."""
