from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.nn.sampling import bicubic
from finewave.systems.registry import create_model
from finewave.systems.ssjsr.network import SSJSR


def made(**options: object) -> SSJSR:
    net = create_model("ssjsr", **{"hs_bands": 9, "features": 8, **options})
    assert isinstance(net, SSJSR)
    return net


def test_size_of_the_published_widths() -> None:
    """Four convolutions as in 3D-FCNN, and an affine map of 3 bands to 31."""
    assert sum(p.numel() for p in create_model("ssjsr").parameters()) == 39_405 + 31 * 4


def test_spectra_are_fitted_by_least_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(4, 9, generator=generator).double()
    samples = []
    for size in (5, 6):
        hr_msi = torch.rand(1, 3, size, 7, generator=generator)
        spectra = torch.einsum("bchw,cn->bnhw", hr_msi.double(), truth[:3]) + truth[3, :, None, None]
        samples.append({"hr_msi": hr_msi, "hr_hsi": spectra.float()})
    net = made()
    net.prepare_from(iter(samples))
    np.testing.assert_allclose(net.spectra.weight.detach()[..., 0, 0].T, truth[:3], atol=2e-3)
    np.testing.assert_allclose(net.spectra.bias.detach(), truth[3], atol=2e-3)
    net.prepare_from([{**s, "hr_msi": s["hr_msi"][:, :1].expand(-1, 3, -1, -1)} for s in samples])  # three equal bands
    assert net.spectra.weight.detach().abs().max() < 2
    with pytest.raises(InputError, match="needs training images"):
        net.prepare_from([])


def test_it_begins_at_interpolated_spectra() -> None:
    torch.manual_seed(0)
    net = made()
    with torch.no_grad():
        net.spectra.weight.uniform_(0, 0.3)
        net.spectra.bias.fill_(0.1)
        lr_msi = bicubic(torch.rand(1, 3, 4, 4), (10, 10)).clamp(0, 1)
        expected = net.spectra(bicubic(lr_msi, (40, 40)))
        assert F.mse_loss(net(lr_msi), expected).sqrt() < 0.02
