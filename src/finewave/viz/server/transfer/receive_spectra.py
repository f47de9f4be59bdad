"""Reading of dropped spectral libraries in a process with limits; the server never parses uploads."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from finewave.errors import InputError
from finewave.io.ground.spectral_library import Spectrum
from finewave.viz.server.spectral_plot.library import LibrarySpectrum, has_places, read_library
from finewave.viz.server.transfer.receive import answer_of

SUFFIXES = (".sli", ".csv", ".txt", ".asc")
"""Of dropped libraries; a ``.sli`` comes with its header."""
MOST_SPECTRA = 5_000
"""Maximum number of dropped spectra, of all files together; ``--library`` has no such limit."""
MOST_VALUES = 8_000_000
"""Maximum number of their values."""
_LONGEST_NAME = 200
_EXTRA_BYTES = 2 * 10**8  # of a file whose reading would take 10 s of CPU time


def receive_spectra(source: Path) -> list[LibrarySpectrum]:
    """Return the spectra of an upload.

    Parameters
    ----------
    source : pathlib.Path
        The upload, with its header beside it. The folder gets another file.

    Raises
    ------
    InputError
        It cannot be read, is too large, or took too long.
    """
    target = source.parent / "spectra.npz"
    names = answer_of("finewave.viz.server.transfer.receive_spectra", source, (str(source), str(target)))["names"]
    with np.load(target) as arrays:  # without pickles
        wavelengths, values, ends = arrays["wavelengths"], arrays["values"], np.cumsum(arrays["lengths"])[:-1]
    split = zip(names, np.split(wavelengths, ends), np.split(values, ends), strict=True)
    return [LibrarySpectrum(str(name), Spectrum(grid, each)) for name, grid, each in split]


def main(source: str, target: str) -> None:
    """Do it, here, in the process with limits."""
    from finewave.io.isolated.child import limit

    path = Path(source)
    try:
        limit(path.stat().st_size + _EXTRA_BYTES)
        if has_places(path):  # they may name spectra in other files
            raise InputError(f"{path} is a table of places; give it as finewave view --library {path.name}")
        found = read_library([path])
        refuse_too_many(found, path.name)
        parts = {
            "wavelengths": np.concatenate([each.spectrum.wavelengths for each in found]),
            "values": np.concatenate([each.spectrum.values for each in found]),
            "lengths": np.array([len(each.spectrum.values) for each in found]),
        }
        np.savez(target, **parts)  # type: ignore[arg-type]  # of its option allow_pickle
    except InputError as error:
        print(json.dumps({"refused": str(error)}))
        return
    except MemoryError:
        print(json.dumps({"refused": f"cannot read {path}: it asks for more memory than a file of its size should"}))
        return
    print(json.dumps({"names": [each.name[:_LONGEST_NAME] for each in found]}))


def refuse_too_many(entries: list[LibrarySpectrum], name: str) -> None:
    """Raise an error for more spectra, or values, than pages take."""
    if len(entries) > MOST_SPECTRA or sum(len(each.spectrum.values) for each in entries) > MOST_VALUES:
        raise InputError(
            f"{name}: the page takes up to {MOST_SPECTRA:,} dropped spectra with {MOST_VALUES:,} values in all; larger "
            f"libraries are opened by finewave view --library {name}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
