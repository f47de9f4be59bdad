"""Lists about bands in files: wavelengths, widths, flags, names, in any spelling and place."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.warnings import FinewaveWarning
from finewave.wavelengths import (
    LONGEST_NM,
    SHORTEST_NM,
    is_a_wavelength_unit,
    is_unknown_unit,
    nanometres_per_unit,
    to_nanometres,
    wavelength_in_text,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WAVELENGTHS = _words(
    "wavelength wavelengths wavelen wave waves lambda lambdas wl wls wvl wvls wavelength3d radiationwavelength "
    "centerwavelength centerwavelengths centrewavelength centrewavelengths centralwavelength centralwavelengths "
    "wavelengthcenter wavelengthcentre wavelengthcenters wavelengthcentres wavelengthcenterofband "
    "bandcenter bandcentre bandcenters bandcentres bandwavelength bandwavelengths spectralwavelength "
    "sensorwavelength sensorwavelengths nominalwavelength nominalwavelengths"
)
#: Names of lists that are wavelengths only if the numbers cannot be anything else, such as band numbers.
_PERHAPS_WAVELENGTHS = _words("band bands channel channels spectral centers centres")
_WIDTHS = _words(
    "fwhm fwhms bandwidth bandwidths fullwidthhalfmax fullwidthhalfmaximum fullwidthathalfmaximum fwhmofband "
    "bandpass spectralwidth spectralbandwidth"
)
_UNITS = _words("wavelengthunit wavelengthunits wavelengthsunit wavelengthsunits unitsofwavelength bandunit bandunits")
_WIDTH_UNITS = _words("fwhmunit fwhmunits bandwidthunit bandwidthunits widthunit widthunits")
_GOOD = _words(
    "bbl badbandlist badbandslist badbandmultiplier goodband goodbands goodbandlist goodwavelength goodwavelengths "
    "validband validbands useband"
)
_BAD = _words("badband badbands isbad badbandmask badwavelength badwavelengths")
_NAMES = _words("bandname bandnames bandid bandids bandlabel bandlabels channelname channelnames")
_UNIT_AT_THE_END = {
    "nm": "nm",
    "um": "um",
    "micrometers": "um",
    "micrometer": "um",
    "microns": "um",
    "nanometers": "nm",
    "nanometer": "nm",
}
_KINDS = {
    "wavelength": _WAVELENGTHS,
    "width": _WIDTHS,
    "unit": _UNITS,
    "width unit": _WIDTH_UNITS,
    "good": _GOOD,
    "bad": _BAD,
    "name": _NAMES,
    "perhaps": _PERHAPS_WAVELENGTHS,
}
_KIND_OF = {word: kind for kind, words in reversed(_KINDS.items()) for word in words}


@dataclass(frozen=True)
class Listed:
    """One list in a file.

    Parameters
    ----------
    name : str
        As the file has it, with groups: ``"sensor_band_parameters/wavelengths"``.
    values : array_like or str
        The list; text such as ``"{400, 410}"`` is parsed.
    unit : str or None
        Its unit, as stated.
    """

    name: str
    values: Any
    unit: str | None = None

    @property
    def kind(self) -> str | None:
        """``"wavelength"``, ``"width"``, a unit of them, ``"good"``, ``"bad"``, ``"name"``, ``"perhaps"``, or None."""
        return _KIND_OF.get(_plain(self.name)[0])

    @property
    def stated_unit(self) -> str | None:
        """The list's unit, or the one at the end of its name."""
        return self.unit or _plain(self.name)[1]

    def items(self) -> list[Any]:
        """Return the single entries, numbers or texts."""
        values = self.values
        if isinstance(values, bytes):
            values = values.decode("utf-8", errors="replace")
        if isinstance(values, str):
            return [each for each in re.split(r"[,;\s]+", values.strip().strip("{}[]()")) if each]
        flat = np.ravel(np.asarray(values))
        return [each.decode("utf-8", errors="replace") if isinstance(each, bytes) else each for each in flat.tolist()]


def attribute(attributes: Mapping[Any, Any], *names: str) -> Any:
    """Return the first attribute with one of these names, ignoring case; None if there is none."""
    lower = {str(key).lower(): value for key, value in attributes.items()}
    return next((lower[name.lower()] for name in names if name.lower() in lower), None)


def unit_of(attributes: Mapping[Any, Any]) -> str | None:
    """Return the unit that the attributes of a list state."""
    unit = attribute(attributes, "units", "unit", "wavelength_units", "wavelength_unit")
    if isinstance(unit, bytes):
        unit = unit.decode("utf-8", errors="replace")
    return unit if isinstance(unit, str) and unit.strip() else None


def listed_in(attributes: Mapping[Any, Any], prefix: str = "") -> list[Listed]:
    """Return the attributes that are lists about bands; their unit is one of the attributes, if any is."""
    lists = [Listed(prefix + str(key), value) for key, value in attributes.items()]
    return [each for each in lists if each.kind is not None and each.kind != "perhaps"]


def kind_of(name: str) -> str | None:
    """Return what a list of this name is about, see `Listed.kind`."""
    return _KIND_OF.get(_plain(name)[0])


def is_about_bands(name: str) -> bool:
    """Return whether a name belongs to a list about bands."""
    return kind_of(name) is not None


def lengths_of_wavelength_lists(listed: Iterable[Listed]) -> list[int]:
    """Return the lengths of the lists of wavelengths and widths, which identify a band axis."""
    candidates = list(listed)
    sure = [len(each.items()) for each in candidates if each.kind in ("wavelength", "width")]
    return sure + [
        len(each.items()) for each in candidates if each.kind == "perhaps" and _can_only_be_wavelengths(each)
    ]


def describe_bands(
    listed: Sequence[Listed], bands: int, path: object, *, wavelengths_given: bool = False
) -> dict[str, Any]:
    """Read wavelengths, widths, flags and names out of the lists of a file.

    Parameters
    ----------
    listed : sequence of Listed
        In order of preference. Lists of other meaning are ignored.
    bands : int
        Of the image.
    path : path
        For messages.
    wavelengths_given : bool
        The user gives wavelengths, so no warnings about the file's are needed.

    Returns
    -------
    dict
        Those of ``wavelengths``, ``fwhm`` (nm), ``good_bands`` and ``band_names`` that are known: keywords of
        `finewave.scene.make_scene`. A width's unit is its own, or else that of the wavelengths.

    Warns
    -----
    FinewaveWarning
        A list that cannot be used.
    """
    shared, shared_width = _unit_among(listed, "unit"), _unit_among(listed, "width unit")
    problems: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    wavelengths = [each for each in listed if each.kind == "wavelength"]
    wavelengths += [each for each in listed if each.kind == "perhaps" and _can_only_be_wavelengths(each)]
    factor = None
    for each in wavelengths:
        found_wavelengths = _wavelengths(each, bands, shared, problems)
        if found_wavelengths is not None:
            metadata["wavelengths"], factor = found_wavelengths
            break
    if wavelengths_given or "wavelengths" in metadata:
        problems.pop("wavelength", None)
    for each in listed:
        if each.kind == "width" and "fwhm" not in metadata:
            unit = each.stated_unit or shared_width
            widths = _widths(each, unit, bands, shared, factor, metadata.get("wavelengths"), problems)
            metadata |= {} if widths is None else {"fwhm": widths}
        elif each.kind in ("good", "bad") and "good_bands" not in metadata:
            flags = _flags(each, bands, problems)
            metadata |= {} if flags is None else {"good_bands": flags if each.kind == "good" else ~flags}
        elif each.kind in ("name", "perhaps") and "band_names" not in metadata:
            metadata |= _names(each, bands, metadata, problems)
    for problem in problems.values():
        warnings.warn(f"{path}: {problem}", FinewaveWarning, stacklevel=4)
    return metadata


def _unit_among(listed: Sequence[Listed], kind: str) -> str | None:
    """Return the unit that a list of its own states; one for each band, if they are all alike."""
    found = next((each.values for each in listed if each.kind == kind), None)
    if found is None or isinstance(found, str):
        return found
    return " ".join(dict.fromkeys(map(str, Listed("", found).items())))


def _plain(name: str) -> tuple[str, str | None]:
    """Split a name into its normalised form and the unit at its end: ``("centerwavelengths", "nm")``."""
    word = re.sub(r"[^a-z0-9]+", "_", name.rsplit("/", 1)[-1].lower()).strip("_")
    stem, _, last = word.rpartition("_")
    unit = _UNIT_AT_THE_END.get(last) if stem else None
    return (stem if unit else word).replace("_", ""), unit


def _numbers(each: Listed) -> NDArray[np.float64] | None:
    try:
        return np.asarray(each.items(), np.float64)
    except (TypeError, ValueError):
        return None


def _can_only_be_wavelengths(each: Listed) -> bool:
    """Whether numbers called "bands" are wavelengths: in a unit of length, or too large to count bands."""
    numbers = _numbers(each)
    if numbers is None or numbers.size == 0 or not np.all(np.isfinite(numbers)):
        return False
    if nanometres_per_unit(each.stated_unit) is not None:
        return True
    rising = bool(np.all(np.diff(numbers) != 0))
    counted = bool(np.all(numbers == np.arange(len(numbers)) + numbers[0])) and len(numbers) > 1
    return (
        each.stated_unit in (None, "", "1") and rising and not counted and 300 <= numbers.min() <= numbers.max() < 2e4
    )


def _wavelengths(
    each: Listed, bands: int, shared: str | None, problems: dict[str, str]
) -> tuple[NDArray[np.float64], float] | None:
    numbers, unit = _numbers(each), each.stated_unit or shared
    if numbers is None:
        texts = [str(item) for item in _texts(each)]
        read = [wavelength_in_text(text) for text in texts]
        if None in read:
            problems.setdefault(
                "wavelength", f"its list {each.name} was not understood ({texts[0][:40]!r}, ...); {_STATE}"
            )
            return None
        numbers, unit = np.asarray(read, np.float64), "nm"
    if numbers.size != bands:
        problems.setdefault(
            "wavelength",
            f"its list {each.name} has {numbers.size} wavelengths for {bands} bands, none is used; {_STATE}",
        )
        return None
    if not is_a_wavelength_unit(unit):
        problems.setdefault("wavelength", f"its list {each.name} is in {unit}, which is not a length; {_STATE}")
        return None
    nm = to_nanometres(numbers, unit)
    wrong = next((n for n in numbers.tolist() if not (np.isfinite(n) and n > 0)), None)
    if nm is not None and not np.all((nm >= SHORTEST_NM) & (nm <= LONGEST_NM)):
        wrong = numbers[np.argmax((nm < SHORTEST_NM) | (nm > LONGEST_NM))]
    if nm is None or wrong is not None:
        problems.setdefault(
            "wavelength",
            f"its list {each.name} holds {wrong:g}, which is not a wavelength{_in(unit)}; none is used; {_STATE}",
        )
        return None
    if is_unknown_unit(unit):
        guessed = {1.0: "nm", 1e3: "µm", 1e9: "m"}[round(float(nm[0] / numbers[0]), 6)]
        problems["unit"] = (
            f"the unit {unit!r} of its list {each.name} is not known; taken as {guessed} by the size of its numbers"
        )
    return nm, float(nm[0] / numbers[0])


def _in(unit: str | None) -> str:
    return f" in {unit}" if unit else ""


_STATE = "state them with wavelengths= of open_scene or --wavelengths"


def _texts(each: Listed) -> list[Any]:
    """Return the entries of a list of texts, which may have spaces in them."""
    if isinstance(each.values, (str, bytes)):
        text = each.values.decode("utf-8", errors="replace") if isinstance(each.values, bytes) else each.values
        return [part.strip() for part in text.strip().strip("{}[]()").split(",") if part.strip()]
    return each.items()


def _widths(
    each: Listed,
    stated: str | None,
    bands: int,
    shared: str | None,
    factor: float | None,
    wavelengths: NDArray[np.float64] | None,
    problems: dict[str, str],
) -> NDArray[np.float64] | None:
    """Widths in nm: by their own unit, that of the wavelengths, or by plausible widths of optical bands."""
    numbers = _numbers(each)
    usable = numbers is not None and numbers.size == bands and np.all(np.isfinite(numbers)) and np.all(numbers > 0)
    if numbers is None or not usable:
        problems.setdefault(
            "width", f"its widths {each.name} do not fit {bands} bands or are not positive numbers; none is used"
        )
        return None
    if not is_a_wavelength_unit(stated):
        problems.setdefault("width", f"its widths {each.name} are in {stated}, which is not a length; none is used")
        return None
    problems.pop("width", None)
    own = nanometres_per_unit(stated)
    unit_nm = own or nanometres_per_unit(shared) or factor
    if own is None and (unit_nm is None or not _is_usual(numbers * unit_nm, wavelengths)):
        others = {unit: nanometres_per_unit(unit) or 1.0 for unit in ("nm", "um")}
        fitting = [unit for unit, nm in others.items() if _is_usual(numbers * nm, wavelengths, at_most=_WIDEST)]
        if len(fitting) == 1:
            if unit_nm is not None:
                problems["width"] = (
                    f"its widths {each.name} cannot be in the unit of the wavelengths; taken as {fitting[0]}"
                )
            unit_nm = others[fitting[0]]
        elif unit_nm is None or not _is_possible(numbers * unit_nm, wavelengths):
            problems["width"] = f"its widths {each.name} are in no unit that fits the wavelengths; none is used"
            return None
    return np.round(numbers * (unit_nm or 1.0), 9)


_NARROWEST, _WIDEST = 0.02, 3.0
"""Width of bands, as part of their distance: below the first they are in another unit, unless one of a true unit would
be beyond the second."""


def _is_possible(widths: NDArray[np.float64], wavelengths: NDArray[np.float64] | None) -> bool:
    """Whether bands can be so wide: from a fiftieth of a nanometre to twice their wavelength."""
    top = 2 * wavelengths if wavelengths is not None else np.float64(2000.0)
    return bool(np.all(widths <= top) and np.all(widths >= 0.02))


def _is_usual(
    widths: NDArray[np.float64], wavelengths: NDArray[np.float64] | None, at_most: float = float("inf")
) -> bool:
    """Whether bands can be so wide and are not far narrower, or wider, than their distance."""
    apart = np.empty(0) if wavelengths is None else np.diff(np.unique(wavelengths))
    ratio = float(np.median(widths) / np.median(apart)) if apart.size else 1.0
    return _is_possible(widths, wavelengths) and _NARROWEST <= ratio <= at_most


def _flags(each: Listed, bands: int, problems: dict[str, str]) -> NDArray[np.bool_] | None:
    words = {"true": 1.0, "false": 0.0, "good": 1.0, "bad": 0.0}
    try:
        flags = np.asarray([words.get(str(item).lower(), item) for item in each.items()], np.float64)
    except (TypeError, ValueError):
        flags = np.empty(0)
    if flags.size != bands:
        problems.setdefault(
            "flag", f"its list {each.name} does not have one flag for each of {bands} bands; it is not used"
        )
        return None
    problems.pop("flag", None)
    return flags != 0


def _names(each: Listed, bands: int, metadata: Mapping[str, Any], problems: dict[str, str]) -> dict[str, Any]:
    if _numbers(each) is not None:
        return {}
    texts = [str(item).strip() for item in _texts(each)]
    if len(texts) != bands:
        if each.kind == "name":
            problems.setdefault("name", f"its list {each.name} has {len(texts)} names for {bands} bands; not used")
        return {}
    problems.pop("name", None)
    read = [wavelength_in_text(text) for text in texts]
    if "wavelengths" not in metadata and None not in read:
        return {"wavelengths": np.asarray(read, np.float64), "band_names": texts}
    return {"band_names": texts}
