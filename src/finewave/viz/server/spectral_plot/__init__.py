"""The plot of spectra: pins, libraries, tables, scores."""
