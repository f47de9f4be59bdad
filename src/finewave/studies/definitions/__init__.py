"""Which studies there are: rows, data sets and published numbers of each."""
