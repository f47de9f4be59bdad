"""Synthetic pairs of views: a scene, and an RGB image of it from another camera position, with the exact flow.

SSC-HSR (arXiv 2505.02109) is trained on pairs rendered from hyperspectral images by a depth network and a
view-synthesis network. Here the scene is a stack of planes that face the camera, cut from the image by a random smooth
partition, at random depths; the second camera is moved and turned a little. A plane X = (x, y, 1) / d seen from there
is the homography

    H = R + d t (0, 0, 1)

of the image plane, so flow and occlusions are exact, and no weights are needed. Disoccluded areas are filled from the
backmost plane.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.datasets.patches import Crops, Sample
from finewave.errors import InputError, unknown_name
from finewave.nn.warping import pixel_grid, sample_at

DEFAULTS: dict[str, Any] = {"parallax": 8.0, "shift": 4.0, "roll": 1.0, "layers": 3, "colour": 0.05}


class Planes(NamedTuple):
    """A scene and the second camera.

    Attributes
    ----------
    number : Tensor (H, W), long
        Which plane each pixel belongs to; 0 is the farthest.
    homographies : Tensor (K, 3, 3), float64
        From the pixels of the first view to those of the second, plane by plane.
    """

    number: Tensor
    homographies: Tensor


class View(NamedTuple):
    """The second view, and the positions of the first view's pixels in it.

    Attributes
    ----------
    image : Tensor (C, H, W)
    flow : Tensor (2, H, W)
        In pixels, x then y: the first view at p is the second at p + flow(p).
    visible : Tensor (1, H, W)
        1 where that pixel is visible in the second view, 0 where it is hidden or outside.
    """

    image: Tensor
    flow: Tensor
    visible: Tensor


def random_planes(
    height: int,
    width: int,
    random: np.random.Generator,
    *,
    parallax: float = DEFAULTS["parallax"],
    shift: float = DEFAULTS["shift"],
    roll: float = DEFAULTS["roll"],
    layers: int = DEFAULTS["layers"],
) -> Planes:
    """Return a random scene of planes and a random second camera.

    Parameters
    ----------
    height, width : int
        H, W; their larger one is the focal length in pixels.
    random : numpy.random.Generator
    parallax : float
        Largest displacement of the nearest plane by the camera's motion, in pixels.
    shift : float
        Largest displacement of all planes by its turning up, down and sideways, in pixels.
    roll : float
        Largest turn about the line of sight, in degrees.
    layers : int
        Largest number of planes.
    """
    focal = float(max(height, width))
    count = int(random.integers(1, layers + 1))
    inverse_depth = np.sort(random.uniform(0.2, 1, count))
    inverse_depth[-1] = 1
    distance, heading = parallax * math.sqrt(random.uniform()), random.uniform(0, 2 * math.pi)
    forward = random.uniform(-0.5, 0.5) * parallax
    t = np.array([distance * math.cos(heading), distance * math.sin(heading), forward]) / focal
    pitch, yaw = random.uniform(-shift, shift, 2) / math.sqrt(2) / focal
    turn = _rotation(pitch, yaw, math.radians(random.uniform(-roll, roll)))
    camera = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    moved = [turn + d * np.outer(t, [0, 0, 1]) for d in inverse_depth]
    homographies = [camera @ h @ np.linalg.inv(camera) for h in moved]

    cells = int(random.integers(3, 7))
    noise = torch.from_numpy(random.standard_normal((1, 1, cells, cells)))
    field = F.interpolate(noise, size=(height, width), mode="bicubic")[0, 0]
    shares = np.sort(random.uniform(0.15, 0.85, count - 1))
    levels = torch.quantile(field.flatten()[:: max(1, field.numel() // 100000)], torch.from_numpy(shares))
    return Planes(torch.bucketize(field, levels), torch.from_numpy(np.stack(homographies)))


def _rotation(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """Return the rotation matrix (3, 3) about x, then y, then z."""
    cx, sx, cy, sy = math.cos(pitch), math.sin(pitch), math.cos(yaw), math.sin(yaw)
    cz, sz = math.cos(roll), math.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def render(image: Tensor, planes: Planes) -> View:
    """Render an image (C, H, W) from the second camera."""
    _, height, width = image.shape
    grid = pixel_grid(height, width, image)
    masks = [(planes.number == k).to(grid.dtype)[None, None] for k in range(len(planes.homographies))]
    back = torch.linalg.inv(planes.homographies)

    view = torch.zeros_like(image, dtype=grid.dtype)[None]
    left = torch.ones_like(grid[:, :1])  # fraction of a pixel not covered by planes in front
    for k in range(len(masks) - 1, -1, -1):
        where = _mapped(grid, back[k])
        covered = sample_at(masks[k], where) if k else torch.ones_like(left)
        colour = sample_at(image[None].to(grid.dtype), where, "border", "bicubic")
        view = view + left * covered * colour
        left = left * (1 - covered)

    target = torch.zeros_like(grid)
    visible = torch.zeros_like(left)
    for k, mask in enumerate(masks):
        q = _mapped(grid, planes.homographies[k])
        x, y = q[:, :1], q[:, 1:]
        seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        for j in range(k + 1, len(masks)):
            seen = seen & (sample_at(masks[j], _mapped(q, back[j])) < 0.5)
        target = torch.where(mask > 0, q, target)
        visible = torch.where(mask > 0, seen.to(visible), visible)
    return View(view[0].clamp(0, 1).to(image.dtype), (target - grid)[0], visible[0])


def _mapped(points: Tensor, homography: Tensor) -> Tensor:
    """Return the images of ``points`` (B, 2, H, W)."""
    h = homography.to(points)
    x, y = points[:, 0], points[:, 1]
    u, v, w = (h[i, 0] * x + h[i, 1] * y + h[i, 2] for i in range(3))
    return torch.stack((u / w, v / w), 1)


def with_reference(sample: Sample, seed: Sequence[int], *, margin: int = 0, **options: Any) -> Sample:
    """Add a reference from another viewpoint to a batch.

    Parameters
    ----------
    sample : dict of Tensor
        With ``hr_msi``, the RGB image (B, 3, H, W) of ``hr_hsi``, from which the reference is made.
    seed : sequence of int
        Of the views.
    margin : int
        HR pixels to crop at each side afterwards, a multiple of the scale, so that all content of the view comes from
        the scene.
    **options
        ``parallax``, ``shift``, ``roll`` and ``layers`` of `random_planes`; ``colour``, largest relative deviation of
        the reference's three channels.

    Returns
    -------
    dict of Tensor
        All of ``sample``, and ``ref_rgb`` (B, 3, H, W); ``source_rgb`` (B, 3, H, W), the reference camera's image from
        the hyperspectral viewpoint; ``flow`` (B, 2, H, W) and ``visible`` (B, 1, H, W), see `View`.

    Raises
    ------
    InputError
        If an option does not exist, or the image is not an RGB image.
    """
    for key in options:
        if key not in DEFAULTS:
            raise unknown_name("option of the synthetic reference", key, DEFAULTS)
    rgb = sample["hr_msi"]
    if rgb.shape[1] != 3:
        raise InputError(f"a reference image has 3 bands; the sensor of the data has {rgb.shape[1]}: choose an RGB one")
    settings = {**DEFAULTS, **options}
    colour = settings["colour"]
    random = np.random.default_rng([*seed])
    views, sources = [], []
    for image in rgb:
        source = (image * torch.from_numpy(random.uniform(1 - colour, 1 + colour, (3, 1, 1))).to(image)).clamp(0, 1)
        planes = random_planes(
            image.shape[1],
            image.shape[2],
            random,
            parallax=settings["parallax"],
            shift=settings["shift"],
            roll=settings["roll"],
            layers=settings["layers"],
        )
        views.append(render(source, planes))
        sources.append(source)
    made = {
        "ref_rgb": torch.stack([view.image for view in views]),
        "source_rgb": torch.stack(sources),
        "flow": torch.stack([view.flow for view in views]),
        "visible": torch.stack([view.visible for view in views]),
    }
    result = {**sample, **made}
    return {key: _cut(x, margin * x.shape[-1] // rgb.shape[-1]) for key, x in result.items()} if margin else result


def _cut(x: Tensor, margin: int) -> Tensor:
    return x[..., margin:-margin, margin:-margin]


def scene_with_reference(sample: Sample, name: str, **options: Any) -> Sample:
    """Add a reference to a whole scene; always the same for a scene name."""
    return with_reference(sample, (zlib.crc32(name.encode()),), **options)


class UnalignedCrops:
    """The stream of `finewave.datasets.patches.Crops` with references, see `with_reference`.

    Parameters
    ----------
    crops : Crops
        Crops with a margin of `margin_for` at each side.
    margin : int
        See `margin_for`.
    **options
        See `with_reference`.
    """

    def __init__(self, crops: Crops, margin: int, **options: Any) -> None:
        self.crops, self.margin, self.options = crops, margin, options
        self.scale, self.response = crops.scale, crops.response

    def __len__(self) -> int:
        return len(self.crops)

    def __iter__(self) -> Iterator[Sample]:
        for number, batch in zip(itertools.count(self.crops.start), self.crops, strict=False):
            yield self._paired(batch, number)

    def share(self, rank: int, world: int) -> None:
        """See `Crops.share`."""
        self.crops.share(rank, world)

    def batch(self, number: int) -> Sample:
        """Return batch ``number`` of the stream."""
        return self._paired(self.crops.batch(number), number)

    def state_dict(self) -> dict[str, int]:
        """Position in the stream."""
        return self.crops.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from a position."""
        self.crops.load_state_dict(state)

    def _paired(self, batch: Sample, number: int) -> Sample:
        return with_reference(batch, (self.crops.seed, number), margin=self.margin, **self.options)


def margin_for(scale: int, options: dict[str, Any]) -> int:
    """Return the largest displacement in HR pixels, as a multiple of the scale."""
    settings = {**DEFAULTS, **options}
    return scale * math.ceil((settings["parallax"] + settings["shift"]) / scale)


def published_degradation(image: Tensor, scale: int, size: int = 8, sigma: float = 3.0) -> Tensor:
    """Degrade as the public code of SSC-HSR does, for comparisons with its figures alone.

    An even Gaussian, then the top left pixel of every cell: relative to the centre-aligned grid of the upsampling, the
    result is shifted by (s - 2) / 2 pixels. All other code uses `finewave.physics.degradation.degrade`.

    Parameters
    ----------
    image : Tensor (B, C, H, W)
    scale : int
        s, a divisor of H and W.
    size : int
        Taps of the kernel.
    sigma : float
        Standard deviation in HR pixels.

    Returns
    -------
    Tensor (B, C, H/s, W/s)
    """
    x = torch.arange(size, dtype=image.dtype, device=image.device) - (size - 1) / 2
    taps = torch.exp(-(x**2) / (2 * sigma**2))
    taps = taps / taps.sum()
    before, after = (size - 1) // 2, size // 2
    flat = F.pad(image.flatten(0, 1)[:, None], (before, after, before, after), mode="replicate")
    flat = F.conv2d(
        F.conv2d(flat, taps.view(1, 1, -1, 1), stride=(scale, 1)), taps.view(1, 1, 1, -1), stride=(1, scale)
    )
    return flat[:, 0].unflatten(0, image.shape[:2])
