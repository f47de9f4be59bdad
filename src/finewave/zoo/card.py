"""The card of a set of weights: everything needed to use them rightly and to make them again."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError, unknown_name
from finewave.io.path_checks import check_name
from finewave.systems.registry import SYSTEMS, config_of
from finewave.types import TASKS
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from finewave.systems.base import SRNetwork

FORMAT_VERSION = 1
_ONCE_IN_RECIPE = {"training_crop": "crop", "measured_msi": "msi", "reference": "reference"}
"""Keys missing in older cards, and the key with the same value under ``data`` of their recipes."""
_NUMBER = (int, float)
_OPTIONAL: dict[str, Any] = {
    **dict.fromkeys(("sensor", "measured_msi", "commit", "trained", "hardware", "licence", "notes"), str),
    **dict.fromkeys(("degradation", "reference", "data", "recipe", "metrics"), dict),
    **dict.fromkeys(("wavelengths_nm", "ms_bands", "ms_wavelengths_nm"), list),
    **dict.fromkeys(("receptive_field", "seed"), int),
    "hours": _NUMBER,
}
"""Kinds of facts that may be missing."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Facts about a set of weights. Facts that do not apply are None; all are written to the file.

    Attributes
    ----------
    name : str
        Name of the weights, ``<system>-<purpose>-x<scale>``.
    system, config : str, dict
        The network's name in the registry and every argument of its constructor.
    task, inputs, output : str, list of str, str
        Input and output, by the names of the table of tasks.
    scale : int
        s.
    wavelengths_nm : list of float, optional
        Band centres of the output.
    ms_bands, ms_wavelengths_nm : list of str, list of float, optional
        Names and centres in nm of the multispectral bands, in the order of the network's input.
    sensor : str, optional
        Whose multispectral bands the network was trained on, a name for `get_sensor`.
    value_range : list of two floats
        Of input and output, in reflectance-like units.
    size_multiple : int
        Height and width of the input are multiples of it.
    receptive_field : int, optional
        Largest distance in input pixels at which a pixel affects the output; None for the whole image.
    training_crop : int, optional
        Side in output pixels of the training crops: local pooling takes its means over as much.
    halos : dict of str to int, optional
        For each of the network's tile stages, how many pixels of the first input it has to see around a tile for the
        result to equal the scene in one piece to 1e-4 of the value range, as measured; see
        `finewave.inference.tiling.smallest_halos`.
    bfloat16 : dict of str to float, optional
        What the mean ``psnr``, ``ssim`` and ``sam`` over validation images change by in bfloat16, as measured
        (`finewave.zoo.precision`).
    degradation : dict, optional
        Keyword arguments of `degrade` that made the training inputs: kernel, noise, ...
    measured_msi : str, optional
        Companion of the data set whose multispectral images the network was trained on; None: simulated ones.
    reference : dict, optional
        Options of the synthetic reference views that the network was trained on.
    data : dict, optional
        Data set, split by scene names, checksums.
    recipe : dict, optional
        The full training recipe.
    commit, seed, trained, hours, hardware : str, int, str, float, str, optional
        Source revision, random seed, date, duration and machine of the training; no duration of a closed form, which
        takes seconds to minutes.
    licence : str, optional
        Of the weights.
    metrics : dict, optional
        Figures with data set, split and convention.
    parameters : int
        Number of values in the network.
    sha256 : str
        Of the weights file.
    notes : str, optional
        Anything that a user should know.
    format_version : int
        Version of the card format.
    """

    name: str
    system: str
    config: dict[str, Any]
    task: str
    inputs: list[str]
    output: str
    scale: int
    wavelengths_nm: list[float] | None = None
    ms_bands: list[str] | None = None
    ms_wavelengths_nm: list[float] | None = None
    sensor: str | None = None
    value_range: list[float] = field(default_factory=lambda: [0.0, 1.0])
    size_multiple: int = 1
    receptive_field: int | None = None
    training_crop: int | None = None
    halos: dict[str, int] | None = None
    bfloat16: dict[str, float] | None = None
    degradation: dict[str, Any] | None = None
    measured_msi: str | None = None
    reference: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None
    commit: str | None = None
    seed: int | None = None
    trained: str | None = None
    hours: float | None = None
    hardware: str | None = None
    licence: str | None = None
    metrics: dict[str, Any] | None = None
    parameters: int
    sha256: str = ""
    notes: str | None = None
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """Return the card as JSON text, every key present."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @property
    def main_score(self) -> str:
        """PSNR and the data set that it was measured on, ``"29.32 dB on cave/val"``; empty where there is none."""
        for protocol, figures in (self.metrics or {}).items():
            mean = figures.get("mean", figures) if isinstance(figures, dict) else {}
            if isinstance(mean, dict) and isinstance(mean.get("psnr"), (int, float)):
                return f"{mean['psnr']:.2f} dB on {protocol}"
        return ""

    def with_facts(self, **facts: Any) -> Card:
        """Return a copy in which some facts are replaced; an unknown fact is an `InputError`."""
        known = {f.name for f in fields(self)}
        for key in facts:
            if key not in known:
                raise unknown_name("card key", key, known)
        return replace(self, **facts)

    @classmethod
    def from_json(cls, text: str, source: str = "card") -> Card:
        """Parse a card from ``text``; ``source`` names it in messages.

        Raises
        ------
        InputError
            If the text is not a JSON object, a key is missing that older cards have too, or a key says something
            impossible.

        Warns
        -----
        FinewaveWarning
            If there are keys that this version does not know: a newer one wrote them.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:  # ValueError: of a number that is too long, too
            raise InputError(f"{source} is not JSON that can be read: {error}") from error
        if not isinstance(values, dict):
            raise InputError(f"{source} is not a card: a JSON object is expected, not a {type(values).__name__}")
        recipe = values.get("recipe")
        data = recipe.get("data") if isinstance(recipe, dict) else None
        for key, place in _ONCE_IN_RECIPE.items():
            values.setdefault(key, data.get(place) if isinstance(data, dict) else None)
        for key in ("halos", "bfloat16"):
            values.setdefault(key, None)  # older cards lack them
        known = [f.name for f in fields(cls)]
        missing = [key for key in known if key not in values]
        if missing:
            raise InputError(f"{source} lacks the key {missing[0]!r}")
        extra = [key for key in values if key not in known]
        if extra:
            warnings.warn(
                f"{source} has keys that this version of finewave does not know: {', '.join(extra)}; "
                "ignored (take a newer finewave to have them count)",
                FinewaveWarning,
                stacklevel=3,
            )
        card = cls(**{key: values[key] for key in known})
        card._check(source)
        return card

    @classmethod
    def read(cls, path: Path) -> Card:
        """Return the card in a file; see `from_json`."""
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is a folder, a pipe or a device, not a file with a card")
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(f"the weights' card is missing: {path}") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not JSON: {error}") from error
        return cls.from_json(text, str(path))

    def _check(self, source: str) -> None:
        """Refuse values on which the code below would stumble."""
        kinds = {
            "name": str,
            "system": str,
            "config": dict,
            "task": str,
            "inputs": list,
            "output": str,
            "scale": int,
            "value_range": list,
            "size_multiple": int,
            "parameters": int,
            "sha256": str,
        }
        for key, kind in kinds.items():
            if not isinstance(getattr(self, key), kind):
                raise InputError(f"{source}: {key} is {_short(getattr(self, key))}; a {kind.__name__} is expected")
        for key, kind in _OPTIONAL.items():
            value = getattr(self, key)
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                expected = "number" if kind is _NUMBER else kind.__name__
                raise InputError(f"{source}: {key} is {_short(value)}; a {expected} or null is expected")
        for key in ("wavelengths_nm", "ms_wavelengths_nm", "value_range"):
            if not all(_is_finite(each) for each in getattr(self, key) or ()):
                raise InputError(f"{source}: {key} is {_short(getattr(self, key))}; numbers are expected")
        for key in ("inputs", "ms_bands"):
            if not all(isinstance(each, str) for each in getattr(self, key) or ()):
                raise InputError(f"{source}: {key} is {_short(getattr(self, key))}; names are expected")
        if len(self.value_range) != 2:
            raise InputError(f"{source}: value_range is {_short(self.value_range)}; two numbers are expected")
        if self.training_crop is not None and (type(self.training_crop) is not int or self.training_crop < 1):
            raise InputError(f"{source}: training_crop is {_short(self.training_crop)}; pixels or null are expected")
        check_name(self.name, f"{source}: the name")
        if self.halos is not None and not (
            isinstance(self.halos, dict) and all(isinstance(each, int) and each >= 0 for each in self.halos.values())
        ):
            raise InputError(
                f"{source}: halos is {_short(self.halos)}; a number of pixels >= 0 for each stage is expected"
            )
        if self.bfloat16 is not None and not (
            isinstance(self.bfloat16, dict) and all(isinstance(each, int | float) for each in self.bfloat16.values())
        ):
            raise InputError(f"{source}: bfloat16 is {_short(self.bfloat16)}; a number for each metric is expected")
        if self.system not in SYSTEMS:
            raise InputError(f"{source}: {unknown_name('model', self.system, SYSTEMS)}")
        if self.task not in TASKS:
            raise InputError(f"{source}: {unknown_name('task', self.task, TASKS)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _is_finite(value: object) -> bool:
    return isinstance(value, _NUMBER) and not isinstance(value, bool) and math.isfinite(value)


def describe(net: SRNetwork, name: str = "untrained", **facts: Any) -> Card:
    """Return the card of a network that `create_model` built.

    Parameters
    ----------
    net : SRNetwork
        Tells system, constructor arguments, task, scale, size multiple, receptive field and parameter count.
    name : str
        Of the weights.
    **facts
        Every other key of `Card`.

    Returns
    -------
    Card
        Without ``sha256``, which saving fills in.

    Raises
    ------
    InputError
        If the network's constructor arguments are not known, or a fact is not a key of `Card`.
    """
    system, config = config_of(net)
    entry = SYSTEMS[system]
    card = Card(
        name=name,
        system=system,
        config={key: list(value) if isinstance(value, tuple) else value for key, value in config.items()},
        task=entry.task,
        inputs=list(entry.inputs),
        output=entry.output,
        scale=net.scale,
        size_multiple=net.size_multiple,
        receptive_field=net.receptive_field,
        parameters=sum(p.numel() for p in net.parameters()),
    )
    return card.with_facts(**facts)
