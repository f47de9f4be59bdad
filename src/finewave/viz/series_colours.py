"""Colours of what is plotted, alike in the viewer, in reports, in figures and in notebooks."""

from __future__ import annotations

ROLES = {
    "result": ("#0072B2", "#56B4E9"),
    "reference": ("#1d2127", "#f2f4f7"),
    "input": ("#D55E00", "#E69F00"),
}
"""Of the images of a view on a light and on a dark page: Okabe and Ito's, distinguishable for colour-blind readers."""
SERIES = (ROLES["result"][0], "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8A6D00")
"""Of several results, or of several points, on white: none is that of an input or a reference."""
MAP = "magma"
"""matplotlib's name of the colours of errors, from zero (dark) to the largest (bright)."""
