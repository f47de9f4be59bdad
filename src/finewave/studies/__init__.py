"""Published tables, ablations and figures as data, and their reproduction."""
