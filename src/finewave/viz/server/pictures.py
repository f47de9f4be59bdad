"""Pictures of an image for the screen: bands chosen, stretched, in colours."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.viz.composites import PRESETS, Stretch, bands_for, choose_stretch, colours
from finewave.viz.windows import Frame, Window, fitted, read_window, window_of

if TYPE_CHECKING:
    from finewave.viz.layers import View
    from finewave.viz.server.state import State

_SAMPLE = 512  # screen pixels per side of the overview that decides the stretch, and lies behind the picture


@dataclass(frozen=True)
class Picture:
    """Colours (y, x), each an RGBA pixel in 32 bits, and where they lie."""

    pixels: NDArray[np.uint32]
    window: Window


class Painter:
    """Paint the images of a view, with one stretch for all of them, so that they can be compared.

    Parameters
    ----------
    view : View
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._stretches: dict[tuple[object, ...], Stretch] = {}
        self._lock = threading.Lock()

    def positions(self, state: State) -> tuple[float, ...]:
        """Return the positions on the result's axis that a state shows: three, or one band."""
        if state.mode == "band":
            return (state.band,)
        if state.mode in PRESETS:
            return PRESETS[state.mode][1]
        return state.red, state.green, state.blue

    def overview(self, role: str, state: State) -> Picture | None:
        """Return the whole image, small."""
        pyramid = self.view.result.pyramid
        return self.paint(role, state, Frame(0, pyramid.width, 0, pyramid.height, _SAMPLE, _SAMPLE))

    def paint(self, role: str, state: State, frame: Frame) -> Picture | None:
        """Return what a frame shows of an image; None where that is nothing.

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
        layer = self.view.layers[role]
        window = window_of(layer, frame)
        if window is None:
            return None
        stretch = self._stretch(state)
        values = read_window(layer, window, self._bands(role, state))
        picture = np.ascontiguousarray(fitted(colours(values, stretch), window, frame))
        return Picture(picture.view(np.uint32)[..., 0], window)

    def _bands(self, role: str, state: State) -> list[int]:
        measured = self.view.result.wavelengths is not None
        return bands_for(self.view.layers[role], self.positions(state), measured)

    def _stretch(self, state: State) -> Stretch:
        """Return the stretch for the bands of a state, that of the result."""
        positions = self.positions(state)
        key = (state.stretch, positions)
        with self._lock:
            if key not in self._stretches:
                result = self.view.result
                pyramid = result.pyramid
                window = window_of(result, Frame(0, pyramid.width, 0, pyramid.height, _SAMPLE, _SAMPLE))
                assert window is not None  # an image meets itself
                sample = read_window(result, window, self._bands("result", state))
                self._stretches[key] = choose_stretch(state.stretch, sample)
            return self._stretches[key]
