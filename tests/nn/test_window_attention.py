"""Attention against a version that lays out every patch and every window, and the memory that it must not take."""

from __future__ import annotations

import pytest
import torch
from tests.plain.post_processing import plain_head
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from finewave.nn import window_attention_ops
from finewave.nn import window_attention_plain as in_torch
from finewave.nn.window_attention import HeadAttention, MultiHeadAttention, attend


@pytest.fixture
def in_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Numba, as on other devices than the CPU."""
    monkeypatch.setattr(window_attention_ops, "compiled", lambda: None)


@pytest.fixture(params=["compiled", "pytorch"])
def either_way(request: pytest.FixtureRequest) -> None:
    if request.param == "pytorch":
        request.getfixturevalue("in_pytorch")
    else:
        assert window_attention_ops.compiled() is not None


def head_of(channels: int, **options: float) -> HeadAttention:
    """Return a head whose scores differ enough for the softmax to matter."""
    head = HeadAttention(channels, **{"embedding": 4, **options}).double()
    with torch.no_grad():
        head.embed.weight.mul_(6)
    return head


def assert_like_plain(head: HeadAttention, x: Tensor) -> None:
    """Compare values, and gradients with respect to the image and every weight."""
    x = x.requires_grad_()
    variables = [x, *head.parameters()]
    g = torch.randn_like(x)
    got, expected = head(x), plain_head(head, x)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-11)
    for ours, theirs in zip(
        torch.autograd.grad((got * g).sum(), variables),
        torch.autograd.grad((expected * g).sum(), variables),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("patch", [1, 3, 5, 11])
@pytest.mark.parametrize("window", [3, 5, 11])
@pytest.mark.usefixtures("either_way")
def test_head_is_the_plain_one(patch: int, window: int) -> None:
    assert_like_plain(head_of(3, patch=patch, window=window), torch.rand(2, 3, 9, 7, dtype=torch.float64))


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (2, 3), (4, 13), (13, 12)])
@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.usefixtures("either_way")
def test_head_is_the_plain_one_for_every_size(size: tuple[int, int], channels: int) -> None:
    """Images smaller than window and patch included: most of the window is then outside."""
    x = torch.randn(2, channels, *size, dtype=torch.float64)
    assert_like_plain(head_of(channels, patch=5, window=7, top_percent=25), x)


@pytest.mark.parametrize("top_percent", [0.1, 4, 50, 100])
@pytest.mark.usefixtures("either_way")
def test_head_is_the_plain_one_for_every_share(top_percent: float) -> None:
    head = head_of(2, patch=3, window=5, top_percent=top_percent)
    assert head.k == max(1, int(25 * top_percent / 100))
    assert_like_plain(head, torch.randn(1, 2, 6, 7, dtype=torch.float64))


@pytest.mark.usefixtures("either_way")
def test_head_in_single_precision() -> None:
    """The tolerance that was asked for, in the precision that is used; rounding may not decide a rank here."""
    head, x = head_of(4, patch=5, window=11).float(), torch.rand(1, 4, 16, 14)
    torch.testing.assert_close(head(x), plain_head(head, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.4])
@pytest.mark.parametrize("size", [(9, 8), (3, 4)])
@pytest.mark.usefixtures("either_way")
def test_head_is_the_plain_one_where_scores_tie(value: float, size: tuple[int, int]) -> None:
    head, x = head_of(3, patch=3, window=5), torch.full((1, 3, *size), value, dtype=torch.float64)
    result = head(x)
    torch.testing.assert_close(result, plain_head(head, x), rtol=1e-10, atol=1e-12)
    assert result.any() == bool(value)


def test_defaults_are_those_of_the_publication() -> None:
    head = HeadAttention(6)
    assert (head.window, head.k) == (11, 12)
    assert tuple(head.embed.weight.shape) == (8, 6, 11, 11)
    assert all(layer.bias is None for layer in (head.embed, head.phi, head.theta, head.value))


def test_weights_of_what_is_kept_sum_to_one() -> None:
    """Where no part of the window is outside, a constant image is only multiplied by the value's weights."""
    head, x = head_of(3, patch=3, window=5), torch.full((1, 3, 12, 12), 0.5, dtype=torch.float64)
    inside = head(x)[..., 3:-3, 3:-3]
    torch.testing.assert_close(inside, head.value(x)[..., 3:-3, 3:-3], rtol=1e-12, atol=0)


@pytest.mark.usefixtures("either_way")
def test_a_window_of_one_pixel_returns_the_values() -> None:
    head, x = head_of(3, patch=3, window=1), torch.rand(2, 3, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(head(x), head.value(x), rtol=1e-12, atol=0)


@pytest.mark.usefixtures("either_way")
def test_positions_outside_take_part_with_score_and_value_zero() -> None:
    """One row of three pixels, by hand: 6 of 9 positions of the middle pixel's window are outside."""
    phi = torch.ones(1, 1, 1, 3, dtype=torch.float64)
    theta = torch.tensor([[[[2.0, -1.0, -3.0]]]], dtype=torch.float64)
    value = torch.tensor([[[[10.0, 20.0, 30.0]]]], dtype=torch.float64)
    e2, e1, e3 = (torch.tensor(t, dtype=torch.float64).exp() for t in (2.0, -1.0, -3.0))
    two = attend(phi, theta, value, window=3, k=2)[0, 0, 0]  # the best of the first two windows, and an outside one
    torch.testing.assert_close(two, torch.stack([10 * e2 / (e2 + 1), 10 * e2 / (e2 + 1), 0 * e2]))
    all_of_them = attend(phi, theta, value, window=3, k=9)[0, 0, 0]
    total = torch.stack([e2 + e1 + 7, e2 + e1 + e3 + 6, e1 + e3 + 7])
    sums = torch.stack([10 * e2 + 20 * e1, 10 * e2 + 20 * e1 + 30 * e3, 20 * e1 + 30 * e3])
    torch.testing.assert_close(all_of_them, sums / total)


def test_a_pixel_depends_on_its_window_and_patches_only() -> None:
    head = head_of(2, patch=3, window=5, top_percent=100)
    x = torch.rand(1, 2, 15, 15, dtype=torch.float64, requires_grad=True)
    head(x)[0, :, 7, 7].sum().backward()
    rows, columns = x.grad[0].abs().sum(0).nonzero().T
    # (W + P - 1) / 2 to each side
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 10, 4, 10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.usefixtures("either_way")
def test_ranking_and_softmax_of_halves_are_in_single_precision(dtype: torch.dtype) -> None:
    phi, theta = torch.randn(2, 1, 4, 8, 9).to(dtype)
    value = torch.rand(1, 3, 8, 9).to(dtype)
    result = attend(phi, theta, value, 5, 6)
    assert result.dtype == dtype
    assert torch.equal(result, attend(phi.float(), theta.float(), value.float(), 5, 6).to(dtype))


@pytest.mark.parametrize("chunk_pixels", [1, 20, 10**9])
@pytest.mark.usefixtures("in_pytorch")
def test_rows_held_at_a_time_do_not_matter(chunk_pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(in_torch.CHUNK_PIXELS, "cpu", chunk_pixels)
    assert_like_plain(head_of(3, patch=3, window=5), torch.rand(2, 3, 11, 7, dtype=torch.float64))


@pytest.mark.usefixtures("in_pytorch")
def test_a_selection_without_numpy_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on other devices than the CPU."""
    head, x = head_of(3, patch=3, window=5), torch.rand(2, 3, 8, 7, dtype=torch.float64)
    expected = head(x)
    calls = []

    def topk(scores: Tensor, k: int) -> Tensor:
        calls.append(k)
        return scores.topk(k, sorted=False).indices

    monkeypatch.setattr(in_torch, "_largest", topk)
    torch.testing.assert_close(head(x), expected, rtol=1e-13, atol=1e-14)
    assert calls


def heads_of(**options: float) -> MultiHeadAttention:
    return MultiHeadAttention(3, **{"heads": 3, "mlp_hidden": 16, "patch": 3, "window": 5, **options}).double()


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("chunk_values", [1, 7, 4096])
def test_heads_are_combined_by_an_mlp_per_value(heads: int, chunk_values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(in_torch.CHUNK_VALUES, "cpu", chunk_values)
    net = heads_of(heads=heads)
    x = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    g = torch.randn_like(x)
    first, last = net.mlp[0], net.mlp[2]
    outputs = torch.stack([plain_head(head, x) for head in net.heads])
    hidden = torch.einsum("nh,hbcij->nbcij", first.weight, outputs) + first.bias.view(-1, 1, 1, 1, 1)
    expected = torch.einsum("n,nbcij->bcij", last.weight[0], hidden.clamp(min=0)) + last.bias
    got = net(x)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    variables = [x, *net.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad((got * g).sum(), variables),
        torch.autograd.grad((expected * g).sum(), variables),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
    with torch.no_grad():  # without the recomputation that saves memory in training
        torch.testing.assert_close(net(x), expected, rtol=1e-10, atol=1e-12)


class Allocations(TorchDispatchMode):
    """Bytes of the largest tensor that any operation makes, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.largest = max(self.largest, leaf.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("size", [32, 64])
def test_memory_does_not_grow_with_the_window(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing as large as H W window^2 is made, let alone H W C window^2; what is kept is H W (C + k) large."""
    channels, window, embedding, hidden = 8, 21, 4, 16
    monkeypatch.setitem(in_torch.CHUNK_PIXELS, "cpu", size)  # a row
    monkeypatch.setitem(in_torch.CHUNK_VALUES, "cpu", 256)
    options = {"embedding": embedding, "patch": 3, "window": window, "top_percent": 1}
    net = MultiHeadAttention(channels, heads=2, mlp_hidden=hidden, **options)
    k = net.heads[0].k
    assert k == 4
    x = torch.rand(1, channels, size, size, requires_grad=True)
    kept: dict[int, int] = {}  # bytes by address, of what waits for the backward pass

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with Allocations() as allocations:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = net(x)
        output.sum().backward()
    padded = (size + window - 1) ** 2
    # padded values, the embeddings of the chosen, their indices (8 bytes each), all heads' values stacked, or
    # the order (8 bytes each) of one row's scores
    bound = 4 * max(padded * channels, size**2 * k * max(embedding, 2), 2 * size**2 * channels, 2 * size * window**2)
    assert allocations.largest <= bound
    assert bound < 4 * size**2 * window**2 / 10
    # of each head: its input and embedding, phi, theta and values, padded or not, chosen, weights and their embeddings
    of_a_head = padded * (channels + embedding) + size**2 * (2 * channels + 3 * embedding + k * (embedding + 4))
    assert sum(kept.values()) <= 4 * (2 * of_a_head + 3 * size**2 * channels)
    assert x.grad is not None


def test_allocations_notice_a_window_that_is_laid_out() -> None:
    """The measure above would see what the plain version does."""
    head, x = HeadAttention(8, patch=3, window=21, top_percent=1), torch.rand(1, 8, 32, 32)
    with Allocations() as allocations:
        plain_head(head, x)
    assert allocations.largest >= 4 * 32**2 * 8 * 21**2
