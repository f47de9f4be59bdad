"""Options of a prediction, shared by command line, files and Python."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any

from finewave.errors import InputError, unknown_name
from finewave.text.plain_numbers import as_plain

OF_FILES = frozenset(
    {
        "suffix",
        "variable",
        "guide_variable",
        "engine",
        "band_axis",
        "resolution",
        "orthorectify",
        "mask_clouds",
        "full_scale",
        "guide_full_scale",
    }
    | {
        "quality",
        "stac",
        "eopf",
        "dtype",
        "output_full_scale",
        "nodata",
        "interleave",
        "memory",
        "workers",
        "cluster",
        "restart",
        "overwrite",
    }
    | {"precision", "device", "guide", "spread"}
)
"""Those that only `predict_file` has: how files are read and written, and by whom."""

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

_OF_INPUTS = {"noise": 0.0, "blur": 0.1, "doubt": 0.0}  # what `consistent` accepts, with the least value

_POOLINGS = ("image", "local")

USUAL_SHARE = 0.9
"""Default share of the errors within the half-widths."""


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """How a model is applied to an image.

    Attributes
    ----------
    guide : str or Path, optional
        File with the second image of a model that takes two, see `super_resolve`; for a folder of scenes a folder with
        a file of the same stem for each.
    suffix : str
        Extension of the files in an output folder.
    wavelengths : sequence of float or path, optional
        Band centres in nm of the input, where the file does not have them; see `open_scene`. Of weights for any
        sensor: the bands of the result, see `finewave.physics.requested_bands`.
    variable, guide_variable : str, optional
        Array to use if the input's or the guide's file has several; see `open_scene`.
    engine : str, optional
        Installed engine of xarray that opens the input, see `open_scene`.
    band_axis, resolution : optional
        Band axis of an array, and resolution of a product with several grids; see `open_scene`.
    mask_clouds : bool
        Blank clouds and their shadows of a product that has a mask of them, see `open_scene`.
    orthorectify : bool
        Resample a swath to the map grid of its own lookup table first, see `open_scene`.
    full_scale, guide_full_scale : float, optional
        The stored number that represents 1.0 in input and guide, > 0; overrides that of the files; see `open_scene`.
    sensor : str, optional
        Of a baseline (see `finewave.inference.image_baselines`): sensor of the multispectral bands of input or guide.
        Of weights for any sensor: that of the input, by default the one that the input names.
    scale : int or float, optional
        Of a baseline: s >= 2. By default the ratio of the sizes, or of the pixels, of guide and input. Of weights for
        any sensor: any number of 1, by default, to 8.
    kernel : str, optional
        For baselines that invert the degradation: blur of the low-resolution image, see `degrade`.
    spectra : str or Path, optional
        For baselines fitted to spectra: a file with a hyperspectral scene, or the name of a data set, whose training
        scenes are used. The result has their bands.
    window : four int, optional
        The part (first column, first row, end column, end row) of the input that is read, in its pixels, counted from
        0, ends excluded. The result is that of the part alone.
    bbox : four float, optional
        The same in map coordinates (x0, y0, x1, y1) of the input's CRS; pixels that it touches are read.
    bands : sequence of float or str, optional
        The bands of the result to keep, by wavelength in nm (the nearest one) or by name.
    tile : int, optional
        Side of a tile in pixels of the input, >= 1; by default as many as make 512 pixels of the output, fewer
        where it has many bands.
    memory : str or number, optional
        Bytes that the run may take, ``"4G"`` for instance: tiles are as large as that allows. By default tiles are
        smaller than said under ``tile`` only where half of the machine's memory, or of the limit of the process's
        control group, would not be enough.
    halo : {"auto", "exact", "fast"} or int
        How far the network sees beyond a tile. ``"exact"``: as far as any pixel acts on it, so that the result is
        that of the scene in one piece. ``"auto"``: less, where the model's card says that measured results differ by
        at most 1e-4 of the value range from that; else the same. ``"fast"``: so far that it does a quarter more work.
        Else in pixels of the input. What a halo changes of which that is not known is measured on one tile and said.
    pooling : {"local", "image"}, optional
        Region of the means in channel attention: windows of the training crop's size, by default, or all pixels of a
        tile; see `Model`. With ``"image"`` tiled prediction differs from that of the whole scene. An exported model
        has its own, and another one is refused.
    precision : {"auto", "float32", "bfloat16"}
        Precision of a model given by name, see `load_model`.
    anchors : str, Path or sequence of Spot, optional
        Spectra measured in the scene, by which the result is corrected: a file with places and spectra, see
        `finewave.io.ground.spots.read_spots`.
    consistent : bool, "exact", mapping or str
        Bring the result nearer to reproducing the input when it is degraded by the model's card, as far as the
        difference is neither the input's noise nor the effect of another blur, and without changing any value by more
        than 30 %. Noise and blur are estimated from the input, or given by a mapping or text with some of ``noise``
        (standard deviation, in the input's unit), ``blur`` (FWHM in pixels of the result, of the Gaussian that blurred
        the input) and ``doubt`` (the part of it by which the FWHM may be wrong): ``{"noise": 0.01, "doubt": 0.1}`` or
        ``"noise=0.01,doubt=0.1"``. ``"exact"``: change it as little as possible, in the least-squares sense, so that it
        does reproduce the input, noise and all. A guide is reproduced as far as it is consistent with the input.
    self_ensemble : bool
        Take the mean over the eight flips and rotations of the input, each turned back: eight times the work.
    spread : bool
        Write the standard deviation of the results of the eight orientations, in each pixel and band, beside the
        output, in float32: ``a.tif`` has ``a.spread.tif``. The output is then their mean. It says how much the network
        depends on the orientation, not how wrong it is.
    uncertainty : float or bool, optional
        The share of errors, 0.9 for True, for which half-widths are given in each pixel and band: that share of the
        values is expected within them of the truth, by the calibration in the model's card. In a file beside the
        output, ``a.uncertainty.tif``; in memory as the result's coordinate ``uncertainty``.
    quality : bool
        Write no-reference scores beside the output as JSON: ``a.tif`` has ``a.quality.json``; see
        `finewave.inference.quality.quality_of`.
    stac : bool
        Write a STAC item beside the output: ``a.tif`` has ``a.stac.json``; see `finewave.io.stac_item`.
    eopf : bool
        Write the output once more as Zarr in the layout of ESA's EOPF: ``a.tif`` has ``a.eopf.zarr``; see
        `finewave.io.formats.containers.eopf_layout`.
    clip : (float, float), optional
        Cut values to this range, last of all. Nothing is cut without it.
    dtype, output_full_scale, nodata : optional
        How values are stored, see `save_scene` (``full_scale`` there); float32 by default.
    interleave : {"band", "pixel"}, optional
        Interleaving of the output, see `save_scene`.
    workers : int, optional
        Processes of this machine that share the work, >= 1; by default threads of this one do it.
    cluster : str, optional
        Address of a Dask scheduler whose workers process the tiles. They need access to input and output under the same
        paths.
    device : str, optional
        Where networks run, ``"cuda"`` for instance; by default where the model is.
    restart : bool
        Discard an earlier, unfinished run instead of resuming it.
    overwrite : bool
        Write over an input, for those who want their scene replaced by its result.

    Raises
    ------
    InputError
        A value is out of its range, or two options exclude each other.
    """

    guide: str | Path | None = None
    suffix: str = ".tif"
    wavelengths: Any = None
    variable: str | None = None
    guide_variable: str | None = None
    engine: str | None = None
    band_axis: int | None = None
    resolution: float | None = None
    orthorectify: bool = False
    mask_clouds: bool = False
    full_scale: float | None = None
    guide_full_scale: float | None = None
    sensor: str | None = None
    scale: int | float | None = None
    kernel: str | None = None
    spectra: str | Path | None = None
    window: Sequence[int] | None = None
    bbox: Sequence[float] | None = None
    bands: Sequence[float | str] | None = None
    tile: int | None = None
    memory: str | float | None = None
    halo: str | int = "auto"
    pooling: str | None = None
    precision: str = "auto"
    anchors: Any = None
    consistent: bool | str | Mapping[str, float] = False
    self_ensemble: bool = False
    spread: bool = False
    uncertainty: float | bool | None = None
    quality: bool = False
    stac: bool = False
    eopf: bool = False
    clip: Sequence[float] | None = None
    dtype: str | None = None
    output_full_scale: float | None = None
    nodata: float | None = None
    interleave: str | None = None
    workers: int | None = None
    cluster: str | None = None
    device: str | None = None
    restart: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range before anything is read."""
        for each in fields(self):
            object.__setattr__(self, each.name, as_plain(getattr(self, each.name)))
        check_tiling(self.tile, self.halo)
        if self.memory is not None:
            bytes_of(self.memory)
            if self.tile is not None:
                raise InputError("give --tile or --memory (tile=, memory=): each says how large tiles are")
        if self.pooling not in (None, *_POOLINGS):
            raise unknown_name("pooling", self.pooling, _POOLINGS)
        _check_integer("workers", self.workers, 1)
        self._check_scale()
        for name in ("full_scale", "guide_full_scale", "output_full_scale"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Real) and math.isfinite(value) and float(value) > 0):
                raise InputError(f"{name}={value!r} is out of range; it must be a number > 0")
        if self.clip is not None:
            _check_clip(self.clip)
        if self.window is not None and self.bbox is not None:
            raise InputError("give --window or --bbox (window=, bbox=): each says which part of the input is read")
        if self.window is not None:
            _check_corners("window", self.window, "columns and rows (C0, R0, C1, R1), integers >= 0")
            if any(isinstance(each, bool) or not isinstance(each, int) or each < 0 for each in self.window):
                raise InputError(f"window={tuple(self.window)} is out of range; pixels are integers >= 0")
        if self.bbox is not None:
            _check_corners("bbox", self.bbox, "map coordinates (X0, Y0, X1, Y1)")
        if self.bands is not None and (isinstance(self.bands, str) or not len(self.bands)):
            raise InputError(f"bands={self.bands!r} names no band; wavelengths in nm or names are accepted")
        if self.bands is not None and self.quality:
            raise InputError("a quality file is of all bands: leave out --bands (bands=) or --quality (quality=)")
        if not isinstance(self.consistent, bool) and self.consistent != "exact":
            object.__setattr__(self, "consistent", _known_inputs(self.consistent))
        if not isinstance(self.uncertainty, Real | None) or (self.share is not None and not 0 < self.share < 1):
            raise InputError(
                f"uncertainty={self.uncertainty!r} is out of range; a share of errors, 0 to 1, is accepted"
            )
        if self.share is not None and self.spread:
            raise InputError("give --uncertainty or --spread (uncertainty=, spread=): one image goes beside the output")
        if self.workers is not None and self.cluster is not None:
            raise InputError("give --cluster or --workers: a cluster has its own workers")

    def _check_scale(self) -> None:
        scale = self.scale
        if scale is None:
            return
        if isinstance(scale, float) and scale.is_integer():
            scale = int(scale)
            object.__setattr__(self, "scale", scale)
        if isinstance(scale, bool) or not isinstance(scale, Real) or not math.isfinite(scale) or scale < 1:
            raise InputError(
                f"scale={scale!r} is out of range; it must be an integer >= 2, of weights for any sensor a number of 1 "
                "to 8"
            )

    @classmethod
    def of_files(cls, options: Mapping[str, Any]) -> PredictOptions:
        """Return options by their names; an unknown name is an `InputError` that has the nearest one."""
        return cls._of(options, {field.name for field in fields(cls)})

    @classmethod
    def in_memory(cls, options: Mapping[str, Any]) -> PredictOptions:
        """Return the same for a scene in memory, which has no options `OF_FILES`."""
        return cls._of(options, {field.name for field in fields(cls)} - OF_FILES)

    @classmethod
    def _of(cls, options: Mapping[str, Any], known: set[str]) -> PredictOptions:
        for name in options:
            if name not in known:
                raise unknown_name("option", name, known)
        return cls(**options)

    @property
    def consistency(self) -> dict[str, float]:
        """What the user gave of the inputs' ``noise``, ``blur`` and ``doubt``."""
        return dict(self.consistent) if isinstance(self.consistent, Mapping) else {}

    @property
    def share(self) -> float | None:
        """Of the errors that half-widths hold; None where none are asked for."""
        if self.uncertainty is None or self.uncertainty is False:
            return None
        return USUAL_SHARE if self.uncertainty is True else float(self.uncertainty)

    @property
    def extension(self) -> str:
        """``suffix`` with its dot."""
        return self.suffix if self.suffix.startswith(".") else f".{self.suffix}"

    @property
    def storage(self) -> dict[str, Any]:
        """Keywords of `save_scene`."""
        how = {} if self.interleave is None else {"interleave": self.interleave}
        return {"dtype": self.dtype, "full_scale": self.output_full_scale, "nodata": self.nodata, **how}

    def second_file(self, output: Path) -> Path:
        """Return where the image beside an output goes: ``a.uncertainty.tif`` or ``a.spread.tif``."""
        return output.with_name(f"{output.stem}.{'spread' if self.spread else 'uncertainty'}{output.suffix}")

    def beside(self, output: Path) -> list[Path]:
        """Return the additional files of an output."""
        files = [self.second_file(output)] if self.spread or self.share is not None else []
        files += [quality_file(output)] if self.quality else []
        files += [eopf_store(output)] if self.eopf else []
        return [*files, stac_file(output)] if self.stac else files


def quality_file(output: Path) -> Path:
    """Return where the quality of an output goes: ``a.tif`` has ``a.quality.json``."""
    return output.with_name(f"{output.stem}.quality.json")


def stac_file(output: Path) -> Path:
    """Return where the STAC item of an output goes: ``a.tif`` has ``a.stac.json``."""
    return output.with_name(f"{output.stem}.stac.json")


def eopf_store(output: Path) -> Path:
    """Return where the EOPF of an output goes: ``a.tif`` has ``a.eopf.zarr``."""
    return output.with_name(f"{output.stem}.eopf.zarr")


def unfinished_folder(output: Path) -> Path:
    """Return the hidden folder with the finished tiles of an unfinished output, see `finewave.inference.tiling`."""
    return output.with_name(f".{output.name}.unfinished")


def check_tiling(tile: Any, halo: Any) -> None:
    """Refuse a tile or halo that is out of range."""
    _check_integer("tile", tile, 1)
    if halo in ("auto", "exact", "fast"):
        return
    if isinstance(halo, bool) or not isinstance(halo, int) or halo < 0:
        raise InputError(
            f"halo={halo!r} is out of range; 'auto', 'exact', 'fast' or a number of pixels >= 0 is accepted"
        )


def bytes_of(memory: object) -> int:
    """Return a budget in bytes: a number of them, or text like ``4G``, ``1.5GB`` or ``800 MiB``; an `InputError` else.

    Units are powers of 1000; those with an i are powers of 1024.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", str(memory), re.IGNORECASE)
    if found is None or isinstance(memory, bool) or found[2].lower() not in _UNITS:
        raise InputError(f"memory={memory!r} is not an amount of memory; 4G, 1.5GB or 800MiB are accepted")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _known_inputs(given: Any) -> dict[str, float] | bool:
    """Return what was given for ``consistent``; True of nothing, an `InputError` of anything else."""
    accepted = "True, False, 'exact', or noise=, blur= and doubt= with numbers, 'noise=0.01,doubt=0.1', are accepted"
    pairs = given
    if isinstance(given, str):
        parts = [part.partition("=") for part in given.split(",")]
        pairs = {name: value for name, _, value in parts}
        names = [name.strip() for name, _, _ in parts]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"consistent={given!r} has {twice!r} twice; give it once")
    if not isinstance(pairs, Mapping):
        raise InputError(f"consistent={given!r} is out of range; {accepted}")
    known = {}
    for key, value in pairs.items():
        name = str(key).strip()
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if name not in _OF_INPUTS or not _OF_INPUTS[name] <= number < math.inf:
            raise InputError(f"consistent={given!r} is out of range; {accepted}, none negative, a blur of 0.1 or more")
        known[name] = number
    return known or True


def _check_integer(name: str, value: Any, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise InputError(f"{name}={value!r} is out of range; it must be an integer >= {least}")


def _check_clip(clip: Sequence[float]) -> None:
    try:
        low, high = (float(end) for end in clip)
    except (TypeError, ValueError):
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise InputError(f"clip={clip!r} is not a range; two numbers are accepted, the lower one first")


def _check_corners(name: str, corners: Sequence[float], unit: str) -> None:
    """Raise an error for corners that do not enclose an area."""
    if len(corners) != 4 or not all(math.isfinite(each) for each in corners):
        raise InputError(f"{name}={tuple(corners)} is not an area; {unit} are accepted")
    if corners[0] >= corners[2] or corners[1] >= corners[3]:
        raise InputError(f"{name}={tuple(corners)} is empty; {unit} are accepted, the lower ones first")
