"""A picture of how often intervals hold what they say: coverage of each scene left out, by the stated share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from finewave.errors import unknown_name
from finewave.extras import check_extra
from finewave.io.atomic import atomic_output

EXTENSIONS = (".png", ".pdf")


def check_picture(path: Path) -> None:
    """Raise an `InputError` if a picture cannot be drawn under this name, before any work begins."""
    check_extra("view", "a picture of the coverage")
    if path.suffix.lower() not in EXTENSIONS:
        raise unknown_name("extension of a figure", path.suffix or path.name, EXTENSIONS)


def draw_reliability(coverage: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Write the picture.

    Parameters
    ----------
    coverage : mapping of str to mapping of str to float
        For each share the part of each scene's errors that lies within the half-widths, the scene left out of them.
    path : Path
        With one of `EXTENSIONS`.
    """
    from matplotlib.figure import Figure

    shares = [float(share) for share in coverage]
    figure = Figure((5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="as stated")
    first, below = next(iter(coverage)), 1.0
    for name, start in sorted(coverage[first].items(), key=lambda each: -each[1]):
        axes.plot(shares, [each[name] for each in coverage.values()], color="0.5", linewidth=0.8, marker=".")
        below = min(start, below - 0.025)  # names do not overlap
        axes.annotate(name, (shares[0] - 0.01, below), fontsize=7, ha="right", va="center")
    means = [np.mean(list(each.values())) for each in coverage.values()]
    axes.plot(shares, means, color="tab:blue", linewidth=2, marker="o", label="mean of the scenes")
    axes.set(xlabel="stated share", ylabel="share of the errors within", xlim=(0.2, 1), ylim=(0.2, 1), aspect="equal")
    axes.legend(loc="lower right")
    with atomic_output(path) as temporary:
        figure.savefig(temporary, dpi=120)
