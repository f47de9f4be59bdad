"""Files that lie elsewhere: their names for GDAL and fsspec, and what an HTTP server says of them."""
