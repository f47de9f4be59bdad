"""``finewave view``: pages in a browser."""
