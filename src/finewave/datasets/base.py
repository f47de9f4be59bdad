"""Description of a data set, filled in by the file of each data set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from finewave.datasets.published_files import files_of
from finewave.errors import InputError

Split = Mapping[str, Sequence[str]]
PARTS = ("train", "val", "test")


class Image(NamedTuple):
    """One image of a data set, or the part of it that is a scene.

    Attributes
    ----------
    values : ndarray (C, H, W)
        The hyperspectral image in the numbers of its file.
    companions : mapping of str to ndarray (c, s H, s W)
        Images of the same area published with it, by kind; s is an integer.
    full_scale : float or None
        The stored number that represents 1.0; None until known.
    """

    values: np.ndarray
    companions: Mapping[str, np.ndarray] = {}
    full_scale: float | None = None


@dataclass(frozen=True)
class Region:
    """A rectangle of an image: rows and columns from the first to before the second, counted from 0."""

    image: str
    rows: tuple[int, int]
    columns: tuple[int, int]

    def overlaps(self, other: Region) -> bool:
        """Return whether the two share a pixel."""
        pairs = ((self.rows, other.rows), (self.columns, other.columns))
        return self.image == other.image and all(a[0] < b[1] and b[0] < a[1] for a, b in pairs)


@dataclass(frozen=True)
class DownloadableFile:
    """A published file with a direct download link.

    Attributes
    ----------
    url : str
    sha256 : str
        SHA-256 of the file; links without a known checksum belong into `Dataset.instructions`.
    name : str
        Path in the download folder; archives (``.zip``, ``.tar.gz``) are unpacked there.
    """

    url: str
    sha256: str
    name: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """A published data set.

    An *image* is a published file, a *scene* is used for training or evaluation: an image or a region of one.

    Attributes
    ----------
    name : str
        As the user writes it. ``name@split`` is the same data with another split.
    title : str
        Readable title.
    wavelengths : ndarray (C,)
        Centres in nm of the bands in use.
    find : callable
        Takes the folder with the published files; returns the path of each image, by name. Raises `InputError` if there
        is none, or one twice.
    read : callable
        Takes the path of one image from ``find``; returns a cube (C, H, W) of the stored numbers, or an `Image`.
        Raises `InputError` if a band is missing or the file is damaged.
    split : mapping
        Scenes by ``train``, ``val``, ``test``.
    citation, licence, home : str
        Paper, terms, page.
    sensor : str or None
        Default sensor of the simulated multispectral bands; see `finewave.physics.sensors`.
    full_scale : float or None
        The stored number that represents 1.0; None: the maximum of each image.
    size : (int, int) or None
        H, W of every image; None if they differ.
    regions : mapping of str to Region
        Scenes that are parts of an image; any other scene is the image of its name.
    split_of : callable, optional
        For scenes whose names are only in the files: takes the folder, returns the split.
    sources : callable
        Takes the path of one image from ``find``; returns all files that ``read`` will read for it.
    dropped_bands : sequence of int
        Excluded bands of the files, from 0.
    companions : mapping of str to str
        Readable descriptions of the companion images, by name.
    folder : str
        Its folder in ``FINEWAVE_DATA``; by default its name up to ``@``.
    instructions : str
        What to download from where, and the expected folder layout.
    files : sequence of DownloadableFile
        Files with direct download links.
    notes : str
        What else has to be known; what could not be settled.
    quantity : str or None
        What the values are, in the words of a scene's ``quantity``: ``"surface reflectance"``.
    unreliable_nm : sequence of (float, float)
        Ranges of wavelength in which its bands are mostly noise; what is learned there is flagged as bad.
    version : int
        Version of this description: stores prepared with another version are prepared again.
    """

    name: str
    title: str
    wavelengths: np.ndarray
    find: Callable[[Path], dict[str, Path]]
    read: Callable[[Path], np.ndarray | Image]
    split: Split
    citation: str
    licence: str
    home: str
    sensor: str | None
    full_scale: float | None
    size: tuple[int, int] | None = None
    regions: Mapping[str, Region] = field(default_factory=dict)
    split_of: Callable[[Path], Split] | None = None
    sources: Callable[[Path], list[Path]] = files_of
    dropped_bands: Sequence[int] = ()
    companions: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    instructions: str = ""
    files: Sequence[DownloadableFile] = ()
    notes: str = ""
    quantity: str | None = None
    unreliable_nm: Sequence[tuple[float, float]] = ()
    version: int = 1

    def image_of(self, scene: str) -> str:
        """Return the name of the image that a scene is, or is part of."""
        return self.regions[scene].image if scene in self.regions else scene

    @property
    def scenes(self) -> list[str]:
        """Names of the scenes, train first."""
        return [name for part in PARTS for name in self.split.get(part, ())]

    @property
    def data_folder_name(self) -> str:
        """Name of its folder in ``FINEWAVE_DATA``."""
        return self.folder or self.name.partition("@")[0]

    def check_split(self) -> None:
        """Raise an error if two parts of the split share a pixel.

        Raises
        ------
        InputError
            If a scene is there twice, or regions of two parts overlap; the message names them.
        """
        part_of: dict[str, str] = {}
        for part, names in self.split.items():
            if part not in PARTS:
                raise InputError(f"{self.name}: the parts of a split are {', '.join(PARTS)}; {part!r} is none of them")
            for name in names:
                if name in part_of:
                    where = f"twice in {part}" if part_of[name] == part else f"in {part_of[name]} and in {part}"
                    raise InputError(f"{self.name}: scene {name!r} is {where}; the split must not overlap")
                part_of[name] = part
        by_image: dict[str, list[str]] = {}
        for name in part_of:
            by_image.setdefault(self.image_of(name), []).append(name)
        for image, names in by_image.items():
            for one, other in itertools.combinations(names, 2):
                if part_of[one] != part_of[other] and self._overlap(one, other):
                    raise InputError(
                        f"{self.name}: {one!r} ({part_of[one]}) and {other!r} ({part_of[other]}) share pixels of "
                        f"{image!r}; the split must not overlap"
                    )

    def _overlap(self, one: str, other: str) -> bool:
        if one in self.regions and other in self.regions:
            return self.regions[one].overlaps(self.regions[other])
        return True  # one of them covers the whole image


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return names for a message, up to a maximum number."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
