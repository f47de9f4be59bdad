"""Optional packages: a missing one gives an error of one line with the command that installs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import finewave
from finewave.errors import InputError

# What is imported of each extra; the distributions that hold it stand in pyproject.toml.
PACKAGES: dict[str, tuple[str, ...]] = {
    "cluster": ("distributed", "cryptography"),
    "data": ("OpenEXR", "pooch", "requests"),
    "demo": ("matplotlib", "skimage"),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "fast": ("numba",),
    "hub": ("huggingface_hub",),
    "photos": ("pillow_heif", "rawpy"),
    "remote": ("fsspec", "aiohttp"),
    "train": ("lightning", "tensorboard"),
    "view": ("bokeh", "markdown_it", "matplotlib"),
}

OF_FORMATS = ("PIL", "dask", "h5netcdf", "h5py", "imageio", "numcodecs", "pyproj", "rioxarray", "scipy", "zarr")
"""Of finewave itself, but of an extra of ``finewave-run``, which has GeoTIFF and ENVI alone without it."""

OF_NETWORKS = ("omegaconf", "safetensors", "torch")
"""Of finewave itself, but not of ``finewave-run``, which runs exported models alone."""


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra: from the index for a release, else from a clone."""
    if "dev" not in finewave.__version__:
        return f"pip install 'finewave[{extra}]'"
    return f"pip install -e '.[{extra}]' in a clone of finewave"


def missing_package(purpose: str, package: str | None, extra: str) -> InputError:
    """Return the error for a package that is not installed.

    Parameters
    ----------
    purpose : str
        What needs it, as the subject of the sentence: ``"the viewer"``.
    package : str, optional
        The name under which it is imported.
    extra : str
        The extra of finewave that brings it.
    """
    return InputError(f"{purpose} needs the package {package}, which is not installed: {how_to_install(extra)}")


def missing_torch(package: str = "torch") -> InputError:
    """Return the error for a package of `OF_NETWORKS` in an installation without PyTorch."""
    return InputError(
        f"this needs the package {package}, which is not installed: finewave-run only predicts with exported models "
        "(--model NAME.onnx, see finewave export); install finewave for everything else"
    )


def missing_format(package: str) -> InputError:
    """Return the error for a package `OF_FORMATS`."""
    return InputError(
        f"this needs the package {package}, which is not installed: finewave-run reads and writes GeoTIFF and ENVI "
        "alone; pip install './packages/run[formats]' in a clone of finewave adds the other formats"
    )


@contextmanager
def importing(extra: str, purpose: str) -> Iterator[None]:
    """Raise an `InputError` in place of the ImportError of a package of an extra.

    Parameters
    ----------
    extra : str
        One of `PACKAGES`.
    purpose : str
        What needs it, see `missing_package`.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES[extra]:
            raise
        raise missing_package(purpose, package, extra) from None


def check_extra(extra: str, purpose: str) -> None:
    """Raise an `InputError` if a package of an extra is missing, before any work begins.

    Parameters
    ----------
    extra : str
        One of `PACKAGES`.
    purpose : str
        What needs it, see `missing_package`.
    """
    for package in PACKAGES[extra]:
        if importlib.util.find_spec(package) is None:
            raise missing_package(purpose, package, extra)
