"""What all files read by GDAL share: access, bands, numbers, masks, windows."""
