"""Patch matching against a loop over all pairs, and on an image that is known to have moved."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from finewave.systems.sschsr import matching
from finewave.systems.sschsr.matching import best_patches, match


def test_best_patches_of_all_pairs(monkeypatch) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 4, 5, 6), torch.randn(2, 4, 6, 5)
    monkeypatch.setattr(matching, "CHUNK", 4 * 6 * 30)  # two rows at a time
    index, similarity = best_patches(a, b)
    for n in range(2):
        for i in range(3):
            for j in range(4):
                p = a[n, :, i : i + 3, j : j + 3].flatten()
                scores = torch.stack(
                    [
                        F.cosine_similarity(p, b[n, :, y : y + 3, x : x + 3].flatten(), dim=0)
                        for y in range(4)
                        for x in range(3)
                    ]
                )
                assert index[n, i, j] == scores.argmax()
                torch.testing.assert_close(similarity[n, i, j], scores.max(), rtol=1e-4, atol=1e-4)


def test_chunks_make_no_difference(monkeypatch) -> None:
    a, b = torch.randn(1, 8, 12, 11), torch.randn(1, 8, 12, 11)
    whole = best_patches(a, b)
    monkeypatch.setattr(matching, "CHUNK", 1)
    pieces = best_patches(a, b)
    assert torch.equal(whole[0], pieces[0])
    assert torch.equal(whole[1], pieces[1])


def test_a_shifted_image_is_found_again() -> None:
    torch.manual_seed(0)
    wide = torch.randn(1, 6, 14, 16)
    a, b = wide[:, :, 2:12, 3:13], wide[:, :, :10, :10]  # b(p) = a(p - (3, 2)): what is at p in a is at p + (3, 2) in b
    coarse, half, full = match(a, b)
    inside = (slice(None), slice(0, 6), slice(0, 5))
    assert (coarse.flow[0, 0][inside[1:]] == 3).all()
    assert (coarse.flow[0, 1][inside[1:]] == 2).all()
    assert (half.flow[0, 0, :12, :10] == 6).all()
    assert (full.flow[0, 1, :24, :20] == 8).all()
    torch.testing.assert_close(coarse.similarity[0, 0, 1:7, 1:6], torch.ones(6, 5), rtol=1e-3, atol=1e-3)
    # each tap of a 3 x 3 kernel around the patch's centre points to the same place
    for k in range(9):
        assert (coarse.offsets[0, k, 0, 3:6, 3:5] == 3).all()
    assert full.offsets.shape == (1, 9, 2, 40, 40)


def test_similarity_has_a_gradient_in_both_images() -> None:
    a, b = torch.randn(1, 4, 6, 6, requires_grad=True), torch.randn(1, 4, 6, 6, requires_grad=True)
    match(a, b)[0].similarity.sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert a.grad.any()
    assert b.grad.any()
