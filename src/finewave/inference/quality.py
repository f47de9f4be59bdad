"""No-reference quality of a result: consistency with its inputs; where they are defined, Khan's distortion, QNR, HQNR.

Scores are computed from the written values, after rounding and clipping, across tile borders. One tile is in memory at
a time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.inference.tiling.sources import OpenScene, WindowSource
from finewave.inference.tiling.tiles import Tiling, Window, enlarged, widened, within
from finewave.inference.training_distance import TrainingDistance
from finewave.physics.inversion.forward_operator import ForwardOperator
from finewave.zoo.observation_model import forward_operators

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from finewave.inference.request import PredictionRequest
    from finewave.metrics.khan import Khan
    from finewave.metrics.qnr import QNR
    from finewave.zoo.model import Model


LIMITS = (
    "No score here compares with the truth. They tell whether the result agrees with its inputs; details and spectral "
    "features that the inputs do not show may be wrong however good the scores are. Nor do they see what a wrong blur "
    "or sensor in the model's card does, or materials that look like others in the inputs' bands."
)
"""What a quality file says of itself."""


@dataclass
class Differences:
    """Sums over the pixels of one input at which the result, observed again, has a value."""

    bands: int
    pixels: int = 0
    squares: NDArray[np.float64] = field(init=False)
    largest: NDArray[np.float64] = field(init=False)
    degrees: float = 0.0
    directed: int = 0

    def __post_init__(self) -> None:
        """Start with empty sums."""
        self.squares, self.largest = np.zeros(self.bands), np.zeros(self.bands)

    def add(self, observed: Tensor, reprojected: Tensor) -> None:
        """Take in a part (c, h, w) of both images; NaN where there is no value."""
        import torch

        from finewave.metrics.sam import sam, zero_spectra

        valid = torch.isfinite(observed).all(0) & torch.isfinite(reprojected).all(0)
        count = int(valid.sum())
        if not count:
            return
        self.pixels += count
        difference = (observed.double() - reprojected.double())[:, valid].abs().numpy()
        self.squares += np.square(difference).sum(1)
        self.largest = np.maximum(self.largest, difference.max(1))
        if self.bands > 1:
            directed = count - zero_spectra(observed, reprojected, valid=valid)
            if directed:
                self.degrees += directed * sam(observed, reprojected, valid=valid)
                self.directed += directed

    def merge(self, other: Differences) -> None:
        """Take in the sums of another part."""
        self.pixels += other.pixels
        self.squares += other.squares
        self.largest = np.maximum(self.largest, other.largest)
        self.degrees += other.degrees
        self.directed += other.directed

    def scores(self, peak: float) -> dict[str, Any] | None:
        """Return the scores; None if nothing could be compared."""
        if not self.pixels:
            return None
        errors = self.squares / self.pixels
        return {
            "pixels": self.pixels,
            "rmse": _number(math.sqrt(errors.mean())),
            "psnr": _psnr(errors.mean(), peak),
            "largest_difference": _number(self.largest.max()),
            "sam": _number(self.degrees / self.directed) if self.directed else None,
            "bands": {
                "rmse": [_number(math.sqrt(error)) for error in errors],
                "psnr": [_psnr(error, peak) for error in errors],
                "largest_difference": [_number(each) for each in self.largest],
            },
        }


@dataclass(frozen=True)
class QualityScorer:
    """Scores for a model's results.

    Attributes
    ----------
    model : Model
    operators : list of ForwardOperator
        How its inputs are observed of its output.
    bands : mapping of str to int
        How many each of these inputs has.
    """

    model: Model
    operators: Sequence[ForwardOperator]
    bands: Mapping[str, int]

    @property
    def reach(self) -> int:
        """Distance in pixels of the first input up to which the result acts on a score."""
        return max(operator.reach for operator in self.operators)

    @property
    def peak(self) -> float:
        """Value range of the model, of which PSNR is."""
        low, high = self.model.card.value_range if self.model.card is not None else (0.0, 1.0)
        return high - low

    def score(
        self, result: WindowSource, sources: Mapping[str, tuple[WindowSource, int]], tiling: Tiling
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the scores of all tiles together and of each.

        Parameters
        ----------
        result : WindowSource
            Windows of the output.
        sources : mapping of str to (WindowSource, int)
            The inputs by name, with how many of their pixels stand on one of the tiling, per axis.
        tiling : Tiling
            In pixels of the first input; halos do not matter.
        """
        whole = self._differences()
        quality, khan, distance = self._qnr(), self._khan(), self._distance()
        tiles = []
        for tile in tiling:
            parts = self._differences()
            own, own_khan, own_distance = self._qnr(), self._khan(), self._distance()
            qualities = [each for each in (quality, own) if each is not None]
            khans = [each for each in (khan, own_khan) if each is not None]
            self._add(parts, qualities, khans, own_distance, result, sources, tile.core, tiling)
            for name, part in parts.items():
                whole[name].merge(part)
            if distance is not None and own_distance is not None:
                distance.merge(own_distance)
            rows, columns = ([each.start, each.stop] for each in tile.core)
            tiles.append({"rows": rows, "columns": columns, **self._scores(parts, own, own_khan, own_distance)})
        return self._scores(whole, quality, khan, distance), tiles

    def _differences(self) -> dict[str, Differences]:
        return {name: Differences(bands) for name, bands in self.bands.items()}

    def _qnr(self) -> QNR | None:
        from finewave.metrics.qnr import QNR

        return QNR(self.model.scale) if len(self.operators) == 2 else None

    def _khan(self) -> Khan | None:
        from finewave.metrics.khan import Khan

        return Khan() if self._same_bands is not None else None

    def _distance(self) -> TrainingDistance | None:
        return None if self.model.seen is None else TrainingDistance(self.model.seen)

    @property
    def _same_bands(self) -> ForwardOperator | None:
        """The low-resolution input that has the bands of the result, if there is one."""
        found = (each for each in self.operators if each.observation is not None and each.response is None)
        return next(found, None)

    def _scores(
        self,
        parts: Mapping[str, Differences],
        quality: QNR | None,
        khan: Khan | None,
        distance: TrainingDistance | None,
    ) -> dict[str, Any]:
        scores: dict[str, Any] = {"consistency": {name: part.scores(self.peak) for name, part in parts.items()}}
        scores["training_distance"] = None if distance is None else distance.scores()
        distortion = None if khan is None else khan.compute()
        if khan is not None:
            scores["khan"] = None if distortion is None else {"d_lambda": _number(distortion)}
        if quality is not None:
            values = quality.compute()
            if values is not None and distortion is not None:
                values["hqnr"] = (1 - distortion) * (1 - values["d_s"])
            scores["qnr"] = None if values is None else {key: _number(value) for key, value in values.items()}
        return scores

    def _add(
        self,
        parts: Mapping[str, Differences],
        qualities: Sequence[QNR],
        khans: Sequence[Khan],
        distance: TrainingDistance | None,
        result: WindowSource,
        sources: Mapping[str, tuple[WindowSource, int]],
        core: Window,
        tiling: Tiling,
    ) -> None:
        """Take in a tile."""
        import torch

        near = widened(core, self.reach, tiling.height, tiling.width)
        image = torch.from_numpy(result.read(enlarged(near, self.model.upscaling)))[None]
        supplied = {}
        for operator in self.operators:
            source, ratio = sources[operator.name]
            supplied[operator.name] = torch.from_numpy(source.read(enlarged(near, ratio)))[None]
            observed = operator(image)
            seen, given = (_cut(each, core, near, ratio)[0] for each in (observed, supplied[operator.name]))
            parts[operator.name].add(seen, given)
            if distance is not None and operator.name == self.model.inputs[0]:
                distance.add(given.numpy())
            if operator is self._same_bands:
                for khan in khans:
                    khan.add(seen, given)
        if qualities:
            low, guide = self.operators
            coarse = low.observation(supplied[guide.name]) if low.observation is not None else supplied[guide.name]
            s = self.model.scale
            sharp = [_cut(x, core, near, s)[0] for x in (image, supplied[guide.name])]
            small = [_cut(x, core, near, 1)[0] for x in (supplied[low.name], coarse)]
            for quality in qualities:
                quality.add(sharp[0], small[0], sharp[1], small[1])


def scorer_of(model: Model) -> QualityScorer:
    """Return the scores for a model's results.

    Raises
    ------
    InputError
        If the card does not state the observation model, or the network does not state its number of bands.
    """
    operators = forward_operators(model, "a quality file")
    bands = {}
    for operator in operators:
        count = model.bands_of(operator.name)
        if count is None:
            raise InputError(f"a quality file: {model.name} does not say how many bands its {operator.name} has")
        bands[operator.name] = count
    return QualityScorer(model, operators, bands)


def quality_of(
    result: xr.DataArray, request: PredictionRequest, scorer: QualityScorer, tiling: Tiling
) -> dict[str, Any]:
    """Return the contents of a quality file.

    Parameters
    ----------
    result : xarray.DataArray with dims (band, y, x)
        Of the request; in memory or in a file.
    request : PredictionRequest
    scorer : QualityScorer
    tiling : Tiling
        The parts that are scored.

    Returns
    -------
    dict
        ``model``, ``observation`` (sensor, degradation, scale), ``peak`` (of PSNR), ``limits`` (what no score here can
        see), of a consistent result ``consistent`` (what it went by), ``whole`` and ``tiles``. Each of the last two has
        ``consistency``, by input; ``training_distance``, see `finewave.inference.training_distance`, None if the card
        does not describe the training pixels; with a low-resolution input of the result's bands ``khan``; for fusion
        ``qnr``, with HQNR; a tile also its ``rows`` and ``columns`` in pixels of the scene. Undefined values are None:
        a PSNR without error, an angle of one band, a tile without a pixel to compare.
    """
    card = request.model.card
    whole, tiles = scorer.score(OpenScene(result, list(range(result.sizes["band"]))), request.sources(), tiling)
    return {
        "model": request.model.name,
        "observation": {
            "sensor": None if card is None else card.sensor,
            "degradation": None if card is None else card.degradation,
            "scale": request.model.scale,
        },
        "peak": scorer.peak,
        "limits": LIMITS,
        **({} if request.consistency is None else {"consistent": request.consistency}),
        "whole": whole,
        "tiles": tiles,
    }


def write_quality(path: Path, quality: Mapping[str, Any]) -> None:
    """Write a quality file atomically."""
    from finewave.io.atomic import atomic_output

    with atomic_output(path) as temporary:
        temporary.write_text(json.dumps(quality, indent=1) + "\n", encoding="utf-8")


def _cut(image: Tensor, core: Window, near: Window, ratio: int) -> Tensor:
    rows, columns = (within(c, n, ratio) for c, n in zip(core, near, strict=True))
    return image[:, :, rows, columns]


def _psnr(error: float, peak: float) -> float | None:
    return _number(10 * math.log10(peak**2 / error)) if error > 0 else None


def _number(value: float) -> float:
    """Return a number of six digits: more would be rounding."""
    return float(f"{value:.6g}")
