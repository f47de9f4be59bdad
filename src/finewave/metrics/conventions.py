"""How published systems compute their metrics, as data.

``"finewave"`` is the one to report. The others reproduce the metrics of one system's tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from finewave.errors import unknown_name
from finewave.metrics.sam import ZeroSpectra
from finewave.metrics.ssim import SsimVariant


@dataclass(frozen=True)
class Convention:
    """A definition of the metrics.

    Parameters
    ----------
    description : str
        Its source and differences.
    psnr : {"global", "band"}
        What ``psnr`` is: of all bands together, or the mean of the bands' values.
    ssim : str
        Variant of `finewave.metrics.ssim.ssim`.
    sam_zeros : str
        Treatment of spectra without direction in `finewave.metrics.sam.sam`.
    ergas_ratio : float or None
        Fixed ratio of ``ergas``; the scale if None.
    ergas_mean_of_prediction : bool
        Whether ``ergas`` divides by the prediction's band means instead of the target's.
    clip : bool
        Whether both images are clipped to [0, data_range] first.
    """

    description: str
    psnr: Literal["global", "band"] = "global"
    ssim: SsimVariant = "gauss-valid"
    sam_zeros: ZeroSpectra = "skip"
    ergas_ratio: float | None = None
    ergas_mean_of_prediction: bool = False
    clip: bool = False


CONVENTIONS: dict[str, Convention] = {
    "finewave": Convention("finewave's own: PSNR of all bands, SSIM inside the image, ERGAS with the scale"),
    "jssunet": Convention(
        "JSSUNet's public code with torchmetrics 1.4; its tables have ERGAS with ratio 4 at every scale, and "
        "the code swaps its arguments. Zero spectra give nan there and are skipped here",
        ergas_ratio=4.0,
        ergas_mean_of_prediction=True,
    ),
    "sspsr": Convention("SSPSR's repository: PSNR band by band, SSIM of scikit-image", psnr="band", ssim="uniform7"),
    "mulsr": Convention(
        "MulSR's repository: both images clipped, exact zeros made tiny for SAM", sam_zeros="tiny", clip=True
    ),
    "ssc-hsr": Convention(
        "SSC-HSR's repository: PSNR band by band, SSIM of scikit-image, 1e-8 added for SAM (radians there, "
        "degrees here). Old versions of scikit-image took 2 as data range of SSIM; here it is the one given",
        psnr="band",
        ssim="uniform7",
        sam_zeros="additive",
    ),
}


def get_convention(name: str) -> Convention:
    """Return a convention by name.

    Parameters
    ----------
    name : str
        A key of `CONVENTIONS`; case does not matter, and ``_`` is ``-``.

    Returns
    -------
    Convention

    Raises
    ------
    InputError
        If there is no such convention.
    """
    key = name.lower().replace("_", "-")
    if key not in CONVENTIONS:
        raise unknown_name("metric convention", name, CONVENTIONS)
    return CONVENTIONS[key]
