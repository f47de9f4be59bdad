"""SSC-HSR's real pairs: a hyperspectral image of 31 bands and an RGB image from a second camera, not aligned.

Z. Lai, Y. Fu, J. Zhang, "Hyperspectral Image Super Resolution with Real Unaligned RGB Guidance", 2022,
https://github.com/Zeqiang-Lai/HSI-RefSR; SSC-HSR (arXiv 2505.02109) reads the same layout.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Image
from finewave.datasets.published_files import find_files, read_matlab
from finewave.errors import InputError
from finewave.io.file_errors import reading

_HSI, _REFERENCES = Path("img1_hsi") / "HR", (Path("img2_cmatch") / "HR", Path("img2") / "HR")
EVERY = 10  # of the published training list validates


def _base(root: Path) -> Path:
    """Return the folder that holds ``img1_hsi``: the one given, or ``real`` in it."""
    for base in (root, root / "real"):
        if (base / _HSI).is_dir():
            return base
    raise InputError(f"no img1_hsi/HR in {root}; expected the folder real of the release, with train.txt and test.txt")


def find(root: Path) -> dict[str, Path]:
    """Return the hyperspectral images, ``img1_hsi/HR/NAME.mat``."""
    return find_files(_base(root) / _HSI, "*.mat", "hyperspectral images such as NAME.mat")


def read(path: Path) -> Image:
    """Read ``gt`` (31, H, W) of the first camera, and the reference image of the second as ``ref_rgb`` (3, H, W)."""
    import imageio.v3 as iio

    reference = _reference(path)
    with reading(reference, "PNG"):
        rgb = np.asarray(iio.imread(reference))
    if rgb.ndim != 3 or rgb.shape[2] < 3:
        raise InputError(f"{reference}: {rgb.shape}; a reference has red, green and blue")
    cube = read_matlab(path, "gt")
    if rgb.shape[:2] != cube.shape[1:]:
        raise InputError(f"{reference}: {rgb.shape[0]} x {rgb.shape[1]} pixels, its pair has {cube.shape[1:]}")
    return Image(cube, {"ref_rgb": np.ascontiguousarray(rgb[..., :3].transpose(2, 0, 1))})


def _reference(path: Path) -> Path:
    """Return the reference image that belongs to a hyperspectral one."""
    base = path.parents[len(_HSI.parts)]
    candidates = [base / folder / f"{path.stem}.png" for folder in _REFERENCES]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(f"{path}: its reference image is missing ({' or '.join(map(str, candidates))})")


def split_of(root: Path) -> dict[str, list[str]]:
    """Return the published lists; every tenth of the training list validates."""
    train, test = (_list(_base(root) / f"{name}.txt") for name in ("train", "test"))
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


DATASETS = {
    "ssc-hsr": Dataset(
        name="ssc-hsr",
        title="SSC-HSR's real pairs of two cameras, not aligned",
        wavelengths=np.arange(400.0, 701.0, 10.0),
        find=find,
        read=read,
        split={},
        split_of=split_of,
        sources=lambda path: [path, _reference(path)],
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
    )
}
