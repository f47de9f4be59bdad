"""Map coordinates of pixels: those of the scene's CRS, and longitude and latitude."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.scene import scene_crs, scene_transform
from finewave.text.plain_text import one_line

if TYPE_CHECKING:
    import xarray as xr
    from affine import Affine
    from rasterio.crs import CRS

_NEAR_PIXELS = 0.1  # error of interpolated directions
_MOST_CELLS = 64


@dataclass(frozen=True)
class MapPosition:
    """The georeference of an image with a transform.

    Attributes
    ----------
    transform : affine.Affine
        From column and row, counted from the corner, to x and y.
    crs : rasterio.crs.CRS or None
    size : (int, int)
        Rows and columns.
    """

    transform: Affine
    crs: CRS | None
    size: tuple[int, int]

    @property
    def crs_name(self) -> str:
        """Name and code of the CRS; empty without one."""
        if self.crs is None:
            return ""
        import pyproj
        from pyproj.exceptions import CRSError

        try:
            name = one_line(pyproj.CRS.from_user_input(self.crs).name)
        except CRSError:
            name = "a CRS of the file"
        code = self.crs.to_epsg()
        return f"{name} (EPSG:{code})" if code else name

    @property
    def is_in_degrees(self) -> bool:
        """Whether x and y are longitude and latitude already."""
        return self.crs is not None and self.crs.to_epsg() == 4326

    @property
    def decimals(self) -> int:
        """Digits of x and y after the point that say a tenth of a pixel."""
        return _decimals(math.sqrt(abs(self.transform.determinant)))

    def xy(self, column: float, row: float) -> tuple[float, float]:
        """Return the map coordinates of a position."""
        x, y = self.transform * (column, row)
        return float(x), float(y)

    def degrees(self, columns: Any, rows: Any) -> NDArray[np.float64] | None:
        """Return longitudes and latitudes (2, n) in WGS 84; None without a CRS, or where they are not defined."""
        if self.crs is None:
            return None
        from rasterio.warp import transform

        t, column, row = self.transform, np.asarray(columns, np.float64), np.asarray(rows, np.float64)
        x, y = t.a * column + t.b * row + t.c, t.d * column + t.e * row + t.f
        try:
            found = np.asarray(transform(self.crs, "EPSG:4326", np.ravel(x).tolist(), np.ravel(y).tolist())[:2])
        except Exception:  # it has no relation to the earth; errors of GDAL have no public class
            return None
        return found if np.isfinite(found).all() else None

    def words(self, column: float, row: float) -> str:
        """Return the map coordinates of a position as text: those of the CRS, then degrees."""
        x, y = self.xy(column, row)
        parts = [f"x {x:.{self.decimals}f}, y {y:.{self.decimals}f}" + (f" ({self.crs_name})" if self.crs else "")]
        degrees = None if self.is_in_degrees else self.degrees([column], [row])
        if degrees is not None:
            parts.append(f"longitude {degrees[0, 0]:.6f}, latitude {degrees[1, 0]:.6f}")
        return ", ".join(parts)

    def direction_grid(self) -> list[list[list[float]]] | None:
        """Return unit vectors (3, n, n) of nodes between which a page interpolates; None where unknown.

        They point from the centre of a sphere to longitude and latitude, so that nothing jumps at 180 degrees and at
        the poles. The nodes lie evenly from edge to edge, close enough for errors below a tenth of a pixel, unless the
        image spans much of the earth.
        """
        cells = 2
        while True:
            fine = self._nodes(4 * cells)
            if fine is None:
                return None
            coarse = fine[:, ::4, ::4]
            weights = np.clip(1 - np.abs(np.arange(4 * cells + 1)[:, None] / 4 - np.arange(cells + 1)), 0, None)
            between = weights @ coarse @ weights.T
            apart = np.linalg.norm(between / np.linalg.norm(between, axis=0) - fine, axis=0)
            ends = np.linalg.norm(fine[:, 1:, 1:] - fine[:, :-1, :-1], axis=0)  # of quarters of cells
            pixel = ends / (math.hypot(*self.size) / (4 * cells))
            if (apart <= _NEAR_PIXELS * np.pad(pixel, ((0, 1), (0, 1)), "edge")).all() or 2 * cells > _MOST_CELLS:
                return np.round(coarse, 11).tolist()
            cells *= 2

    def facts(self) -> dict[str, Any]:
        """Return all that a page needs to show coordinates, ready for JSON."""
        grid = None if self.is_in_degrees else self.direction_grid()
        return {
            "transform": list(self.transform)[:6],
            "size": list(self.size),
            "crs": self.crs_name,
            "degrees": self.is_in_degrees,
            "decimals": self.decimals,
            "grid": grid,
        }

    def _nodes(self, cells: int) -> NDArray[np.float64] | None:
        height, width = self.size
        rows, columns = np.meshgrid(np.linspace(0, height, cells + 1), np.linspace(0, width, cells + 1), indexing="ij")
        found = self.degrees(columns.ravel(), rows.ravel())
        if found is None:
            return None
        longitude, latitude = np.radians(found).reshape(2, cells + 1, cells + 1)
        across = np.cos(latitude)
        return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)])


def map_position(scene: xr.DataArray) -> MapPosition | None:
    """Return the georeference of a scene; None without a transform."""
    transform = scene_transform(scene)
    if transform is None or transform.determinant == 0 or not all(map(math.isfinite, transform)):
        return None
    return MapPosition(transform, scene_crs(scene), (scene.sizes["y"], scene.sizes["x"]))


def _decimals(pixel: float) -> int:
    return min(8, max(0, 1 - math.floor(math.log10(pixel))))
