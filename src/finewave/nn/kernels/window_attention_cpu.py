"""Window attention for CPUs, compiled by Numba.

Same arguments and results as in `window_attention_reference`. Imported on first use: compilation takes seconds, once
per machine (Numba caches the machine code where it can write). The kernels release the GIL, so plain threads, as many
as PyTorch uses, process the rows; Numba's threading layers are not used. The split into tasks, and so the results, do
not depend on the number of threads.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from finewave.nn.kernels.window_attention_reference import position_type

# Pixels of a row processed at a time: their scores stay in the first-level cache, and loops over them are vectorised.
TILE = 32
# Rows of a task; in the backward pass at least twice the window's radius.
FORWARD_ROWS, BACKWARD_ROWS = 16, 8
# Values of a task and of an inner loop of the combining MLP. Its compiled form has three heads.
TASK_VALUES, BLOCK, HEADS = 65_536, 256, 3

# Sums may be reordered and fused, but NaN and infinity keep their meaning.
_REORDER = {"contract", "reassoc", "nsz"}


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile on the first call, caching the machine code on disk where possible."""
    options: dict[str, Any] = {"nogil": True, "fastmath": _REORDER, "error_model": "numpy"}
    try:
        kernel = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no writable cache folder
        return numba.njit(**options)(function)
    without = numba.njit(**options)(function)

    def call(*arguments: Any) -> None:
        try:
            kernel(*arguments)
        except OSError:  # the folder turned out not to be usable: a full or read-only disk
            without(*arguments)

    return call


def _count_trailing_zeros(typing_context: Any, word: Any) -> Any:
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.false_bit)

    return word(word), generate


_lowest_bit: Any = intrinsic(_count_trailing_zeros)  # index of the lowest set bit, one instruction


# --- Threads ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _pool(workers: int, process: int) -> ThreadPoolExecutor:  # one per process: threads do not survive a fork
    return ThreadPoolExecutor(workers, thread_name_prefix="finewave")


def _run(kernel: Callable[..., None], tasks: Iterable[tuple[Any, ...]]) -> None:
    """Call ``kernel`` with each of the tasks, on as many threads as PyTorch uses, including this one."""
    waiting = list(tasks)
    threads = min(torch.get_num_threads(), len(waiting))
    if threads <= 1:
        for task in waiting:
            kernel(*task)
        return
    lock, remaining = threading.Lock(), iter(waiting)

    def work() -> None:
        while True:
            with lock:
                task = next(remaining, None)
            if task is None:
                return
            kernel(*task)

    pool = _pool(torch.get_num_threads() - 1, os.getpid())
    helpers = [pool.submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for helper in helpers:
            if not helper.cancel():  # helpers that have not started are not needed
                helper.result()


def _bands(images: int, height: int, rows: int) -> Iterator[tuple[int, int, int]]:
    for image in range(images):
        for top in range(0, height, rows):
            yield image, top, min(height, top + rows)


# --- Attention ----------------------------------------------------------------------------------------------------


def attention(
    phi: Tensor, theta: Tensor, value: Tensor, window: int, k: int, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As `window_attention_reference.attention`."""
    B, H, W, C = value.shape
    positions = window * window
    summed = torch.empty_like(value)
    kept = (B, H, W, k) if keep else (0, 0, 0, 0)
    indices = torch.empty(kept, dtype=position_type(window))
    weights = torch.empty(kept, dtype=value.dtype)
    arrays = [t.detach().numpy() for t in (phi, theta, value.view(-1, C), summed, indices, weights)]

    def rows(image: int, top: int, bottom: int) -> None:
        scores = np.zeros((positions, TILE), arrays[0].dtype)
        integer = np.int32 if scores.itemsize == 4 else np.int64
        # a multiple of eight, padded with values below any score
        keys = np.full((-(-positions // 8) * 8, TILE), np.iinfo(integer).min, integer)
        _attend_rows(*arrays, scores, scores.view(integer), keys, window, k, image, top, bottom)

    _run(rows, _bands(B, H, FORWARD_ROWS))
    return summed, indices, weights


@numba.njit
def _steps(window):
    """Return row and column offsets of each position of the window, tabulated because division is slow."""
    y, x = np.empty(window * window, np.intp), np.empty(window * window, np.intp)
    for i in range(window * window):
        y[i], x[i] = i // window - window // 2, i % window - window // 2
    return y, x


@_compiled
def _attend_rows(phi, theta, value, summed, indices, weights, scores, bits, keys, window, k, image, top, bottom):
    H, W, E = phi.shape[1:]
    C = value.shape[1]
    r = window // 2
    positions = window * window
    sign = 8 * keys.itemsize - 1
    lowest = keys[0, 0]
    largest = -(lowest + 1)
    padded_e = (E + 3) // 4 * 4
    around = np.zeros((window, padded_e, TILE + window), scores.dtype)  # theta: row y in slot y modulo window
    centre = np.zeros((padded_e, TILE), scores.dtype)
    groups = np.empty((k, TILE), keys.dtype)
    low, high, middle = np.empty(TILE, keys.dtype), np.empty(TILE, keys.dtype), np.empty(TILE, keys.dtype)
    count = np.empty(TILE, np.int32)
    zero = np.zeros(1, scores.dtype)[0]
    masks = np.empty(((len(keys) + 31) // 32, TILE), np.uint32)
    picked = np.empty(len(keys), np.intp)
    weight = np.empty(k, scores.dtype)
    inside_at, inside_weight = np.empty(k, np.intp), np.empty(k, scores.dtype)
    step_y, step_x = _steps(window)
    for left in range(0, W, TILE):
        width = min(TILE, W - left)
        first = max(0, r - left)  # first of the columns around the tile that lies inside the image
        last = min(width + 2 * r, W - left + r)
        for y in range(top - r, bottom + r):
            # theta of the next row that is needed; zero outside
            slot = (y + window) % window
            for e in range(E):
                for x in range(TILE + window):
                    around[slot, e, x] = 0
            if 0 <= y < H:
                for x in range(first, last):
                    for e in range(E):
                        around[slot, e, x] = theta[image, y, left - r + x, e]
            row = y - r  # the window of this row is complete
            if row < top:
                continue
            for x in range(width):
                for e in range(E):
                    centre[e, x] = phi[image, row, left + x, e]

            for dy in range(window):
                slot = (row + dy - r + window) % window
                for dx in range(window):
                    s = scores[dy * window + dx]
                    for e in range(0, padded_e, 4):
                        p0, p1, p2, p3 = centre[e], centre[e + 1], centre[e + 2], centre[e + 3]
                        t0, t1 = around[slot, e, dx:], around[slot, e + 1, dx:]
                        t2, t3 = around[slot, e + 2, dx:], around[slot, e + 3, dx:]
                        for x in range(TILE):
                            before = s[x] if e > 0 else zero
                            s[x] = before + (p0[x] * t0[x] + p1[x] * t1[x] + p2[x] * t2[x] + p3[x] * t3[x])

            # Integers in the order of the scores, NaN above all as in torch.topk; the largest of k groups of
            # positions bound the k-th largest of all.
            for j in range(k):
                for x in range(TILE):
                    groups[j, x] = lowest
            for i in range(positions):
                g = groups[i % k]
                for x in range(TILE):
                    key = bits[i, x]
                    key = key ^ ((key >> sign) & largest)
                    key = key if scores[i, x] == scores[i, x] else largest
                    keys[i, x] = key
                    g[x] = max(g[x], key)
            for x in range(TILE):
                low[x] = groups[0, x]
                high[x] = groups[0, x]
            for j in range(1, k):
                for x in range(TILE):
                    low[x] = min(low[x], groups[j, x])
                    high[x] = max(high[x], groups[j, x])
            # Bisection, for all pixels at once, for a threshold that k scores reach; more than k if scores tie at it.
            while k < positions:
                unsettled = 0
                for x in range(TILE):
                    unsettled += low[x] != high[x]
                    middle[x] = (low[x] | high[x]) - ((low[x] ^ high[x]) >> 1)  # rounded up, without overflow
                    count[x] = 0
                if unsettled == 0:
                    break
                for i in range(0, len(keys), 8):
                    k0, k1, k2, k3 = keys[i], keys[i + 1], keys[i + 2], keys[i + 3]
                    k4, k5, k6, k7 = keys[i + 4], keys[i + 5], keys[i + 6], keys[i + 7]
                    for x in range(TILE):
                        t = middle[x]
                        count[x] += (
                            ((k0[x] >= t) + (k1[x] >= t) + (k2[x] >= t) + (k3[x] >= t))
                            + ((k4[x] >= t) + (k5[x] >= t) + (k6[x] >= t) + (k7[x] >= t))
                        )  # fmt: skip
                for x in range(TILE):
                    low[x] = middle[x] if count[x] >= k else low[x]
                    high[x] = high[x] if count[x] > k else (middle[x] if count[x] == k else middle[x] - 1)

            # A bit for each position that reaches the threshold.
            for j in range(len(masks)):
                for x in range(TILE):
                    masks[j, x] = 0
            for i in range(0, len(keys), 8):
                mask = masks[i >> 5]
                shift = np.uint32(i & 31)
                k0, k1, k2, k3 = keys[i], keys[i + 1], keys[i + 2], keys[i + 3]
                k4, k5, k6, k7 = keys[i + 4], keys[i + 5], keys[i + 6], keys[i + 7]
                for x in range(TILE):
                    t = low[x]
                    byte = (k0[x] >= t) * np.uint32(1) + (k1[x] >= t) * np.uint32(2)
                    byte += (k2[x] >= t) * np.uint32(4) + (k3[x] >= t) * np.uint32(8)
                    byte += (k4[x] >= t) * np.uint32(16) + (k5[x] >= t) * np.uint32(32)
                    byte += (k6[x] >= t) * np.uint32(64) + (k7[x] >= t) * np.uint32(128)
                    mask[x] |= np.uint32(np.uint32(byte) << shift)

            for x in range(width):
                n_found = 0
                for j in range(len(masks)):
                    word = masks[j, x]
                    while word:
                        picked[n_found] = 32 * j + _lowest_bit(word)
                        n_found += 1
                        word &= word - np.uint32(1)
                if n_found > k:  # of tied scores, the first
                    over, n_found = n_found - k, 0
                    equal = 0
                    for j in range(over + k):
                        equal += keys[picked[j], x] == low[x]
                    equal -= over
                    for j in range(over + k):
                        tied = keys[picked[j], x] == low[x]
                        if not tied or equal > 0:
                            picked[n_found] = picked[j]
                            n_found += 1
                            equal -= tied

                best = scores[picked[0], x]
                for j in range(1, k):
                    best = max(best, scores[picked[j], x])
                total = zero
                for j in range(k):
                    weight[j] = math.exp(scores[picked[j], x] - best)
                    total += weight[j]
                inside = 0
                for j in range(k):
                    weight[j] /= total
                    at_y = row + step_y[picked[j]]
                    at_x = left + x + step_x[picked[j]]
                    if 0 <= at_y < H and 0 <= at_x < W:
                        inside_at[inside] = (image * H + at_y) * W + at_x
                        inside_weight[inside] = weight[j]
                        inside += 1
                target = summed[image, row, left + x]
                for c in range(C):
                    target[c] = 0
                j = 0
                while j + 4 <= inside:
                    w0, w1, w2, w3 = inside_weight[j], inside_weight[j + 1], inside_weight[j + 2], inside_weight[j + 3]
                    v0, v1 = value[inside_at[j]], value[inside_at[j + 1]]
                    v2, v3 = value[inside_at[j + 2]], value[inside_at[j + 3]]
                    for c in range(C):
                        target[c] += w0 * v0[c] + w1 * v1[c] + w2 * v2[c] + w3 * v3[c]
                    j += 4
                while j < inside:
                    w0, v0 = inside_weight[j], value[inside_at[j]]
                    for c in range(C):
                        target[c] += w0 * v0[c]
                    j += 1
                if len(indices) > 0:
                    for j in range(k):
                        indices[image, row, left + x, j] = picked[j]
                        weights[image, row, left + x, j] = weight[j]


def attention_backward(
    gradient: Tensor, phi: Tensor, theta: Tensor, value: Tensor, indices: Tensor, weights: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    """As `window_attention_reference.attention_backward`."""
    B, H = value.shape[:2]
    gradients = [torch.empty_like(phi), torch.zeros_like(theta), torch.zeros_like(value)]
    arrays = [t.detach().numpy() for t in (gradient, phi, theta, value, indices, weights, *gradients)]
    bands = list(_bands(B, H, max(BACKWARD_ROWS, window - 1)))

    def rows(image: int, top: int, bottom: int) -> None:
        _attend_rows_backward(*arrays, window, image, top, bottom)

    # A band of rows also adds to rows above and below it, so only every other band runs at a time.
    height = bands[0][2] - bands[0][1] if bands else 1
    for parity in (0, 1):
        _run(rows, [band for band in bands if band[1] // height % 2 == parity])
    return gradients[0], gradients[1], gradients[2]


@_compiled
def _attend_rows_backward(
    gradient,
    phi,
    theta,
    value,
    indices,
    weights,
    phi_gradient,
    theta_gradient,
    value_gradient,
    window,
    image,
    top,
    bottom,
):
    H, W, C = value.shape[1:]
    E, k = phi.shape[3], indices.shape[3]
    weight_gradient = np.empty(k, value.dtype)
    inside_y, inside_x, inside_j = np.empty(k, np.intp), np.empty(k, np.intp), np.empty(k, np.intp)
    step_y, step_x = _steps(window)
    zero = np.zeros(1, value.dtype)[0]
    for y in range(top, bottom):
        for x in range(W):
            g, w = gradient[image, y, x], weights[image, y, x]
            inside = 0
            mean = zero  # of the gradients with respect to the weights, which are zero for positions outside
            for j in range(k):
                position = indices[image, y, x, j]
                at_y, at_x = y + step_y[position], x + step_x[position]
                if 0 <= at_y < H and 0 <= at_x < W:
                    share, product = w[j], zero
                    v, v_gradient = value[image, at_y, at_x], value_gradient[image, at_y, at_x]
                    for c in range(C):
                        product += g[c] * v[c]
                        v_gradient[c] += share * g[c]
                    mean += share * product
                    weight_gradient[inside] = product
                    inside_y[inside], inside_x[inside], inside_j[inside] = at_y, at_x, j
                    inside += 1
            centre, centre_gradient = phi[image, y, x], phi_gradient[image, y, x]
            for e in range(E):
                centre_gradient[e] = 0
            for i in range(inside):
                score_gradient = w[inside_j[i]] * (weight_gradient[i] - mean)
                t, t_gradient = theta[image, inside_y[i], inside_x[i]], theta_gradient[image, inside_y[i], inside_x[i]]
                for e in range(E):
                    centre_gradient[e] += score_gradient * t[e]
                    t_gradient[e] += score_gradient * centre[e]


# --- The MLP over the heads ---------------------------------------------------------------------------------------


def combination(heads: Sequence[Tensor], weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """As `window_attention_reference.combination`, for three heads at most."""
    combined = torch.empty_like(heads[0])
    planes, matrix = _planes(heads), _matrix(weight1, bias1, weight2)
    result, offset = combined.view(-1).numpy(), bias2.item()

    def part(start: int, stop: int) -> None:
        _combine(*planes, matrix, np.asarray(offset, matrix.dtype)[()], result, len(heads), start, stop)

    _run(part, _parts(result.size))
    return combined


def combination_backward(
    gradient: Tensor, heads: Sequence[Tensor], weight1: Tensor, bias1: Tensor, weight2: Tensor
) -> tuple[list[Tensor], Tensor, Tensor, Tensor, Tensor]:
    """As `window_attention_reference.combination_backward`, for three heads at most."""
    planes, matrix = _planes(heads), _matrix(weight1, bias1, weight2)
    gradients = [torch.empty_like(head) for head in heads]
    outputs, g = _planes(gradients), gradient.view(-1).detach().numpy()
    parts = list(_parts(g.size))
    # per hidden unit, over the values where it is active: the sum of g, and of g times each head
    sums = np.zeros((len(parts), len(matrix), 1 + HEADS))

    def part(start: int, stop: int) -> None:
        _combine_backward(g, *planes, matrix, *outputs, sums[start // TASK_VALUES], len(heads), start, stop)

    _run(part, parts)
    hidden, dtype = len(bias1), gradient.dtype
    total = torch.from_numpy(sums.sum(0)[:hidden])
    of_bias, of_weight = total[:, 0], total[:, 1 : 1 + len(heads)]
    last = weight2.view(-1).double()
    return (
        gradients,
        (last.unsqueeze(1) * of_weight).to(dtype),
        (last * of_bias).to(dtype),
        ((weight1.double() * of_weight).sum(1) + bias1.double() * of_bias).view(1, -1).to(dtype),
        gradient.sum(dtype=torch.float64).view(1).to(dtype),
    )


def _planes(heads: Sequence[Tensor]) -> list[np.ndarray]:
    flat = [head.detach().view(-1).numpy() for head in heads]
    return [flat[min(i, len(flat) - 1)] for i in range(HEADS)]


def _matrix(weight1: Tensor, bias1: Tensor, weight2: Tensor) -> np.ndarray:
    """Return (hidden, 5), a multiple of four hidden units: weights of three heads, bias, weight of the output."""
    hidden, heads = weight1.shape
    matrix = weight1.new_zeros(-(-hidden // 4) * 4, HEADS + 2)
    matrix[:hidden, :heads], matrix[:hidden, HEADS], matrix[:hidden, HEADS + 1] = weight1, bias1, weight2[0]
    return matrix.numpy()


def _parts(values: int) -> Iterator[tuple[int, int]]:
    return ((start, min(values, start + TASK_VALUES)) for start in range(0, values, TASK_VALUES))


@_compiled
def _combine(a, b, c, matrix, offset, result, heads, start, stop):
    x0, x1, x2 = np.zeros(BLOCK, a.dtype), np.zeros(BLOCK, a.dtype), np.zeros(BLOCK, a.dtype)
    total = np.empty(BLOCK, a.dtype)
    zero = np.zeros(1, a.dtype)[0]
    for block in range(start, stop, BLOCK):
        n = min(BLOCK, stop - block)
        for i in range(n):
            x0[i] = a[block + i]
            if heads > 1:
                x1[i] = b[block + i]
            if heads > 2:
                x2[i] = c[block + i]
        for i in range(BLOCK):
            total[i] = offset
        for h in range(0, len(matrix), 4):
            p, q, u, v = matrix[h], matrix[h + 1], matrix[h + 2], matrix[h + 3]
            p0, p1, p2, p3, p4 = p[0], p[1], p[2], p[3], p[4]
            q0, q1, q2, q3, q4 = q[0], q[1], q[2], q[3], q[4]
            u0, u1, u2, u3, u4 = u[0], u[1], u[2], u[3], u[4]
            v0, v1, v2, v3, v4 = v[0], v[1], v[2], v[3], v[4]
            for i in range(BLOCK):
                hidden0 = p0 * x0[i] + p1 * x1[i] + p2 * x2[i] + p3
                hidden1 = q0 * x0[i] + q1 * x1[i] + q2 * x2[i] + q3
                hidden2 = u0 * x0[i] + u1 * x1[i] + u2 * x2[i] + u3
                hidden3 = v0 * x0[i] + v1 * x1[i] + v2 * x2[i] + v3
                # NaN propagates, as in torch.relu
                hidden0 = zero if hidden0 < 0 else hidden0
                hidden1 = zero if hidden1 < 0 else hidden1
                hidden2 = zero if hidden2 < 0 else hidden2
                hidden3 = zero if hidden3 < 0 else hidden3
                total[i] += p4 * hidden0 + q4 * hidden1 + u4 * hidden2 + v4 * hidden3
        for i in range(n):
            result[block + i] = total[i]


@_compiled
def _combine_backward(gradient, a, b, c, matrix, a_gradient, b_gradient, c_gradient, sums, heads, start, stop):
    x0, x1, x2 = np.zeros(BLOCK, a.dtype), np.zeros(BLOCK, a.dtype), np.zeros(BLOCK, a.dtype)
    d0, d1, d2 = np.empty(BLOCK, a.dtype), np.empty(BLOCK, a.dtype), np.empty(BLOCK, a.dtype)
    g = np.empty(BLOCK, a.dtype)
    zero = np.zeros(1, a.dtype)[0]
    for block in range(start, stop, BLOCK):
        n = min(BLOCK, stop - block)
        for i in range(n):
            g[i] = gradient[block + i]
            x0[i] = a[block + i]
            if heads > 1:
                x1[i] = b[block + i]
            if heads > 2:
                x2[i] = c[block + i]
        for i in range(n, BLOCK):
            g[i] = x0[i] = x1[i] = x2[i] = 0
        for i in range(BLOCK):
            d0[i] = d1[i] = d2[i] = 0
        for h in range(len(matrix)):
            p0, p1, p2, p3, p4 = matrix[h, 0], matrix[h, 1], matrix[h, 2], matrix[h, 3], matrix[h, 4]
            back0, back1, back2 = p4 * p0, p4 * p1, p4 * p2
            s, s0, s1, s2 = zero, zero, zero, zero
            for i in range(BLOCK):
                hidden = p0 * x0[i] + p1 * x1[i] + p2 * x2[i] + p3
                passed = zero if hidden <= 0 else g[i]
                s += passed
                s0 += passed * x0[i]
                s1 += passed * x1[i]
                s2 += passed * x2[i]
                d0[i] += back0 * passed
                d1[i] += back1 * passed
                d2[i] += back2 * passed
            sums[h, 0] += s
            sums[h, 1] += s0
            sums[h, 2] += s1
            sums[h, 3] += s2
        for i in range(n):
            a_gradient[block + i] = d0[i]
            if heads > 1:
                b_gradient[block + i] = d1[i]
            if heads > 2:
                c_gradient[block + i] = d2[i]
