"""Pictures of an image for the screen: bands chosen, stretched, in colours."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.physics.rendering.display import DisplayRange, display_range, srgb_bytes
from finewave.physics.rendering.renderings import Rendering, coarse_rendering, rendering_of_bands
from finewave.viz.pyramid import TILE
from finewave.viz.windows import Frame, Window, fitted, window_of

if TYPE_CHECKING:
    from finewave.viz.scene_pair import SceneLayer, ScenePair
    from finewave.viz.server.state import State

_SAMPLE = 512  # side of the overview, which sets the display range and is drawn behind the picture
_CHANNEL_BYTES = 96 * 2**20


@dataclass(frozen=True)
class Picture:
    """Colours (y, x), each a 32-bit RGBA pixel, and their position."""

    pixels: NDArray[np.uint32]
    window: Window


class Painter:
    """Render the images of a view with a common display range, for comparison.

    Parameters
    ----------
    view : ScenePair
    """

    def __init__(self, view: ScenePair) -> None:
        self.view = view
        self._ranges: dict[tuple[object, ...], DisplayRange] = {}
        self._tiles: OrderedDict[tuple[object, ...], NDArray[np.float32]] = OrderedDict()
        self._used = 0
        self._lock = threading.RLock()

    def rendering(self, role: str, state: State) -> Rendering:
        """Return the rendering of an image: that of the result if it has the bands, otherwise its own."""
        layer, result = self.view.layers[role], self.view.result
        if state.mode not in ("three", "band"):
            return layer.renderings.get(state.mode, layer.default_rendering)
        positions = (state.band,) if state.mode == "band" else (state.red, state.green, state.blue)
        if layer.wavelengths is None and result.wavelengths is not None:
            return layer.default_rendering if len(positions) == 3 else rendering_of_bands(layer.scene, [0])
        return rendering_of_bands(layer.scene, [layer.nearest(position) for position in positions])

    def marked(self, state: State) -> tuple[float, ...] | None:
        """Return the wavelengths (numbers of bands) of red, green and blue; None where these are not single bands."""
        if state.mode == "three":
            return state.red, state.green, state.blue
        centres = None if state.mode == "band" else self.rendering("result", state).centres
        return centres if centres is not None and len(centres) == 3 else None

    def overview(self, role: str, state: State) -> Picture | None:
        """Return an overview of the image."""
        return self.paint(role, state, self._whole())

    def paint(self, role: str, state: State, frame: Frame) -> Picture | None:
        """Return the part of an image in a frame; None if there is none.

        Parameters
        ----------
        role : str
            Of the image.
        state : State
            Bands and stretch.
        frame : Frame

        Returns
        -------
        Picture or None
        """
        layer, shown = self.view.layers[role], self.rendering(role, state)
        window = window_of(layer, frame)
        if window is None:
            return None
        channels = self._channels(layer, shown, window)
        colours = srgb_bytes(shown, channels, self._range(role, state, shown))
        picture = np.ascontiguousarray(fitted(colours, window, frame))
        return Picture(picture.view(np.uint32)[..., 0], window)

    def is_slow(self, role: str, frame: Frame) -> bool:
        """Return whether a picture of a frame takes so long that a `preview` should be shown before it."""
        layer = self.view.layers[role]
        window = window_of(layer, frame)
        return window is not None and layer.pyramid.is_slow(window.level) and not self._has_tiles(layer)

    def preview(self, role: str, state: State) -> Picture:
        """Return a quick look at the whole image: every so many-th pixel, and true colour from fewer bands."""
        layer = self.view.layers[role]
        shown = coarse_rendering(layer.scene, self.rendering(role, state))
        window = window_of(layer, self._whole())
        assert window is not None  # an image of a view meets its result
        channels = shown.channels(layer.pyramid.sample(window.level, shown.bands))
        pixels = np.ascontiguousarray(srgb_bytes(shown, channels, display_range(state.stretch, shown, channels)))
        height, width = layer.pyramid.size(window.level)
        step, place = 1 << window.level, layer.place
        right, bottom = place.left + width * step * place.width, place.top + height * step * place.height
        whole = Window(window.level, slice(0, height), slice(0, width), place.left, right, place.top, bottom)
        return Picture(pixels.view(np.uint32)[..., 0], whole)

    def _has_tiles(self, layer: SceneLayer) -> bool:
        with self._lock:
            return any(key[0] == layer.role for key in self._tiles)

    def _whole(self) -> Frame:
        pyramid = self.view.result.pyramid
        return Frame(0, pyramid.width, 0, pyramid.height, _SAMPLE, _SAMPLE)

    def _range(self, role: str, state: State, shown: Rendering) -> DisplayRange:
        """Return the display range of the result, or of the image itself if its channels differ in kind."""
        main = self.rendering("result", state)
        if shown.index != main.index or len(shown.weights) != len(main.weights):
            main = shown
        else:
            role = "result"
        key = (role, state.stretch, main.name, main.weights.tobytes())
        with self._lock:
            if key not in self._ranges:
                layer = self.view.layers[role]
                window = window_of(layer, self._whole())
                assert window is not None  # an image of a view meets its result
                self._ranges[key] = display_range(state.stretch, main, self._channels(layer, main, window))
            return self._ranges[key]

    def _channels(self, layer: SceneLayer, shown: Rendering, window: Window) -> NDArray[np.float32]:
        """Return linear channels of a window, from cached tiles, as true colour needs many bands."""
        rows, columns = window.rows, window.columns
        result = np.empty((len(shown.weights), rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for tile_row in range(rows.start // TILE, (rows.stop - 1) // TILE + 1):
            numbers = list(range(columns.start // TILE, (columns.stop - 1) // TILE + 1))
            for column, tile in zip(numbers, self._row(layer, shown, window.level, tile_row, numbers), strict=True):
                top, left = tile_row * TILE, column * TILE
                ys = slice(max(top, rows.start), min(top + tile.shape[1], rows.stop))
                xs = slice(max(left, columns.start), min(left + tile.shape[2], columns.stop))
                result[
                    :, ys.start - rows.start : ys.stop - rows.start, xs.start - columns.start : xs.stop - columns.start
                ] = tile[:, ys.start - top : ys.stop - top, xs.start - left : xs.stop - left]
        return result

    def _row(
        self, layer: SceneLayer, shown: Rendering, level: int, row: int, numbers: list[int]
    ) -> list[NDArray[np.float32]]:
        """Return tiles of one row; missing ones are computed in one read."""
        about = (layer.role, shown.name, shown.weights.tobytes(), level, row)
        with self._lock:
            tiles = {number: self._tiles.get((*about, number)) for number in numbers}
            missing = [number for number, tile in tiles.items() if tile is None]
            if missing:
                height, width = layer.pyramid.size(level)
                ys = slice(row * TILE, min((row + 1) * TILE, height))
                xs = slice(missing[0] * TILE, min((missing[-1] + 1) * TILE, width))
                channels = shown.channels(layer.pyramid.read(level, shown.bands, ys, xs))
                for number in missing:
                    left = number * TILE - xs.start
                    tiles[number] = self._keep((*about, number), channels[:, :, left : left + TILE].copy())
            for number in numbers:
                self._tiles.move_to_end((*about, number)) if (*about, number) in self._tiles else None
        return [tile for tile in tiles.values() if tile is not None]

    def _keep(self, key: tuple[object, ...], tile: NDArray[np.float32]) -> NDArray[np.float32]:
        self._tiles[key] = tile
        self._used += tile.nbytes
        while self._used > _CHANNEL_BYTES and len(self._tiles) > 1:
            self._used -= self._tiles.popitem(last=False)[1].nbytes
        return tile
