from __future__ import annotations

import pytest
import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.systems.fusformer.network import Attention, Fusformer, _even_parts
from finewave.systems.reference import from_reference
from finewave.systems.registry import create_model


def public_weights(net: Fusformer) -> dict[str, Tensor]:
    """The network's weights under the public code's names, written out the other way round."""
    names = {"embedding": "Embedding.0", "refine1": "refine.0", "refine2": "refine.2"}
    result = {}
    for key, value in net.state_dict().items():
        part, _, rest = key.partition(".")
        if part in names:
            result[f"{names[part]}.{rest}"] = value
            continue
        stack = {"encoder": "T_E", "decoder": "T_D"}[part]
        layer, block, *rest = rest.split(".")
        if rest[0] == "norm":
            tail = f"norm.{rest[1]}"
        else:
            last = {"qkv": "to_qkv", "out": "to_out.0", "linear1": "net.0", "linear2": "net.3"}[rest[1]]
            tail = f"fn.{last}.{rest[2]}"
        result[f"{stack}.layers.{layer}.{block}.fn.{tail}"] = value
    return result


def test_published_size() -> None:
    """111,247 parameters: the released 504,463 without the two embeddings that nothing reads."""
    assert sum(p.numel() for p in create_model("fusformer").parameters()) == 111_247 == 504_463 - 2 * 4096 * 48


def test_attention_against_the_formula() -> None:
    attention = Attention(12, heads=3, head_features=5).double()
    x = torch.randn(2, 7, 12, dtype=torch.float64)
    with torch.no_grad():
        q, k, v = attention.qkv(x).split(15, 2)
        heads = []
        for h in range(3):
            part = slice(5 * h, 5 * h + 5)
            weights = (q[..., part] @ k[..., part].transpose(1, 2) / 5**0.5).softmax(-1)
            heads.append(weights @ v[..., part])
        torch.testing.assert_close(attention(x), attention.out(torch.cat(heads, -1)))


@pytest.mark.parametrize(("n", "longest"), [(1, 64), (64, 64), (65, 64), (512, 64), (30, None), (100, 7)])
def test_parts_are_even_and_cover_everything(n: int, longest: int | None) -> None:
    parts = list(_even_parts(n, longest))
    lengths = [part.stop - part.start for part in parts]
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    assert max(lengths) <= (longest or n)
    assert max(lengths) - min(lengths) <= 1
    assert len(parts) == (1 if longest is None else -(-n // longest))


def test_pixels_attend_within_their_patch_alone() -> None:
    """A change in one patch reaches others only through the two convolutions and the interpolation."""
    net = create_model("fusformer", scale=2, hs_bands=4, patch=16, clamp=False).eval().double()
    lr_hsi, hr_msi = torch.rand(1, 4, 16, 16).double(), torch.rand(1, 3, 32, 32).double()
    changed = hr_msi.clone()
    changed[..., :16, :16] += 0.5
    with torch.no_grad():
        difference = (net(lr_hsi, hr_msi) - net(lr_hsi, changed)).abs().amax((0, 1)) > 1e-12
    assert difference[:18, :18].all()
    assert not difference[18:].any()
    assert not difference[:, 18:].any()


def test_no_call_of_the_attention_sees_more_than_a_patch() -> None:
    net = create_model("fusformer", scale=2, hs_bands=4, patch=12).eval()
    seen = []
    for module in net.modules():
        if isinstance(module, Attention):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    with torch.no_grad():
        net(torch.rand(1, 4, 20, 15), torch.rand(1, 3, 40, 30))
    assert max(seen) <= 144
    assert sum(seen) == 6 * 40 * 30  # two attentions in the encoder, four in the decoder


def test_large_images_are_like_the_patches_that_they_are_cut_in() -> None:
    """The published inference runs each patch alone; only pixels near its border see the difference."""
    net = create_model("fusformer", scale=2, hs_bands=4, patch=16).eval()
    lr_hsi, hr_msi = torch.rand(1, 4, 16, 16), torch.rand(1, 3, 32, 32)
    lr_hsi[..., 8:, :] = lr_hsi[..., 7:8, :]  # so that the interpolation of the patch has the neighbours it assumes
    lr_hsi[..., :, 8:] = lr_hsi[..., :, 7:8]
    with torch.no_grad():
        whole, alone = net(lr_hsi, hr_msi), net(lr_hsi[..., :8, :8], hr_msi[..., :16, :16])
    torch.testing.assert_close(whole[..., :14, :14], alone[..., :14, :14])


@pytest.mark.parametrize("clamp", [True, False])
def test_clamping(clamp: bool) -> None:
    net = create_model("fusformer", scale=2, hs_bands=4, clamp=clamp).eval()
    with torch.no_grad():
        output, upsampled, _ = net.forward_parts(torch.randn(1, 4, 6, 6) * 3, torch.rand(1, 3, 12, 12))
    for x in (output, upsampled):
        assert (x.min() >= 0 and x.max() <= 1) == clamp


def test_public_weights_in_a_data_parallel_wrapper_with_their_unused_embeddings() -> None:
    net = create_model("fusformer", scale=2, ms_bands=4, hs_bands=6).eval()
    weights = public_weights(net) | {f"T_{part}.pos_embedding": torch.rand(1, 4096, 48) for part in "ED"}
    twin = from_reference("fusformer", {f"module.{key}": value for key, value in weights.items()}, scale=2)
    assert (twin.ms_bands, twin.hs_bands) == (4, 6)
    inputs = torch.rand(1, 6, 5, 4), torch.rand(1, 4, 10, 8)
    with torch.no_grad():
        assert torch.equal(net(*inputs), twin(*inputs))


def test_shapes_tell_widths_and_depths() -> None:
    options = {"features": 20, "heads": 5, "head_features": 3, "hidden": 7, "encoder_layers": 1, "decoder_layers": 3}
    net = create_model("fusformer", **options)
    twin = from_reference("fusformer", public_weights(net), heads=5)
    assert {key: twin.config[key] for key in options} == options


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        (lambda w: w.pop("refine.2.bias"), {}, "lacks Fusformer's 'refine2.bias'"),
        (lambda w: w.update({"T_X.weight": torch.ones(1)}), {}, "'T_X.weight' of the state dict does not fit"),
        (lambda w: w.update({"refine.0.bias": torch.ones(5)}), {}, r"has shape \(48,\)"),
        (lambda w: w.clear(), {}, "the state dict is not a fusformer's"),
        (lambda w: None, {"scal": 4}, "did you mean 'scale'"),
        (lambda w: None, {"module": "Atention"}, "did you mean 'Attention'"),
        (lambda w: None, {"module": "Attention"}, "needs the hyper-parameter 'dim'"),
    ],
)
def test_what_does_not_fit_is_named(change, config: dict, message: str) -> None:
    weights = public_weights(create_model("fusformer"))
    change(weights)
    with pytest.raises(InputError, match=message):
        from_reference("fusformer", weights, **config)


@pytest.mark.parametrize("option", ["features", "heads", "head_features", "hidden", "patch"])
def test_values_out_of_range(option: str) -> None:
    with pytest.raises(InputError, match=f"{option}=0"):
        create_model("fusformer", **{option: 0})
