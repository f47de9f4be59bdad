"""How spectra end at 400 nm, where a camera sees next to nothing: ``python -m benchmarks.hook``.

A grey surface has one value at all wavelengths. What models make of grey and dark pixels should be flat there, too, but
many bend up or down towards 400 nm. For every included model of three bands of a camera, and for baselines and
ensembles, prints as a table the value at 400 nm over that at 440 nm: of flat grey patches, and of the dark and the
nearly grey pixels of three photographs (in the folder ``photos`` of the external data), with the share of dark pixels
that have more than 1.3 times their value at 440 nm, or a negative one, at 400 nm. The first row is of the training
scenes themselves: what there is to learn.

``python -m benchmarks.hook --without-dark`` prints what it costs to unlearn it: `scene-ridge` fitted to the training
pixels above a brightness, below which pixels have the relative spectra of that brightness and the same colour.
``python -m benchmarks.hook --scores MODEL ...`` prints the figures of models on the validation scenes, of all bands and
without those below 420 nm.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.bounds import figures, mean, pixels_of
from benchmarks.command_line import names_and_flags
from finewave.datasets.registry import known_split, open_scenes
from finewave.errors import InputError
from finewave.evaluation.named_models import model_named
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.locations import data_folder
from finewave.physics.rendering.srgb import srgb_to_linear
from finewave.physics.sensors import get_sensor
from finewave.process.allocator import keep_freed_memory
from finewave.systems.scene_ridge.network import SceneRidge
from finewave.zoo.distribution.bundled_weights import weight_folders
from finewave.zoo.model import Model, load_model

DATASET, CAMERA = "cave", "nikon-d5100"
OTHERS = ("quadratic", "knn", "mstpp-cave+awan-cave+knn")
"""Baselines, and an ensemble with one."""
PHOTOGRAPHS = ("100007.jpg", "100039.jpg", "100075.jpg")
SIDE = 192
"""Of the middle part of a photograph, in pixels of the result."""
PATCHES = (0.02, 0.1, 0.5, 0.9)
DARK = (0.005, 0.05)
"""Range of the mean of the bands of dark pixels."""
GREY = 0.1
"""Spread of the bands of a grey pixel, at most, in parts of their mean."""
THIN = 8
"""Rows and columns of the training scenes of which one is taken."""
SEEN = 420.0
"""Wavelength in nm from which on cameras see something."""
STEEP = 1.3
"""Of what value at 440 nm more than this at 400 nm is a hook."""
LIFTS = (0.0, 0.03, 0.05, 0.1)
"""Brightness that `Lifted` is fitted above; 0: `scene-ridge` as it is."""
FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Ends:
    """Values at 400 nm and 440 nm of pixels, and the mean and spread of what the camera sees of them."""

    at_400: FloatArray
    at_440: FloatArray
    bands: FloatArray  # (3, pixels)

    @property
    def dark(self) -> NDArray[np.bool_]:
        """Which pixels are dark."""
        mean = self.bands.mean(0)
        return (mean >= DARK[0]) & (mean <= DARK[1])

    @property
    def grey(self) -> NDArray[np.bool_]:
        """Which pixels are nearly grey and not dark."""
        mean = self.bands.mean(0)
        return (mean > DARK[1]) & (np.ptp(self.bands, axis=0) <= GREY * mean)

    def ratio(self, chosen: NDArray[np.bool_]) -> float:
        """Return the median of 400 nm over 440 nm; nan without pixels."""
        known = chosen & (self.at_440 > 1e-4)
        return float(np.median(self.at_400[known] / self.at_440[known])) if known.any() else float("nan")

    def shares(self) -> tuple[float, float]:
        """Return of the dark pixels the shares with a hook and with a negative value at 400 nm."""
        low, high = self.at_400[self.dark], self.at_440[self.dark]
        if not len(low):
            return float("nan"), float("nan")
        return float((low > STEEP * np.maximum(high, 0)).mean()), float((low < 0).mean())


def together(parts: Sequence[Ends]) -> Ends:
    """Return all pixels as one."""
    return Ends(
        np.concatenate([part.at_400 for part in parts]),
        np.concatenate([part.at_440 for part in parts]),
        np.concatenate([part.bands for part in parts], 1),
    )


def ends_of(spectra: FloatArray, bands: FloatArray, wavelengths: FloatArray) -> Ends:
    """Return the ends of spectra (C, rows, columns) seen as bands (3, rows, columns)."""
    low, high = (spectra[int(np.abs(wavelengths - nm).argmin())].ravel() for nm in (400.0, 440.0))
    return Ends(low, high, bands.reshape(len(bands), -1))


def predicted(model: Model, image: Tensor) -> FloatArray:
    """Return the spectra (C, rows, columns) of bands (3, rows, columns), at the size of the model's input."""
    made = model.predict(**{model.inputs[0]: image[None]})[0]
    s = model.upscaling
    return made.unfold(1, s, s).unfold(2, s, s).mean((3, 4)).numpy() if s > 1 else made.numpy()


def photographs() -> Iterator[Tensor]:
    """Yield the middles of the photographs (3, SIDE, SIDE), linear."""
    from PIL import Image as Picture

    for name in PHOTOGRAPHS:
        path = data_folder() / "photos" / name
        if not path.exists():
            raise InputError(f"{path} does not exist; FINEWAVE_DATA names the folder with photos")
        values = np.asarray(Picture.open(path).convert("RGB"), dtype=np.float32) / 255
        top, left = ((length - SIDE) // 2 for length in values.shape[:2])
        part = srgb_to_linear(values[top : top + SIDE, left : left + SIDE])
        yield torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1), dtype=np.float32))


def row_of(model: Model, pictures: Sequence[Tensor], wavelengths: FloatArray) -> tuple[list[float], Ends]:
    """Return the ratios of grey patches, and the ends of all pixels of photographs."""
    patches = []
    for value in PATCHES:
        patch = torch.full((3, 24, 24), value)
        patches.append(ends_of(predicted(model, patch)[:, 8:16, 8:16], patch[:, 8:16, 8:16].numpy(), wavelengths))
    ratios = [patch.ratio(np.ones_like(patch.at_400, dtype=bool)) for patch in patches]
    parts = []
    for picture in pictures:
        s = model.upscaling
        small = picture if s == 1 else picture.unfold(1, s, s).unfold(2, s, s).mean((3, 4))
        parts.append(ends_of(predicted(model, small), small.numpy(), wavelengths))
    return ratios, together(parts)


def training_ends() -> tuple[Ends, FloatArray]:
    """Return the ends of the training scenes, and the wavelengths."""
    names = known_split(DATASET)["train"]
    source = open_scenes(DATASET, names)
    response = get_sensor(CAMERA).response(source.wavelengths)
    parts = []
    for name in names:
        spectra = source.read(name)[:, ::THIN, ::THIN] / source.full_scale(name)
        parts.append(ends_of(spectra, np.einsum("cb,byx->cyx", response, spectra), source.wavelengths))
    return together(parts), source.wavelengths


def names() -> list[str]:
    """Return the included models of three bands of a camera, and `OTHERS`."""
    cards = {name: load_model(name).card for name in weight_folders()}
    shipped = [
        name
        for name, card in cards.items()
        if card is not None and card.task in ("ssr", "sssr") and card.data and card.data["dataset"] == DATASET
    ]
    return [*shipped, *OTHERS]


class Lifted(SceneRidge):
    """`SceneRidge` that takes a darker pixel for one of the same colour and the brightness ``lift``."""

    lift = 0.0

    def features(self, ms: Tensor, around: Tensor | None = None) -> Tensor:
        """Return the features (N, F) of all pixels of ``ms`` (B, c, H, W)."""
        if around is None:
            around = pixels_of({"hr_msi": ms, "hr_hsi": ms}, self, thin=1)["around"]
        return super().features(self._lifted(ms), torch.cat([self._lifted(each) for each in around.split(3, 1)], 1))

    def _lifted(self, image: Tensor) -> Tensor:
        brightness = image.mean(1, keepdim=True).clamp(min=1e-6)
        return image * (self.lift / brightness).clamp(min=1)


def without_dark() -> None:
    """Print scores on the validation scenes, and the ends of dark pixels, for every brightness of `LIFTS`."""
    split = known_split(DATASET)
    source = open_scenes(DATASET, [*split["train"], *split["val"]])
    scenes = WholeScenes(source, get_sensor(CAMERA).response(source.wavelengths), 1, {})
    net = Lifted()
    training = [pixels_of(scenes.sample(name), net) for name in split["train"]]
    nets = []
    for lift in LIFTS:
        net = Lifted()
        net.lift = lift
        # a pixel that is not finite is left out
        bright = [
            {**each, "hr_hsi": each["hr_hsi"].where(each["hr_msi"].mean(1, keepdim=True) >= lift, torch.nan)}
            for each in training
        ]
        net.prepare_from(bright, 0)
        nets.append(net.eval())
    scores: list[list[tuple[float, float]]] = [[] for _ in nets]
    for name in split["val"]:
        sample = scenes.sample(name)
        with torch.no_grad():
            for net, found in zip(nets, scores, strict=True):
                found.append(figures(net(sample["hr_msi"]), sample["hr_hsi"]))
    pictures = list(photographs())
    heads = [
        "fitted to pixels above",
        "PSNR (dB)",
        "SAM (°)",
        "patch of 0.02",
        "dark pixels",
        f"of them above {STEEP:g}",
    ]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for net, found in zip(nets, scores, strict=True):
        ratios, ends = row_of(Model(net), pictures, source.wavelengths)
        first, second = mean(found)
        cells = [f"{net.lift:g}", f"{first:.2f}", f"{second:.2f}", f"{ratios[0]:.2f}", f"{ends.ratio(ends.dark):.2f}"]
        print(f"| {' | '.join([*cells, f'{100 * ends.shares()[0]:.0f} %'])} |", flush=True)


def scores_of(model: Model) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return mean PSNR and SAM of the validation scenes as the card has them made: of all bands, and from `SEEN` on."""
    assert model.card is not None
    assert model.card.sensor is not None
    names = known_split(DATASET)["val"]
    source = open_scenes(DATASET, names)
    response = get_sensor(model.card.sensor).response(source.wavelengths)
    degradation = {key: value for key, value in (model.card.degradation or {}).items() if key != "scale"}
    scenes = WholeScenes(source, response, model.scale, degradation)
    first = int((source.wavelengths < SEEN).sum())
    every, seen = [], []
    for name in names:
        sample = scenes.sample(name)
        made = model.predict(**{key: sample[key] for key in model.inputs})
        every.append(figures(made, sample["hr_hsi"]))
        seen.append(figures(made[:, first:], sample["hr_hsi"][:, first:]))
    return mean(every), mean(seen)


def scores(models: Sequence[str]) -> None:
    """Print the figures of models, with and without the bands below `SEEN`."""
    heads = ["", "PSNR (dB)", "SAM (°)", f"PSNR from {SEEN:g} nm on", f"SAM from {SEEN:g} nm on"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in models:
        cells = [f"{value:.2f}" for pair in scores_of(model_named(name, DATASET)) for value in pair]
        print(f"| {' | '.join([f'`{name}`', *cells])} |", flush=True)


def line(label: str, ratios: Sequence[float], ends: Ends) -> str:
    """Return a row of the table."""
    hooked, negative = ends.shares()
    cells = [*(f"{each:.2f}" for each in ratios), *([""] * (len(PATCHES) - len(ratios)))]
    cells += [f"{ends.ratio(ends.dark):.2f}", f"{100 * hooked:.0f} %", f"{100 * negative:.0f} %"]
    return f"| {' | '.join([label, *cells, f'{ends.ratio(ends.grey):.2f}'])} |"


def main(options: Mapping[str, Sequence[str]] | None = None) -> int:
    """Print the table."""
    keep_freed_memory()
    flags = (options or {}).get("flags", ())
    if "--scores" in flags:
        scores((options or {}).get("models") or names())
        return 0
    if flags:
        without_dark()
        return 0
    heads = ["", *(f"patch of {value:g}" for value in PATCHES)]
    heads += ["dark pixels", f"of them above {STEEP:g}", "of them negative", "grey pixels"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    known, wavelengths = training_ends()
    print(line("training scenes of CAVE", [], known), flush=True)
    pictures = list(photographs())
    for name in (options or {}).get("models") or names():
        ratios, ends = row_of(model_named(name, DATASET), pictures, wavelengths)
        print(line(f"`{name}`", ratios, ends), flush=True)
    return 0


if __name__ == "__main__":
    arguments = names_and_flags(__doc__, "--without-dark", "--scores", names="MODEL")
    models = [each for each in arguments if not each.startswith("--")]
    sys.exit(main({"models": models, "flags": arguments[len(models) :]}))
