"""Spectra of training pixels, each with the mean spectra of its surroundings, in few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError

LEVELS = 32767
"""Of a 16-bit number, to each side of zero."""
HALF_WEIGHT = 0.01
"""Brightness at which a spectrum has half the weight of a black one in the components: dark pixels have angles, too."""
UNUSED = -1
"""Number of the scene of a row without a spectrum."""


class SpectralLibrary(nn.Module):
    """Spectra of pixels and of the means of their surroundings, in a basis of principal components, 16 bits a number.

    Bands of a sensor are sums of the spectrum's bands, ``x = R y``, and so are their means over a window: of these
    spectra any sensor's bands follow, and their means, without the images.

    Parameters
    ----------
    spectra : int
        N, how many pixels are kept.
    bands : int
        C.
    windows : sequence of int
        Sides in pixels of the square means, W of them.
    components : int
        K, at most C.
    """

    mean: Tensor
    basis: Tensor
    steps: Tensor
    levels: Tensor
    scene: Tensor

    def __init__(self, spectra: int, bands: int, windows: Sequence[int], components: int) -> None:
        super().__init__()
        self.windows = tuple(windows)
        kinds = 1 + len(self.windows)
        self.register_buffer("mean", torch.zeros(bands))
        self.register_buffer("basis", torch.zeros(components, bands))
        self.register_buffer("steps", torch.zeros(kinds, components))
        self.register_buffer("levels", torch.zeros(spectra, kinds, components, dtype=torch.int16))
        self.register_buffer("scene", torch.full((spectra,), UNUSED, dtype=torch.int16))

    @property
    def used(self) -> int:
        """How many spectra it holds."""
        return int((self.scene != UNUSED).sum())

    def spectra(self, rows: slice | Tensor = slice(None)) -> Tensor:
        """Return spectra (n, 1 + W, C), float64: of pixels, then of their surroundings."""
        scores = self.levels[rows].double() * self.steps.double()
        return self.mean.double() + scores @ self.basis.double()

    @torch.no_grad()
    def fill(self, samples: Iterable[Mapping[str, Tensor]], seed: int) -> Tensor:
        """Draw the pixels, each with the same chance, and return the response R (c, C) of the samples' MS bands.

        Parameters
        ----------
        samples : iterable of mappings
            Images ``hr_msi`` (B, c, H, W) and ``hr_hsi`` (B, C, H, W) of one scene each; read once, one at a time.
            Pixels that are not finite, or zero in every band, are left out.
        seed : int
            Of the draw.
        """
        scene, spectra, ms = self._draw(samples, torch.Generator().manual_seed(seed))
        used, pixels = len(spectra), spectra[:, 0]
        mean = pixels.mean(0)
        relative = (pixels - mean) / (pixels.mean(1, keepdim=True).clamp(min=0) + HALF_WEIGHT)
        _, vectors = torch.linalg.eigh(relative.T @ relative)
        basis = vectors.flip(1).T[: len(self.basis)]
        scores = (spectra - mean) @ basis.T
        steps = scores.abs().amax(0).clamp(min=1e-9) / LEVELS
        self.mean.copy_(mean)
        self.basis.copy_(basis)
        self.steps.copy_(steps)
        self.levels.zero_()
        self.levels[:used] = (scores / self.steps.double()).round().clamp(-LEVELS, LEVELS).to(torch.int16)
        self.scene.fill_(UNUSED)
        self.scene[:used] = scene.to(torch.int16)
        return torch.linalg.lstsq(pixels, ms, driver="gelsd").solution.T

    def observed(self, response: Tensor, output: Tensor | None = None) -> Iterator[dict[str, Tensor]]:
        """Yield what a sensor sees of the spectra of each scene, as training samples.

        Parameters
        ----------
        response : Tensor (c, C)
            R.
        output : Tensor (B, C), optional
            Of the bands that ``hr_hsi`` has instead of the library's own.

        Yields
        ------
        dict
            ``hr_msi`` (1, c, 1, n), ``hr_hsi`` (1, C or B, 1, n) and ``around`` (1, c W, 1, n), float32.
        """
        for number in self.scene.unique(sorted=True).tolist():
            if number == UNUSED:
                continue
            spectra = self.spectra(self.scene == number)
            seen = spectra @ response.double().T
            target = spectra[:, 0] if output is None else spectra[:, 0] @ output.double().T
            images = {"hr_msi": seen[:, 0], "hr_hsi": target, "around": seen[:, 1:].flatten(1)}
            yield {name: image.float().T[None, :, None].contiguous() for name, image in images.items()}

    def _draw(self, samples: Iterable[Mapping[str, Tensor]], random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return number of the scene (n,), spectra (n, 1 + W, C) and MS bands (n, c) of pixels, float64."""
        kept: list[Tensor] = []
        for number, sample in enumerate(samples):
            hs = sample["hr_hsi"].double()
            images = [hs]
            for side in self.windows:
                images.append(F.avg_pool2d(F.pad(hs, (side // 2,) * 4, mode="replicate"), side, stride=1))
            spectra = torch.stack([image.permute(0, 2, 3, 1).flatten(0, 2) for image in images], 1)
            ms = sample["hr_msi"].double().permute(0, 2, 3, 1).flatten(0, 2)
            good = torch.isfinite(spectra).flatten(1).all(1) & torch.isfinite(ms).all(1) & (spectra[:, 0] != 0).any(1)
            keys = torch.rand(int(good.sum()), generator=random, dtype=torch.float64)
            smallest = keys.argsort()[: len(self.levels)]  # those stay, whatever the order of scenes
            places = good.nonzero()[:, 0][smallest]
            own = [keys[smallest], torch.full((len(places),), number), spectra[places], ms[places]]
            kept = own if not kept else [torch.cat(pair) for pair in zip(kept, own, strict=True)]
            least = kept[0].argsort()[: len(self.levels)]
            kept = [each[least] for each in kept]
        if not kept or not len(kept[0]):
            raise InputError("any-sensor needs training images; there are none, or no pixel of them is valid")
        order = kept[1].argsort(stable=True)
        scene, chosen, seen = (each[order] for each in kept[1:])
        return scene, chosen, seen
