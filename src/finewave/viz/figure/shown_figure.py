"""A figure that every notebook shows, whichever backend Matplotlib has there."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure without a window; a notebook shows it as the value of a cell.

    Matplotlib registers its own way to show figures with the first one that pyplot makes, which may never happen.
    """

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
