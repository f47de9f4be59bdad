"""Published tables, ablations and figures as data, and what reruns them."""
