"""The measured spectra of a server: those of the command line, and those dropped on its pages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finewave.viz.server.spectral_plot.library import Library, LibrarySpectrum
from finewave.viz.server.transfer.receive_spectra import refuse_too_many


class LibraryStore:
    """Spectra that every page can plot, while the server runs.

    Parameters
    ----------
    entries : sequence of LibrarySpectrum
        Of the command line.
    """

    def __init__(self, entries: Sequence[LibrarySpectrum] = ()) -> None:
        self._given, self._dropped = list(entries), list[LibrarySpectrum]()
        self._on_bands: dict[bytes, Library] = {}

    @property
    def entries(self) -> list[LibrarySpectrum]:
        """All of them; new ones are at the end."""
        return [*self._given, *self._dropped]

    def add(self, entries: Sequence[LibrarySpectrum], name: str) -> None:
        """Keep the spectra of a dropped file; those that are there already are not added again.

        Raises
        ------
        InputError
            They are too many.
        """
        known = {_key(each) for each in self.entries}
        new = {_key(each): each for each in entries if _key(each) not in known}  # each once
        dropped = [*self._dropped, *new.values()]
        refuse_too_many(dropped, name)
        self._dropped = dropped
        self._on_bands = {}

    def positions(self, entries: Sequence[LibrarySpectrum]) -> list[int]:
        """Return where spectra are among all `entries`, each place once."""
        known = {_key(each): number for number, each in enumerate(self.entries)}
        return list(dict.fromkeys(known[_key(each)] for each in entries if _key(each) in known))

    def on_bands(self, centres: NDArray[np.float64] | None) -> Library | None:
        """Return the spectra on an image's bands; None if there are none, or the image has no wavelengths."""
        if centres is None or not self.entries:
            return None
        key, kept = centres.tobytes(), self._on_bands
        found = kept.get(key)
        if found is None:
            # others may be added while this runs in a thread; `add` replaces what is kept, not these
            found = kept[key] = Library(self.entries, centres)
        return found


def _key(entry: LibrarySpectrum) -> tuple[str, bytes, bytes]:
    return entry.name, entry.spectrum.wavelengths.tobytes(), entry.spectrum.values.tobytes()
