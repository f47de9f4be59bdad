"""Finding the image, its bands and its wavelengths among the bare arrays of an HDF5 or MATLAB file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from finewave.errors import InputError, unknown_name
from finewave.warnings import FinewaveWarning


def choose_variable(
    shapes: Mapping[str, tuple[int, ...]], numeric: Iterable[str], requested: str | None, path: object
) -> str:
    """Choose the array that is the image.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Every array of the file.
    numeric : iterable of str
        Those that hold real numbers.
    requested : str or None
        Name given by the user; the last part of a path suffices if unique.
    path : path
        For messages.

    Returns
    -------
    str
        The name of a 3-D array, or of the 2-D array that the user named.

    Raises
    ------
    InputError
        Nothing or more than one fits, or the named array does not exist or has one axis.
    """
    if requested is not None:
        matching = [name for name in shapes if requested.strip("/") in (name, name.rsplit("/", 1)[-1])]
        if not matching:
            raise unknown_name(f"variable in {path}:", requested, shapes)
        selected = requested.strip("/") if requested.strip("/") in matching else matching[0]
        if len(shapes[selected]) not in (2, 3) or 0 in shapes[selected]:
            raise InputError(
                f"variable {requested!r} of {path} has shape {shapes[selected]}; "
                "a scene needs three axes, or two for one band"
            )
        return selected
    candidates = [name for name in numeric if len(shapes[name]) == 3 and 0 not in shapes[name]]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise InputError(
            f"{path} holds several 3-D arrays; choose one with variable= (--variable): {_listed(candidates, shapes)}"
        )
    raise InputError(
        f"{path} holds no 3-D array of numbers to take as the image; it holds: "
        f"{_listed(shapes, shapes) if shapes else 'nothing'}"
    )


def _listed(names: Iterable[str], shapes: Mapping[str, tuple[int, ...]]) -> str:
    shown = [f"{name} {shapes[name]}" for name in names]
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")


_FEW = 4
"""No image has so few rows or columns, but many have so few bands."""


def choose_band_axis(
    shape: tuple[int, ...], known_counts: Iterable[int], requested: int | None, default: int | None, path: object
) -> int:
    """Choose which axis of a 3-D array is the band.

    In this order: the user's choice; the axis with the length of a known list of wavelengths (the default axis if there
    are several); the default axis; the axis that differs from two equal ones; the shortest.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array, three axes.
    known_counts : iterable of int
        Lengths of the known wavelength lists.
    requested : int or None
        The user's choice, -3 to 2.
    default : int or None
        The format's default, None if it has none.
    path : path
        For messages.

    Returns
    -------
    int
        0, 1 or 2.

    Raises
    ------
    InputError
        The stated axis does not exist.
    """
    if requested is not None:
        if not -3 <= requested <= 2:
            raise InputError(f"band_axis={requested} for {path}; the array has three axes, 0, 1 and 2")
        return requested % 3
    for count in known_counts:
        fitting = [axis for axis, length in enumerate(shape) if length == count]
        if fitting:
            return default if default in fitting else fitting[0]
    if default is not None:
        return default
    odd = [axis for axis, length in enumerate(shape) if shape.count(length) == 1]
    if len(odd) == 1:
        return odd[0]
    least, second, _ = sorted(shape)
    if 2 * least > second and least > _FEW:
        warnings.warn(
            f"{path}: nothing says which axis of {shape} is the band; the shortest was taken; state another with "
            "band_axis= (--band-axis)",
            FinewaveWarning,
            stacklevel=5,
        )
    return int(np.argmin(shape))
