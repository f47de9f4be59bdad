"""AWAN: its size against the published configurations, its equations written out plainly, what bounds its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.systems.awan import network as awan
from finewave.systems.awan.network import AWAN, AWCA, DRAB, PSNL, SecondOrderNonLocal, camera_discrepancy
from finewave.systems.awan.polynomial_attention import polynomial_attention
from finewave.systems.reference import from_reference
from tests.systems.largest import largest_tensor
from tests.systems.public_weights import Case, check_checkpoints, read_case, weights_of

TINY: dict[str, Any] = {"ms_bands": 2, "hs_bands": 17, "features": 8, "blocks": 2, "initialisation": "framework"}


def tiny(**options: Any) -> AWAN:
    """Return a very small network with all of its parts."""
    return AWAN(**{**TINY, **options})


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


# --- Size ---------------------------------------------------------------------------------------------------------

# c, C, features, blocks: counted in instances of the public code
SIZES = {
    (3, 31, 200, 8): 17_461_521,
    (3, 31, 200, 20): 42_481_581,
    (3, 31, 200, 10): 21_631_531,
    (3, 31, 128, 20): 17_417_341,
    (3, 31, 180, 10): 17_528_011,
    (3, 31, 96, 8): 4_039_425,
    (4, 102, 200, 8): 17_594_514,
}


@pytest.mark.parametrize("published", SIZES, ids=str)
def test_parameters_of_the_published_configurations(published: tuple[int, int, int, int]) -> None:
    ms_bands, hs_bands, features, blocks = published
    with torch.device("meta"):  # sizes only
        net = AWAN(ms_bands, hs_bands, features=features, blocks=blocks)
    assert count(net) == SIZES[published]


def test_parameters_of_the_default_parts() -> None:
    with torch.device("meta"):
        net = AWAN()
    block = net.blocks[0]
    assert isinstance(block, DRAB)
    assert (count(block), count(block.conv_large), count(block.attention)) == (2_085_005, 1_000_000, 5_001)
    assert (count(net.input), count(net.head), count(net.output_conv), count(net.psnl)) == (5_400, 360_000, 55_800, 279)


# --- Equations ----------------------------------------------------------------------------------------------------


def plain_non_local(block: SecondOrderNonLocal, x: Tensor) -> Tensor:
    """The block with its matrix of all pairs."""
    theta, g = (conv(x).flatten(2).transpose(1, 2) for conv in (block.theta, block.g))
    covariance = (theta - theta.mean(2, keepdim=True)) @ theta.transpose(1, 2) / theta.shape[2]
    y = covariance.softmax(2) @ g
    return x + block.W(y.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:]))


def plain_psnl(psnl: PSNL, x: Tensor) -> Tensor:
    result = torch.empty_like(x)
    h, w = x.shape[2] // 2, x.shape[3] // 2
    for rows in (slice(0, h), slice(h, None)):
        for columns in (slice(0, w), slice(w, None)):
            if 0 not in x[:, :, rows, columns].shape:
                result[:, :, rows, columns] = plain_non_local(psnl.non_local, x[:, :, rows, columns])
    return result


@pytest.mark.parametrize("at_once", [2**24, 40, 1])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (7, 9), (8, 6)])
def test_psnl_is_the_plain_formulation(size: tuple[int, int], at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awan, "SCORES_AT_ONCE", at_once)
    psnl = PSNL(21, reduction=4).double()
    nn.init.normal_(psnl.non_local.W.weight)
    nn.init.normal_(psnl.non_local.theta.weight)
    x = torch.randn(2, 21, *size, dtype=torch.float64, requires_grad=True)
    weights = torch.randn_like(x)
    tensors = [x, *psnl.parameters()]
    gradients = []
    for function in (psnl, lambda image: plain_psnl(psnl, image)):
        gradients.append(torch.autograd.grad((function(x) * weights).sum(), tensors))
    torch.testing.assert_close(psnl(x), plain_psnl(psnl, x))
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain)


def test_evaluation_goes_another_way_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, whose sums over thousands of pixels depend on the processor's order of summation."""
    psnl = PSNL(31)
    nn.init.normal_(psnl.non_local.W.weight)
    x = torch.rand(1, 31, 128, 130)
    usual = psnl(x).detach()  # with gradients, PyTorch's kernel
    results: list[Tensor | None] = []

    def seen(*arguments: Any) -> Tensor | None:
        results.append(polynomial_attention(*arguments))
        return results[-1]

    monkeypatch.setattr(awan, "polynomial_attention", seen)
    with torch.no_grad():
        torch.testing.assert_close(psnl(x), usual, rtol=1e-5, atol=2e-5)
    assert len(results) == 4
    assert all(result is not None for result in results)
    psnl(x[..., :8, :8])
    assert len(results) == 4


def test_memory_of_psnl_is_linear() -> None:
    psnl = PSNL(31)
    x = torch.rand(1, 31, 128, 128, requires_grad=True)
    # a matrix of all pairs of a quadrant has 4096^2 values, 33 times the image
    assert largest_tensor(lambda: psnl(x).sum().backward()) <= x.numel()


def test_awca_scales_channels_by_weighted_means() -> None:
    block = AWCA(32)
    x = torch.randn(2, 32, 4, 5)
    weights = torch.einsum("f,bfhw->bhw", block.weigh.weight[0, :, 0, 0], x).flatten(1).softmax(1).view(2, 4, 5)
    means = torch.einsum("bfhw,bhw->bf", x, weights)
    inner = F.prelu(means @ block.squeeze.weight.T, block.activation.weight)
    expected = x * torch.sigmoid(inner @ block.excite.weight.T)[:, :, None, None]
    torch.testing.assert_close(block(x), expected)


def test_block_hands_the_second_stream_on_before_attention() -> None:
    block = DRAB(16)
    x, r = torch.randn(1, 16, 6, 6), torch.randn(1, 16, 6, 6)
    seen: list[Tensor] = []
    block.attention.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    _, after = block(x, r)
    assert torch.equal(after, seen[0])


def test_network_starts_without_non_local_part_and_leaves_that_start() -> None:
    net = tiny(initialisation="published")
    seen: list[Tensor] = []
    net.output_conv.register_forward_hook(lambda module, inputs, output: seen.append(output))
    x, target = torch.rand(1, 2, 6, 6), torch.rand(1, 17, 6, 6)
    assert torch.equal(net(x), seen[0])
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):  # the first step moves W away from zero, which lets g and theta learn
        optimiser.zero_grad()
        F.mse_loss(net(x), target).backward()
        optimiser.step()
    assert all(p.grad is not None and p.grad.any() for p in net.psnl.parameters())


def test_every_pixel_acts_on_every_other() -> None:
    net = tiny().double().eval()
    assert net.receptive_field is None
    x = torch.rand(1, 2, 40, 40, dtype=torch.float64)
    y = x.clone()
    y[..., -1, -1] += 1
    with torch.no_grad():
        assert (net(x)[..., 0, 0] != net(y)[..., 0, 0]).any()


def test_mixed_precision_gives_full_precision_out() -> None:
    net = tiny().eval()
    x = torch.rand(1, 2, 12, 10)
    with torch.no_grad():
        single = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = net(x)
    assert mixed.dtype == torch.float32
    assert (mixed - single).abs().mean() < 0.02 * single.abs().mean()


@pytest.mark.parametrize(
    "wrong", [{"features": 0}, {"blocks": 0}, {"reduction": 0}, {"nonlocal_reduction": 0}, {"initialisation": "zero"}]
)
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        tiny(**wrong)


# --- Loss ---------------------------------------------------------------------------------------------------------


def test_camera_term() -> None:
    response = torch.rand(3, 17).softmax(1)
    hr_hsi = torch.rand(2, 17, 4, 5, requires_grad=True)
    observed = torch.einsum("kc,bchw->bkhw", response, hr_hsi.detach())
    torch.testing.assert_close(camera_discrepancy(hr_hsi, observed, response), torch.tensor(0.0))
    torch.testing.assert_close(camera_discrepancy(hr_hsi, observed + 0.25, response), torch.tensor(0.25))
    (gradient,) = torch.autograd.grad(camera_discrepancy(hr_hsi, observed + 0.25, response), hr_hsi)
    expected = -response.sum(0) / observed.numel()
    torch.testing.assert_close(gradient, expected[:, None, None].expand(2, 17, 4, 5))


def test_truncated_camera_term_has_steps_and_no_gradient() -> None:
    response = torch.eye(3)
    hr_hsi = torch.tensor([[-0.5, 0.999, 1.5]]).view(1, 3, 1, 1).requires_grad_()
    observed = torch.tensor([0.0, 254 / 255, 1.0]).view(1, 3, 1, 1)
    term = camera_discrepancy(hr_hsi, observed, response, levels=255)
    assert float(term) == 0
    assert not term.requires_grad


def test_term_of_the_training() -> None:
    net = tiny()
    batch = {"hr_msi": torch.rand(2, 2, 6, 5), "response": torch.rand(2, 17).softmax(1)}
    output, terms = net.training_loss(batch, 0.0)
    assert torch.equal(output, net(batch["hr_msi"]))
    torch.testing.assert_close(terms["camera"], camera_discrepancy(output, batch["hr_msi"], batch["response"]))


# --- Weights of the public code -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["full_3to31_f16_b2", "full_4to12_f16_b3"])
def case(shared_cases: Path, request: pytest.FixtureRequest) -> Case:
    """Return configuration and tensors of a whole network."""
    return read_case(shared_cases / "awan" / f"{request.param}.safetensors")


@pytest.mark.parity
def test_checkpoint_without_configuration(case: Case) -> None:
    check_checkpoints("awan", case[1])


@pytest.mark.parity
def test_what_does_not_fit_is_named(case: Case) -> None:
    config, tensors = case
    weights = weights_of(tensors)
    for wrong, named in (
        ({"blocks": config["blocks"] - 1}, f"backbone.{config['blocks'] - 1}"),
        ({"blocks": 7}, f"blocks.{config['blocks']}"),
        ({"out_channels": 9}, "output_conv.weight"),
        ({"features": 32}, "input.weight"),
        ({"module": "AWCAA"}, "AWCA"),
        ({"module": "AWCA"}, "features"),
        ({"channel": 3}, "channels"),
    ):
        with pytest.raises(InputError, match=named):
            from_reference("awan", weights, **wrong)
    for key in weights:
        with pytest.raises(InputError):
            from_reference("awan", {k: v for k, v in weights.items() if k != key})
        with pytest.raises(InputError):
            from_reference("awan", {**weights, key: torch.cat((weights[key], weights[key]))})


def test_nothing_at_all() -> None:
    with pytest.raises(InputError, match="not a AWAN's"):
        from_reference("awan", {})
