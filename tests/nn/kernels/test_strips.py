"""Layers on strips of rows give the values of the whole image."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from finewave.nn.kernels import strips
from finewave.nn.residual import ResBlocks
from finewave.systems.jssunet.network import ProxSR
from finewave.systems.registry import create_model

LAST = torch.channels_last


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rows_of_a_strip", [1, 9, 13, 40])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_blocks(dtype: torch.dtype, rows_of_a_strip: int, kernel_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    blocks = ResBlocks(6, 2, kernel_size).to(dtype)
    x = torch.randn(1, 6, 40, 11).to(dtype).contiguous(memory_format=LAST)
    monkeypatch.setattr(strips, "LEAST_REACHES", 1)
    with torch.no_grad():
        whole = blocks(x.clone(memory_format=torch.preserve_format))
        monkeypatch.setattr(strips, "STRIP_BYTES", x.nbytes // 40 * rows_of_a_strip)
        made = blocks(x)
    assert (made.data_ptr() == x.data_ptr()) == (rows_of_a_strip < 40), "in the memory of the input, where it is cut"
    tolerance = 1e-6 if dtype.itemsize > 2 else 2e-2
    torch.testing.assert_close(made, whole, rtol=tolerance, atol=tolerance)


def test_one_strip_of_features_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a halo of 3 rows to both sides."""
    seen = []
    x = torch.arange(20.0).view(1, 1, 20, 1).expand(1, 2, 20, 4).contiguous(memory_format=LAST)
    before = x.clone()

    def layers(image: torch.Tensor) -> torch.Tensor:
        seen.append((int(image[0, 0, 0, 0]), int(image[0, 0, -1, 0])))
        assert image.stride() == torch.empty(image.shape).contiguous(memory_format=LAST).stride()
        return image + 100

    monkeypatch.setattr(strips, "STRIP_BYTES", 100)
    monkeypatch.setattr(strips, "LEAST_REACHES", 1)
    assert strips.in_strips(layers, 3, (x,), x, 5) is x
    assert seen == [(0, 7), (2, 12), (7, 17), (12, 19)]
    assert torch.equal(x, before + 100)


@pytest.mark.parametrize("width", [1, 70])
def test_strips_of_wide_images_are_not_low(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the rows are computed twice at most, and one column is an image, too."""
    heights = []

    def layers(image: torch.Tensor) -> torch.Tensor:
        heights.append(image.shape[2])
        return image + 1

    monkeypatch.setattr(strips, "STRIP_BYTES", 1)
    x = torch.zeros(1, 2, 100, width)
    assert strips.in_strips(layers, 3, (x,), torch.empty_like(x), 8).eq(1).all()
    assert heights == [27, 30, 30, 30, 7]


def test_not_with_gradients_hooks_or_several_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "STRIP_BYTES", 64)
    blocks, x = ResBlocks(2, 1), torch.randn(1, 2, 30, 4)
    before = x.clone()
    blocks(x).sum().backward()
    with torch.no_grad():
        assert not strips.makes_strips(x.expand(2, -1, -1, -1), 8, blocks)
        assert strips.makes_strips(x, 8, blocks)
        with blocks[0].conv2.register_forward_hook(lambda *_: None):
            assert not strips.makes_strips(x, 8, blocks)
            blocks(x)
    assert torch.equal(x, before)


def test_exports_take_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their sizes are not known while a network is written down."""
    monkeypatch.setattr(strips, "STRIP_BYTES", 64)
    blocks, x = ResBlocks(2, 1).eval(), torch.randn(1, 2, 9, 5)
    free = {"x": {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}}
    with torch.no_grad():
        program = torch.export.export(blocks, (torch.randn(1, 2, 6, 8),), dynamic_shapes=free, strict=False)
        torch.testing.assert_close(program.module()(x), blocks(x.clone()))


def test_what_hooks_have_seen_is_not_overwritten() -> None:
    """Sums are made in the memory of convolutions' results."""
    prox, x, seen = ProxSR(3, 4), torch.rand(1, 3, 8, 6), []
    prox.tail.register_forward_hook(lambda _, inputs, y: seen.extend((inputs[0], y)))
    with torch.no_grad():
        prox(x)
        torch.testing.assert_close(seen[1], F.conv2d(seen[0], prox.tail.weight, prox.tail.bias, padding=1))


@pytest.mark.parametrize("options", [{}, {"hfi_with_low": True}, {"hfi_blocks": 1}], ids=str)
def test_jssunet(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = create_model("jssunet", scale=2, hs_bands=5, features=8, stages=2, initialisation="framework", **options)
    f = torch.rand(1, 3, 24, 15)
    with torch.no_grad():
        whole = net.eval()(lr_msi=f)
        monkeypatch.setattr(strips, "STRIP_BYTES", 8 * 4 * 48 * 30 // 4)
        monkeypatch.setattr(strips, "LEAST_REACHES", 1)
        made = net(lr_msi=f)
    torch.testing.assert_close(made, whole, rtol=0, atol=1e-6)
