"""SSC-HSR's pairs: a hyperspectral image of 31 bands and an RGB image from elsewhere, not aligned; real and of flowers.

Z. Lai, Y. Fu, J. Zhang, "Hyperspectral Image Super Resolution with Real Unaligned RGB Guidance", 2022,
https://github.com/Zeqiang-Lai/HSI-RefSR; SSC-HSR (arXiv 2505.02109) reads the same layout. The flowers are light-field
photographs: P. P. Srinivasan, T. Wang, A. Sreelal, R. Ramamoorthi, R. Ng, "Learning to Synthesize a 4D RGBD Light Field
from a Single Image", ICCV 2017; their spectra were made from RGB by a network of the authors of HSI-RefSR.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Image
from finewave.datasets.published_files import find_files, read_matlab
from finewave.errors import InputError
from finewave.io.file_errors import reading

EVERY = 10  # of the published training list validates


@dataclass(frozen=True)
class Pairs:
    """Folders of one set of pairs: release, hyperspectral images, references in order of preference."""

    release: str
    hsi: Path
    references: tuple[Path, ...]

    def base(self, root: Path) -> Path:
        """Return the folder of the release: the given one, or its subfolder of that name."""
        for base in (root, root / self.release):
            if (base / self.hsi).is_dir():
                return base
        raise InputError(
            f"no {self.hsi} in {root}; expected the folder {self.release} of the release, with train.txt and test.txt"
        )

    def find(self, root: Path) -> dict[str, Path]:
        """Return the hyperspectral images, ``NAME.mat``."""
        return find_files(self.base(root) / self.hsi, "*.mat", "hyperspectral images such as NAME.mat")

    def read(self, path: Path) -> Image:
        """Read ``gt`` (31, H, W) of the first view, and the reference image as ``ref_rgb`` (3, H, W)."""
        import imageio.v3 as iio

        reference = self.reference(path)
        with reading(reference, "PNG"):
            rgb = np.asarray(iio.imread(reference))
        if rgb.ndim != 3 or rgb.shape[2] < 3:
            raise InputError(f"{reference}: {rgb.shape}; a reference has red, green and blue")
        cube = read_matlab(path, "gt")
        if rgb.shape[:2] != cube.shape[1:]:
            raise InputError(f"{reference}: {rgb.shape[0]} x {rgb.shape[1]} pixels, its pair has {cube.shape[1:]}")
        return Image(cube, {"ref_rgb": np.ascontiguousarray(rgb[..., :3].transpose(2, 0, 1))})

    def reference(self, path: Path) -> Path:
        """Return the reference image that belongs to a hyperspectral one."""
        base = path.parents[len(self.hsi.parts)]
        candidates = [base / folder / f"{path.stem}.png" for folder in self.references]
        for candidate in candidates:
            if candidate.is_file():
                return candidate
        raise InputError(f"{path}: its reference image is missing ({' or '.join(map(str, candidates))})")

    def sources(self, path: Path) -> list[Path]:
        """Return both files of a pair."""
        return [path, self.reference(path)]

    def split_of(self, root: Path) -> dict[str, list[str]]:
        """Return the published lists; every tenth of the training list validates."""
        train, test = (_list(self.base(root) / f"{name}.txt") for name in ("train", "test"))
        return {
            "train": [name for i, name in enumerate(train) if i % EVERY != EVERY - 1],
            "val": train[EVERY - 1 :: EVERY],
            "test": test,
        }


def _list(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the published split {path}: {error}") from error


REAL = Pairs("real", Path("img1_hsi") / "HR", (Path("img2_cmatch") / "HR", Path("img2") / "HR"))
FLOWERS = Pairs("flower", Path("0_0_hsi") / "HR", (Path("3_3") / "HR",))

DATASETS = {
    "ssc-hsr": Dataset(
        name="ssc-hsr",
        title="SSC-HSR's real pairs of two cameras, not aligned",
        wavelengths=np.arange(400.0, 701.0, 10.0),
        find=REAL.find,
        read=REAL.read,
        split={},
        split_of=REAL.split_of,
        sources=REAL.sources,
        citation="Lai et al., Hyperspectral Image Super Resolution with Real Unaligned RGB Guidance, 2022",
        licence="released for research with the code; no licence stated",
        home="https://github.com/Zeqiang-Lai/HSI-RefSR",
        sensor="nikon-d5100",
        full_scale=None,
        companions={"ref_rgb": "the second camera's image, red, green, blue, 0 to 255; colour-matched if it is there"},
        instructions="the folder real of the release linked there: train.txt, test.txt, img1_hsi/HR/NAME.mat, "
        "img2/HR/NAME.png or img2_cmatch/HR/NAME.png",
        notes="Wavelengths are not in the release: 400 to 700 nm in steps of 10 is what its response matrix implies. "
        "The authors rescale every image from its minimum to its maximum; here the maximum alone is divided out. "
        "Evaluation uses the measured references; training makes synthetic ones.",
    ),
    "flowers": Dataset(
        name="flowers",
        title="SSC-HSR's Flowers: two views of a light field, not aligned",
        wavelengths=np.arange(400.0, 701.0, 10.0),
        find=FLOWERS.find,
        read=FLOWERS.read,
        split={},
        split_of=FLOWERS.split_of,
        sources=FLOWERS.sources,
        citation="Lai et al., Hyperspectral Image Super Resolution with Real Unaligned RGB Guidance, 2022; views: "
        "Srinivasan et al., Learning to Synthesize a 4D RGBD Light Field from a Single Image, ICCV 2017",
        licence="released for research with the code; no licence stated",
        home="https://github.com/Zeqiang-Lai/HSI-RefSR",
        sensor="nikon-d5100",
        full_scale=None,
        companions={
            "ref_rgb": "view (3, 3) of the light field, red, green, blue, 0 to 255; the spectra are of view (0, 0)"
        },
        instructions="the folder flower of the release linked there: train.txt, test.txt, 0_0_hsi/HR/NAME.mat, "
        "3_3/HR/NAME.png",
        notes="The spectra are not measurements: a network made them from the RGB views, 376 x 541 pixels. Wavelengths "
        "are not in the release: 400 to 700 nm in steps of 10 is what its response matrix implies. The authors rescale "
        "every image from its minimum to its maximum; here the maximum alone is divided out. Evaluation uses the "
        "recorded references; training makes synthetic ones.",
    ),
}
