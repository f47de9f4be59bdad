"""Remote files: names for GDAL and fsspec, and HTTP metadata."""
