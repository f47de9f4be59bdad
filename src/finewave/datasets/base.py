"""What is known about a data set: one description, which the file of the data set fills in."""

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
        Images of the same place that the owner publishes with it, by what they are; s is a whole number.
    full_scale : float or None
        The stored number that stands for 1.0; None until it is known.
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
        """Whether the two share a pixel."""
        pairs = ((self.rows, other.rows), (self.columns, other.columns))
        return self.image == other.image and all(a[0] < b[1] and b[0] < a[1] for a, b in pairs)


@dataclass(frozen=True)
class RemoteFile:
    """A file that its owner lets everybody fetch by a direct link.

    Attributes
    ----------
    url : str
    sha256 : str
        Of the file; without a known checksum a link is words in `Dataset.instructions`, not a `RemoteFile`.
    name : str
        Where it goes in the download folder; an archive (``.zip``, ``.tar.gz``) is unpacked there.
    """

    url: str
    sha256: str
    name: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as its owner publishes it.

    An *image* is what the owner publishes, a *scene* is what trains or is evaluated: an image, or a region of one.

    Attributes
    ----------
    name : str
        As the user writes it. ``name@split`` is the same data with another split.
    title : str
        In words.
    wavelengths : ndarray (C,)
        Band centres in nm, of the bands that are kept.
    find : callable
        Takes the folder with the published files; returns where each image lies, by name. Raises `InputError` if there
        is none, or one twice.
    read : callable
        Takes what ``find`` gave for one image; returns a cube (C, H, W) in the numbers of the file, or an `Image`.
        Raises `InputError` if a band is missing or the file is damaged.
    split : mapping
        Scenes by ``train``, ``val``, ``test``.
    citation, licence, home : str
        Paper, terms, page.
    sensor : str or None
        Whose multispectral bands are simulated unless another is asked for; see `finewave.physics.sensors`.
    full_scale : float or None
        The stored number that stands for 1.0; None: the maximum of each image.
    size : (int, int) or None
        H, W of every image; None if they differ.
    regions : mapping of str to Region
        Scenes that are parts of an image; any other scene is the image of its name.
    split_of : callable, optional
        Where the names of the scenes stand in the files alone: takes the folder, returns the split.
    sources : callable
        Takes what ``find`` gave for one image; returns all files that ``read`` will read for it.
    dropped_bands : sequence of int
        Bands of the files, from 0, that are left out.
    companions : mapping of str to str
        What comes with each image, by name, in words.
    folder : str
        Its folder in ``FINEWAVE_DATA``; by default its name up to ``@``.
    instructions : str
        What to fetch from where, and how it is to lie in the folder.
    files : sequence of RemoteFile
        What can be fetched by direct links.
    notes : str
        What else has to be known; what could not be settled.
    quantity : str or None
        What the values are, in the words of a scene's ``quantity``: ``"surface reflectance"``.
    unreliable_nm : sequence of (float, float)
        Ranges of wavelength in which its bands are mostly noise; what is learned there is flagged as bad.
    version : int
        Of this description: prepared stores of another one are made anew.
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
    files: Sequence[RemoteFile] = ()
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
        """Refuse a split in which two parts share a pixel.

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
        return True  # one of them is the whole image


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return names for a message, at most so many of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
