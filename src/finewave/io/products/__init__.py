"""Satellite and airborne products as delivered: one file per mission, with its layout and metadata.

A module has two functions, ``matches(path)`` and ``open_file(path, options)``. The first checks cheaply, by name or
metadata, whether a file or folder is or belongs to such a product; the second returns the scene, as a format's
``open_file`` does.
"""

from __future__ import annotations

import glob
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from finewave.errors import InputError
from finewave.io.precheck import precheck


@dataclass(frozen=True)
class Product:
    """A mission's product: its name for messages, its module, and which options of `open_scene` have a meaning.

    ``files`` occurs in the name of every file that is such a product or belongs to one, ignoring case; otherwise the
    module is not imported. Neither is it if ``beside`` is the extension of a file that every such image has beside it
    and this one has not. Folders are always checked.
    """

    name: str
    module: str
    files: str = ""
    beside: str = ""
    has_resolution: bool = False
    has_variables: bool = False
    has_lookup_table: bool = False
    has_clouds: bool = False


PRODUCTS: tuple[Product, ...] = (
    Product("Sentinel-2 product", "sentinel2", r"_B\d[\dA]|^MTD_|\.zip$", has_resolution=True, has_clouds=True),
    Product("Landsat product", "landsat", "^L[COTEM]0", has_resolution=True, has_clouds=True),
    Product("Zarr store of EOPF", "eopf", "^$", has_resolution=True),
    Product("EnMAP product", "enmap", "^ENMAP", has_clouds=True),
    Product("DESIS product", "desis", "^DESIS"),
    Product("PRISMA product", "prisma", r"\.(he5|h5)$"),
    Product("EMIT product", "emit", "^EMIT_", has_variables=True, has_lookup_table=True),
    Product("AVIRIS product", "aviris3", "^(AV3|ang|AVNG)", has_variables=True),
    Product("PACE product", "pace", "^PACE_OCI", has_variables=True),
    Product("NEON product", "neon", r"\.(h5|hdf5)$", has_variables=True),
    Product("Tanager product", "tanager", r"\.(h5|hdf5|he5)$", has_variables=True),
    Product("PlanetScope scene", "planetscope", "_3[AB]_", has_clouds=True),
    Product("STAC item", "stac", r"\.(geo)?json$", has_resolution=True, has_variables=True),
    Product("WorldView image", "worldview", beside=".imd"),
    Product("line scan with references", "reference_panels", r"^(?!.*\.(tif|nc|png|jpg|mat|h5)$)"),
)


def product_of(path: Path) -> Product | None:
    """Return the product that a file or folder is or belongs to, None for other files and folders.

    Raises
    ------
    InputError
        As of `finewave.io.precheck.precheck`, which runs first.
    """
    precheck(path)
    return next((each for each in PRODUCTS if _matches(each, path)), None)


def _matches(product: Product, path: Path) -> bool:
    if not re.search(product.files, path.name, re.IGNORECASE) and not path.is_dir():
        return False
    try:
        if product.beside and path.is_file() and product.beside not in {each.suffix.lower() for each in _beside(path)}:
            return False
        return bool(module_of(product).matches(path))
    except InputError:
        raise
    except Exception:  # a damaged file is not a product; its reader will say why it cannot be read
        return False


def _beside(path: Path) -> Iterator[Path]:
    """Yield the files that differ from a path in their extension alone, and the path."""
    return path.parent.glob(f"{glob.escape(path.stem)}.*")


def module_of(product: Product) -> ModuleType:
    """Return the module with ``matches`` and ``open_file``."""
    return importlib.import_module(f"finewave.io.products.{product.module}")
