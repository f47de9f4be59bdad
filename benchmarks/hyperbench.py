"""Fusion by the protocol of HyperBench: ``python -m benchmarks.hyperbench SCENE.mat -s gsa -s cnmf``.

HyperBench 0.1.0 (PyPI, MIT) makes the images, runs the systems and scores: the scene is stretched between its 1st and
99th percentile, blurred by a PSF with zeros beyond the border and averaged by areas; multispectral bands are Gaussians
of IKONOS or WorldView over wavelengths that are spread over all bands, whatever those of the scene; noise is added by
its SNR; results are cut to 0 to 1. PSNR and SSIM are of 8-bit images, all bands as one. So these numbers stand beside
other tables of HyperBench alone.

It asks for NumPy 1.26 and OpenCV 4.9: install it in an environment of its own with finewave, or, if other versions of
them are there, by ``pip install --no-deps hyperbench sewar opencv-python-headless``. Its command line takes this file,
too: ``hyperbench run --pipeline-module benchmarks/hyperbench.py --pipeline-name gsa --method-name gsa --config FILE``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.systems.registry import SYSTEMS, list_systems

METRICS = {"RMSE": 4, "PSNR": 2, "SSIM": 4, "UIQI": 4, "ERGAS": 3, "SAM": 3}
"""Of HyperBench, with the decimals of the table."""
FWHM = math.sqrt(8 * math.log(2))


def blur_of(psf: NDArray[Any], scale: int) -> float:
    """Return the FWHM in fine pixels of the Gaussian with the variance of a PSF followed by means over areas.

    Parameters
    ----------
    psf : ndarray (k, k)
        Of sum 1.
    scale : int
        Side of the areas; their variance is (s^2 - 1) / 12.
    """
    x = np.arange(len(psf)) - (len(psf) - 1) / 2
    variance = float((psf.sum(0) * x**2).sum() + (psf.sum(1) * x**2).sum()) / 2 + (scale**2 - 1) / 12
    return FWHM * math.sqrt(max(variance, 0.01))


def seen(psf: NDArray[Any], rows: int, columns: int, scale: int) -> NDArray[np.float64]:
    """Return the part (rows, columns, 1) of a PSF and the area behind it that lies in the image, for every LR pixel.

    What lies beyond the border is zero, so that pixels there are darker by it.
    """
    from scipy.signal import convolve2d

    inside = convolve2d(np.ones((rows * scale, columns * scale)), psf, mode="same", boundary="fill")
    part: NDArray[np.float64] = inside.reshape(rows, scale, columns, scale).mean((1, 3))
    return part[..., None]


def fused(
    system: str, hr_msi: NDArray[Any], lr_hsi: NDArray[Any], psf: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """Return what a system of fusion without training makes of HyperBench's images.

    Parameters
    ----------
    system : str
        See `systems`.
    hr_msi : ndarray (H, W, c)
    lr_hsi : ndarray (h, w, C)
    psf : ndarray (k, k), optional
        The LR-HSI is divided by `seen`, as systems take an image to go on beyond its border as in a mirror.

    Returns
    -------
    ndarray (H, W, C)
    """
    import torch

    from finewave.systems.registry import create_model
    from finewave.zoo.model import Model

    scale = hr_msi.shape[0] // lr_hsi.shape[0]
    degradation: dict[str, Any] = {"kernel": "gaussian"}
    if psf is not None:
        psf = np.asarray(psf, np.float64)
        degradation["fwhm"] = blur_of(psf, scale)
        lr_hsi = lr_hsi / seen(psf / psf.sum(), lr_hsi.shape[0], lr_hsi.shape[1], scale)
    net = create_model(system, scale=scale, ms_bands=hr_msi.shape[2], hs_bands=lr_hsi.shape[2], degradation=degradation)
    images = {
        name: torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))[None]
        for name, image in (("lr_hsi", lr_hsi), ("hr_msi", hr_msi))
    }
    return Model(net).predict(**images)[0].numpy().transpose(1, 2, 0)


def pipeline_of(system: str) -> Callable[..., NDArray[np.float32]]:
    """Return a system as a pipeline of HyperBench."""

    def run_pipeline(
        HR_MSI: NDArray[Any],
        LR_HSI: NDArray[Any],
        srf: NDArray[Any],
        psf: NDArray[Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> NDArray[np.float32]:
        return fused(system, HR_MSI, LR_HSI, psf)

    return run_pipeline


def systems() -> list[str]:
    """Return the systems of fusion that need no training."""
    return [name for name in list_systems("fusion") if SYSTEMS[name].baseline]


gsa, cnmf, local_regression = (pipeline_of(each) for each in ("gsa", "cnmf", "local-regression"))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of HyperBench as a Markdown table; a failed one has its error."""
    lines = [
        f"| system | PSF | sigma | ratio | bands | SNR | {' | '.join(METRICS)} |",
        "|" + "---|" * (6 + len(METRICS)),
    ]
    for row in rows:
        case = [row["method_name"], row["psf_name"], row["sigma"], row["downsampling_ratio"], row["msi_band_count"]]
        case.append(f"{row['spatial_snr']:g} / {row['spectral_snr']:g} dB")
        failed = row["status"] != "success"
        scores = [str(row["error"])] if failed else [f"{row[name]:.{n}f}" for name, n in METRICS.items()]
        lines.append(f"| {' | '.join(map(str, [*case, *scores]))} |")
    return "\n".join(lines)


@click.command()
@click.argument("scene", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-s", "--system", "names", multiple=True, help="Of fusion, without training.  [default: all]")
@click.option("--key", help="Variable of the MATLAB file.")
@click.option("--config", type=click.Path(exists=True, path_type=Path), help="Of HyperBench; its scene is replaced.")
def main(scene: Path, names: tuple[str, ...], key: str | None, config: Path | None) -> None:
    """Score systems of fusion on SCENE, a MATLAB file (rows, columns, bands), and print the table."""
    try:
        from hyperbench.adapters import PipelineAdapter
        from hyperbench.benchmark import BenchmarkConfig, run_benchmark
        from hyperbench.config import load_benchmark_config
    except ImportError as error:
        raise click.ClickException(f"HyperBench is not installed ({error}): see the head of this file") from error
    known = systems()
    for name in names:
        if name not in known:
            raise click.ClickException(f"{name} is not a system of fusion without training; known: {', '.join(known)}")
    settings = BenchmarkConfig(scene_path=scene) if config is None else load_benchmark_config(config)
    settings.scene_path, settings.scene_key, settings.save_csv = scene, key, False
    rows: list[Mapping[str, Any]] = []
    for name in names or known:
        adapter = PipelineAdapter(pipeline_of(name), name=name, add_batch_dim=False)
        try:
            rows += run_benchmark(adapter, settings).rows
        except InputError as error:
            raise click.ClickException(str(error)) from error
    click.echo(table(rows))


if __name__ == "__main__":
    main()
