"""Attention against a version that lays out every patch and every window, and the memory that it must not take."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from finewave.nn.kernels import window_attention_ops as ops
from finewave.nn.kernels import window_attention_reference as in_torch
from finewave.nn.kernels.window_attention import HeadAttention, MultiHeadAttention, attend
from tests.plain.post_processing import laid_out, plain_head, plain_heads


@pytest.fixture
def in_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Numba, as on other devices than the CPU."""
    monkeypatch.setattr(ops, "compiled", lambda: None)


@pytest.fixture(params=["compiled", "pytorch"])
def either_way(request: pytest.FixtureRequest) -> None:
    if request.param == "pytorch":
        request.getfixturevalue("in_pytorch")
    else:
        assert ops.compiled() is not None


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


odd = st.sampled_from([1, 3, 5, 7, 11])


@example(patch=11, window=11, top_percent=10, channels=3, size=(9, 7))  # as published
@example(patch=5, window=7, top_percent=25, channels=102, size=(13, 12))
@example(patch=5, window=7, top_percent=25, channels=1, size=(1, 1))
@example(patch=3, window=5, top_percent=0.1, channels=2, size=(6, 7))  # one position
@example(patch=3, window=5, top_percent=100, channels=2, size=(6, 7))  # all of them
@given(
    patch=odd,
    window=odd,
    top_percent=st.floats(0.1, 100),
    channels=st.integers(1, 6),
    size=st.tuples(st.integers(1, 13), st.integers(1, 13)),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture holds for all
@pytest.mark.usefixtures("either_way")
def test_head_is_the_plain_one(
    patch: int, window: int, top_percent: float, channels: int, size: tuple[int, int]
) -> None:
    """Images smaller than window and patch included: most of the window is then outside."""
    torch.manual_seed(0)
    head = head_of(channels, patch=patch, window=window, top_percent=top_percent)
    assert head.k == max(1, int(window**2 * top_percent / 100))
    assert_like_plain(head, torch.randn(2, channels, *size, dtype=torch.float64))


@pytest.mark.usefixtures("either_way")
def test_head_in_single_precision() -> None:
    """The tolerance that was asked for, in the precision that is used; rounding may not decide a rank here."""
    head, x = head_of(4, patch=5, window=11).float(), torch.rand(1, 4, 16, 70)
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


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("heads", [1, 2, 3, 4])
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
    options = {"embedding": embedding, "patch": 3, "window": window, "top_percent": 1}
    net = MultiHeadAttention(channels, heads=2, mlp_hidden=hidden, **options)
    k = net.heads[0].k
    assert k == 4
    x = torch.rand(1, channels, size, size, requires_grad=True)
    kept: dict[int, int] = {}  # bytes by address, of what waits for the backward pass

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = net(x)
    output.sum().backward()
    assert x.grad is not None
    weights = sum(parameter.nbytes for parameter in net.parameters())
    # the image; of each head its embedding, phi, theta, values, sum, weights, and positions of 2 bytes
    of_a_head = 3 * embedding + 2 * channels + k + k / 2
    assert sum(kept.values()) <= 4 * size**2 * (channels + 2 * of_a_head) + weights

    # what is made for the while of one operator, by the PyTorch form
    monkeypatch.setitem(in_torch.CHUNK_PIXELS, "cpu", size)  # a row
    monkeypatch.setitem(in_torch.CHUNK_VALUES, "cpu", 256)
    phi, theta = torch.rand(2, 1, size, size, embedding)
    value = torch.rand(1, size, size, channels)
    last = torch.rand(1, hidden)
    with Allocations() as allocations:
        _, *chosen = in_torch.attention(phi, theta, value, window, k, True)
        in_torch.attention_backward(value, phi, theta, value, *chosen, window)
        in_torch.combination_backward(value, [value, value], torch.rand(hidden, 2), torch.rand(hidden), last)
    # the image and the pixel that stands for outside, or a row's scores, or their order (8 bytes each)
    bound = max(4 * (size**2 + 1) * channels, 8 * size * window**2)
    assert allocations.largest <= bound
    assert bound < 4 * size**2 * window**2 / 10


def test_allocations_notice_a_window_that_is_laid_out() -> None:
    """The measure above would see what the plain version does."""
    head, x = HeadAttention(8, patch=3, window=21, top_percent=1), torch.rand(1, 8, 32, 32)
    with Allocations() as allocations:
        plain_head(head, x)
    assert allocations.largest >= 4 * 32**2 * 8 * 21**2


# --- The compiled form --------------------------------------------------------------------------------------------


def maps(*shape: int, dtype: torch.dtype = torch.float64, embedding: int = 3) -> list[Tensor]:
    """Return phi, theta and values, channels last."""
    *size, channels = shape
    phi, theta = torch.randn(2, *size, embedding, dtype=dtype)
    return [phi, theta, torch.randn(*size, channels, dtype=dtype)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("window", [1, 3, 5, 13])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99, 1])
def test_the_same_are_chosen_for_every_k(dtype: torch.dtype, window: int, share: float) -> None:
    """From one to all, on both sides of the pixels that are ranked together and of the words of bits."""
    k = max(1, round(share * window**2))
    for size in ((1, 1), (3, 33), (19, 64)):
        images = maps(2, *size, 4, dtype=dtype)
        summed, chosen, weights = ops.compiled().attention(*images, window, k, True)
        expected, expected_chosen, expected_weights = in_torch.attention(*images, window, k, True)
        assert chosen.dtype == expected_chosen.dtype
        # positions outside tie, and which of them are listed is free: the weights tell scores, the sums values
        tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-12}
        torch.testing.assert_close(weights.sort(-1).values, expected_weights.sort(-1).values, **tolerance)
        torch.testing.assert_close(summed, expected, **tolerance)
        assert (chosen.sort(-1).values.diff(dim=-1) > 0).all()  # none twice
        assert int(chosen.min()) >= 0
        assert int(chosen.max()) < window**2


@pytest.mark.usefixtures("either_way")
def test_more_window_positions_than_a_short_integer_counts() -> None:
    phi, theta, value = maps(1, 2, 2, 1)
    summed, chosen, _ = ops.attention(phi, theta, value, 183, 183**2, True)
    assert chosen.dtype == torch.int32
    e = torch.einsum("ie,je->ij", phi.view(4, 3), theta.view(4, 3)).exp()
    expected = (e @ value.view(4, 1)) / (e.sum(1, keepdim=True) + 183**2 - 4)
    torch.testing.assert_close(summed.view(4, 1), expected)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("k", [1, 4, 9, 20, 25])
def test_ties_give_a_legal_choice(k: int) -> None:
    """Scores that take three values only: the kept ones are the best k, and none is kept twice."""
    phi = torch.ones(1, 9, 40, 1)
    theta = torch.randint(-1, 2, (1, 9, 40, 1)).float()
    value = torch.rand(1, 9, 40, 2)
    summed, chosen, weights = ops.attention(phi, theta, value, 5, k, True)
    scores = laid_out(theta.permute(0, 3, 1, 2), 5)[0, 0].T  # (H W, window^2)
    kept = scores.gather(1, chosen.view(-1, k).long())
    assert torch.equal(kept.sort(descending=True).values, scores.topk(k).values)
    assert (chosen.sort(-1).values.diff(dim=-1) > 0).all()
    torch.testing.assert_close(weights.view(-1, k), kept.softmax(1))
    values = laid_out(value.permute(0, 3, 1, 2), 5)[0].permute(2, 1, 0)  # (H W, window^2, C)
    picked = values.gather(1, chosen.view(-1, k, 1).expand(-1, -1, 2).long())
    torch.testing.assert_close(summed.view(-1, 2), (picked * kept.softmax(1).unsqueeze(-1)).sum(1))


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("broken", [math.nan, -math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_end_where_the_plain_form_has_them(broken: float) -> None:
    net, x = heads_of(), torch.rand(1, 3, 14, 40, dtype=torch.float64)
    x[0, 1, 6, 7] = broken
    x.requires_grad_()
    result = net(x)
    expected = plain_heads(net, x)
    assert torch.equal(result.isfinite(), expected.isfinite())
    assert not result.isfinite().all()
    assert result.isfinite().any()
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-11, equal_nan=True)
    result.sum().backward()
    assert x.grad is not None
    assert not x.grad.isfinite().all()


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_the_number_of_threads_changes_no_digit() -> None:
    images = maps(2, 83, 37, 6, dtype=torch.float32)
    heads, last = [torch.rand(2, 83, 37, 60)] * 3, torch.rand(1, 8)  # more values than a task has
    outputs = []
    for count in (3, 3, 1):
        torch.set_num_threads(count)
        summed, *chosen = ops.attention(*images, 5, 6, True)
        gradients = ops.compiled().attention_backward(images[2], *images, *chosen, 5)
        weights = (torch.eye(8, 3), torch.ones(8) / 3, last)
        combined = ops.combination(heads, *weights, torch.ones(1))
        of_heads, *of_weights = ops.compiled().combination_backward(heads[0], heads, *weights)
        outputs.append((summed, *chosen, *gradients, combined, *of_heads, *of_weights))
    for first, second, alone in zip(*outputs, strict=True):
        assert torch.equal(first, second)
        assert torch.equal(first, alone)


@pytest.mark.usefixtures("three_threads")
def test_threads_of_the_caller_do_not_disturb_each_other() -> None:
    net, images = heads_of().float(), [torch.rand(1, 3, 50, 33 + i) for i in range(12)]
    expected = [net(x).detach() for x in images]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda x: net(x).detach(), images * 3))
    for result, one in zip(results, expected * 3, strict=True):
        torch.testing.assert_close(result, one, rtol=1e-5, atol=1e-5)


def test_operators_are_what_pytorch_expects_of_them() -> None:
    """Shapes without values, gradients, and no result that shares memory with an argument."""
    images = [image.requires_grad_() for image in maps(1, 6, 5, 2)]
    torch.library.opcheck(ops.attention, (*images, 3, 4, True))
    heads = [torch.rand(1, 4, 3, 2, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    weights = [torch.rand(n, dtype=torch.float64, requires_grad=True) for n in ((8, 3), (8,), (1, 8), (1,))]
    torch.library.opcheck(ops.combination, (heads, *weights))


@pytest.mark.usefixtures("either_way")
def test_gradients_are_the_differences() -> None:
    phi, theta, value = (image.requires_grad_() for image in maps(1, 4, 5, 2))
    assert torch.autograd.gradcheck(lambda *images: ops.attention(*images, 3, 4, True)[0], (phi, theta, value))


def test_heads_can_be_exported_and_traced() -> None:
    net, x = heads_of().float().eval(), torch.rand(1, 3, 12, 9)
    with torch.no_grad():
        exported = torch.export.export(net, (x,))
        torch.testing.assert_close(exported.module()(x), net(x))
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    x.requires_grad_()
    for one in (net, compiled):
        one(x).square().sum().backward()
    ours, x.grad = x.grad, None
    net(x).square().sum().backward()
    torch.testing.assert_close(ours, 2 * x.grad, rtol=1e-4, atol=1e-5)


IN_A_NEW_PROCESS = """
import torch
from finewave.nn.kernels import window_attention_ops as ops
heads = torch.arange(6.0).view(2, 3).unbind(0)
print(ops.combination(heads, torch.eye(2), torch.ones(2), torch.ones(1, 2), torch.ones(1)).tolist())
print(ops.compiled() is not None)
"""
ITS_OUTPUT = "[6.0, 8.0, 10.0]\n{}\n"


def in_a_new_process(**environment: str) -> str:
    return run_in_a_new_process(**environment).stdout


def run_in_a_new_process(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IN_A_NEW_PROCESS]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_no_place_for_machine_code_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert in_a_new_process(NUMBA_CACHE_DIR=str(file / "below")) == ITS_OUTPUT.format(True)
    cache = tmp_path / "cache"
    for _ in range(2):  # written, and read
        assert in_a_new_process(NUMBA_CACHE_DIR=str(cache)) == ITS_OUTPUT.format(True)
        assert list(cache.rglob("*.nbc"))


def test_a_cache_that_fails_later_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full only when the machine code is there to be written."""
    from numba.core.caching import IndexDataCacheFile

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "save", full)

    @ops.compiled()._compiled
    def double(values):
        for i in range(len(values)):
            values[i] *= 2

    values = np.arange(3.0)
    double(values)
    assert values.tolist() == [0, 2, 4]


def test_without_numba_everything_runs(tmp_path: Path) -> None:
    """And says once that it would be quicker with it."""
    (tmp_path / "numba.py").write_text("raise ImportError('not for this machine')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = run_in_a_new_process(PYTHONPATH=path)
    assert done.stdout == ITS_OUTPUT.format(False)
    assert done.stderr.count("pip install -e '.[fast]'") == 1


def test_a_forked_process_has_its_own_threads() -> None:
    """As workers that load data have."""
    images = maps(1, 60, 9, 2)
    expected, _, _ = ops.attention(*images, 3, 2, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, about forks beside threads
        child = os.fork()
    if child == 0:
        torch.set_num_threads(2)
        summed, _, _ = ops.attention(*images, 3, 2, False)
        os._exit(0 if torch.equal(summed, expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
