"""Models of fusion look at their two images: another blur, or noise."""

from __future__ import annotations

import pytest
import torch

import finewave as fw
from finewave.errors import InputError
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import Model
from tests.physics.test_blur_of_pair import images


def test_a_model_of_fusion_takes_the_blur_of_its_images() -> None:
    blur = {"kernel": "gaussian", "fwhm": 3.0}
    pair = {key: image.float() for key, image in images(4, blur).items()}
    inputs = {key: pair[key] for key in ("lr_hsi", "hr_msi")}
    options = {"scale": 4, "ms_bands": 2, "hs_bands": 5}
    stated, right = (Model(fw.create_model("local-regression", **options, degradation=each)) for each in (None, blur))
    with pytest.warns(FinewaveWarning, match=r"fwhm (3|2\.9).*, not the one that it is for \(kernel gaussian\)"):
        result = stated.predict(**inputs)
    torch.testing.assert_close(result, right.predict(**inputs), rtol=0, atol=0.01)
    wrong = stated.run(inputs)
    after, before = ((each - pair["hr_hsi"]).square().mean() for each in (result, wrong))
    assert after < 0.5 * before
    assert stated.net.config["degradation"] is None  # itself it stays as it was


def test_noise_is_kept_out_where_there_is_some() -> None:
    options = {"scale": 4, "ms_bands": 2, "hs_bands": 5}
    model = Model(fw.create_model("local-regression", **options))
    pair = {key: image.float() for key, image in images(4, {"kernel": "gaussian"}, noise=0.03).items()}
    inputs = {key: pair[key] for key in ("lr_hsi", "hr_msi")}
    with pytest.warns(FinewaveWarning, match=r"LocalRegression: .* noise, a signal-to-noise ratio of \d+ dB"):
        result = model.predict(**inputs)
    aware = model.with_options(noise="estimated")
    torch.testing.assert_close(result, aware.predict(**inputs))
    assert aware.receptive_field > model.receptive_field
    after, before = ((each - pair["hr_hsi"]).square().mean() for each in (result, model.run(inputs)))
    assert after < 0.5 * before


def test_noise_of_many_bands_is_seen_in_few_pixels() -> None:
    """625 pixels of 102 bands tell nothing about the blur, but much about noise."""
    pair = images(4, {"kernel": "gaussian"}, side=25)
    bands = torch.linspace(0, 4, 102)
    spectra = (1 - (bands[:, None] - torch.arange(5)).abs()).clamp(min=0).double()
    generator = torch.Generator().manual_seed(2)
    lr, truth = (torch.einsum("ck,bkhw->bchw", spectra, pair[key]) for key in ("lr_hsi", "hr_hsi"))
    noisy = [each + 0.01 * torch.randn(each.shape, generator=generator).double() for each in (lr, pair["hr_msi"])]
    inputs = dict(zip(("lr_hsi", "hr_msi"), (each.float() for each in noisy), strict=True))
    model = Model(fw.create_model("local-regression", scale=4, ms_bands=2, hs_bands=102))
    with pytest.warns(FinewaveWarning, match=r"the images have noise, a signal-to-noise ratio of \d+ dB"):
        result = model.predict(**inputs)
    after, before = ((each - truth).square().mean() for each in (result, model.run(inputs)))
    assert after < 0.7 * before


def test_options_that_a_network_lacks_are_refused() -> None:
    with pytest.raises(InputError, match="unknown option of gsa 'noise'"):
        Model(fw.create_model("gsa", scale=2, ms_bands=2, hs_bands=5)).with_options(noise="estimated")
