"""Estimation of a spectral response from co-registered multispectral and hyperspectral images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from finewave.physics.sensors.resampling import FloatArray


def linear_response(gram: FloatArray, moment: FloatArray) -> FloatArray:
    """Return the weights, of any sign, that best map hyperspectral to multispectral pixels.

    Exact where the multispectral pixels were simulated; of the combinations of bands that the pixels do not have, the
    weights are zero.

    Parameters
    ----------
    gram, moment : (C, C) and (C, c) ndarray
        Sums over pixels of ``y yᵀ`` and ``y xᵀ``, with C hyperspectral bands y and c multispectral ones x.

    Returns
    -------
    (c, C) float64 array
    """
    return (np.linalg.pinv(gram, rcond=1e-12, hermitian=True) @ moment).T


def estimate_response(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> FloatArray:
    """Return the nonnegative weights that best map hyperspectral to multispectral pixels.

    Least squares for each multispectral band (C. L. Lawson, R. J. Hanson, Solving Least Squares Problems, 1974,
    ch. 23), solved with the normal equations, so that images of any size can be processed one after the other.

    Parameters
    ----------
    pairs : iterable of (ndarray (c, H, W), ndarray (C, H, W))
        Multispectral and hyperspectral image of the same pixels.

    Returns
    -------
    (c, C) float64 array
    """
    from scipy.optimize import nnls

    gram: np.ndarray | float = 0.0
    moment: np.ndarray | float = 0.0
    for ms, hs in pairs:
        x, y = (image.reshape(len(image), -1).astype(np.float64) for image in (hs, ms))
        gram, moment = gram + x @ x.T, moment + x @ y.T
    gram, moment = np.asarray(gram), np.asarray(moment)
    # with gram = L L^T, |L^T r - L^-1 moment|^2 and the pixels' squared error differ by a constant
    root = np.linalg.cholesky(gram + 1e-8 * np.trace(gram) / len(gram) * np.eye(len(gram)))
    target = np.linalg.solve(root, moment)
    return np.stack([nnls(root.T, column)[0] for column in target.T])
