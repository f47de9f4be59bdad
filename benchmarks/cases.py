"""What is measured: one `Case` for each process."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from finewave.errors import InputError, unknown_name
from finewave.systems.registry import SYSTEMS

STANDARD = "jssunet"
MODELS, SCENES = "models", "scenes"
"""Names that stand for all systems, and for whole scenes, in the place of a network's."""
GROUPS = {
    "peak": "a large matrix product and a large convolution",
    "head": "one attention head, patch 5 and 11",
    "post": "the post-processing: memory on large images",
    "forward": "the network's forward pass, its stages, its operators",
    "train": "a training step, with and without checkpointing",
    "growth": "forward passes of growing images",
    "data": "how long training waits for its crops",
    "compile": "a training step with torch.compile",
}
DEFAULT = tuple(group for group in GROUPS if group != "compile")  # compiling takes minutes
SCENE_PARTS = {
    "defaults": "weights that ship, no options",
    "photograph": "one of 12 megapixels, no options",
    "tiles": "tiles against one piece",
    "workers": "two processes against one",
    "large": "a scene of 4.2 GB of output",
    "larger": "one twice as long",
}
"""Of `SCENES`, as `GROUPS` are of a network; those of `MODELS` are the tasks."""


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes
    ----------
    group : str
        Key of `GROUPS`.
    variant : {"finewave", "plain"}
        Which formulation.
    precision : {"float32", "bfloat16"}
        Of the arithmetic; "bfloat16" is mixed precision.
    options : dict
        What the group needs to know: sizes, options of the network.
    """

    group: str
    variant: str = "finewave"
    precision: str = "float32"
    options: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the case as JSON has it."""
        return asdict(self)

    @property
    def title(self) -> str:
        """The case on one line."""
        said = {key: value for key, value in self.options.items() if key not in ("network", "device")}
        return " ".join([self.group, self.variant, self.precision, *(f"{k}={v}" for k, v in said.items())])


def choose_groups(only: str | None, network: str = STANDARD) -> tuple[str, ...]:
    """Return the groups that ``--only`` names, in their order; all but "compile" without it.

    Parameters
    ----------
    only : str, optional
        Names with commas between them.
    network : str
        A network, which has `GROUPS`; `SCENES`, which have `SCENE_PARTS`; or `MODELS`, which have tasks.
    """
    tasks = dict.fromkeys(system.task for system in SYSTEMS.values())
    known = {MODELS: tuple(tasks), SCENES: tuple(SCENE_PARTS)}.get(network, tuple(GROUPS))
    if not only:
        return tuple(group for group in known if group != "compile")
    names = [name.strip() for name in only.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise unknown_name("group of measurements", name, known)
    if not names:
        raise InputError(f"--only names no group; there are {', '.join(known)}")
    return tuple(group for group in known if group in names)


def system_cases(groups: tuple[str, ...] = (), *, quick: bool, device: str) -> list[Case]:
    """Return a forward pass of every system at its published size, for one output of 128 x 128 pixels and 31 bands.

    In float32, and in bfloat16 those that may be run so; ``groups`` are tasks, all without.
    """
    found = []
    for name, system in SYSTEMS.items():
        if groups and system.task not in groups:
            continue
        crop = 32 if quick else 128
        options: dict[str, Any] = {"network": name, "device": device, "config": {}, "crop": crop, "batch": 1}
        precisions = ["float32"] + ["bfloat16"] * bool(system.load().mixed_precision)
        found += [Case("system", precision=precision, options=options) for precision in precisions]
    return found


def scene_cases(groups: tuple[str, ...] = (), *, quick: bool, device: str) -> list[Case]:
    """Return runs of ``finewave predict``: without options, tiles, workers, a large scene and one twice as long.

    ``groups`` are keys of `SCENE_PARTS`; all without.
    """
    config: dict[str, Any] = {"ms_bands": 4, "hs_bands": 31, "stages": 1, "features": 32, "post": False}
    small = {"ms_bands": 4, "hs_bands": 4, "stages": 1, "features": 4, "post": False, "clusters": "none"}
    side, part = (64, 64) if quick else (2048, 512)
    common = {"network": STANDARD, "device": device, "config": small if quick else config}
    # on one thread each, so that two workers have twice what one has; on the GPU there is nothing to share
    alone = {} if device == "cuda" else {"threads": 1}
    found: list[Case] = []

    def add(group: str, rows: int, columns: int, **options: Any) -> None:
        if not groups or group in groups:
            said = {**common, "size": [rows, columns], "format": ".zarr", "halo": "fast", **options}
            found.append(Case("scene", precision="best", options=said))

    # what a user gets who sets nothing, with weights that ship: a GeoTIFF of float32
    shipped = {"weights": "jssunet-cave-x4", "config": {"ms_bands": 3, "hs_bands": 31}, "halo": "auto"}
    if not quick:
        add("defaults", part, part, **shipped, format=".tif", no_options=True)
        add("defaults", 128, 128, **shipped, format=".tif", no_options=True)
        add("photograph", 3000, 4000, **{**shipped, "weights": "mstpp-cave"}, format=".tif", no_options=True)
        add("tiles", part, part, **shipped)
        add("tiles", part, part, **shipped, tile=part)
    add("tiles", part, part, tile=part)
    add("tiles", part, part, tile=part // 4)
    add("tiles", part, part, tile=part // 4, halo="exact")
    add("workers", 2 * part, 4 * part, workers=1, **alone)
    add("workers", 2 * part, 4 * part, workers=2, **alone)
    add("large", side, side)
    add("larger", 2 * side, side)
    return found


def cases_of(network: str, groups: tuple[str, ...], *, quick: bool, plain: bool, device: str) -> list[Case]:
    """Return what is to be measured.

    Parameters
    ----------
    network : str
        A system or trained weights. Only the standard one has the groups "head" and "post" and plain formulations.
    groups : tuple of str
        Keys of `GROUPS`.
    quick : bool
        Small sizes: a test that everything runs, not a measurement.
    plain : bool
        The plain formulations, too.
    device : str
        ``"cpu"`` or ``"cuda"``.
    """
    standard = network == STANDARD
    small: dict[str, Any] = {"features": 8, "stages": 1, "n_clusters": 3, "patch": 3, "window": 5, "heads": 2}
    tiny = small if quick and standard else {}
    crop = 16 if quick else 128
    formulations = ("finewave", "plain") if plain and standard else ("finewave",)
    found: list[Case] = []

    def add(group: str, variant: str = "finewave", precision: str = "float32", **options: Any) -> None:
        if group in groups:
            found.append(Case(group, variant, precision, {"network": network, "device": device, **options}))

    add("peak", side=256 if quick else 4096, pixels=32 if quick else 512, features=16 if quick else 128)
    if standard:
        for patch in (5, 11):
            for variant in formulations:
                add("head", variant, patch=patch, size=[crop, crop], hs_bands=31)
        for variant in formulations:
            add("post", variant, size=[20, 24] if quick else [512, 512], hs_bands=31, config=tiny)
        add("post", size=[24, 20] if quick else [1096, 715], hs_bands=102, config=tiny)
    # as finewave's commands run: see `finewave.process.allocator`. The other way round of each is to compare, without
    # its stages and operators
    keeps: dict[str, Any] = {} if device == "cuda" else {"keeps_memory": True}

    def add_both_ways(group: str, **options: Any) -> None:
        add(group, **keeps, **options)
        add(group, precision="bfloat16", **keeps, **options)
        if "plain" in formulations:
            add(group, "plain", **options)
        if keeps:
            for precision in ("float32", "bfloat16"):
                add(group, precision=precision, times_only=True, **options)
            if "plain" in formulations:
                add(group, "plain", times_only=True, **keeps, **options)

    add_both_ways("forward", crop=crop, batch=1, config=tiny)
    narrow = {"features": 64, "post": False, **tiny} if standard else {}
    training: dict[str, Any] = {"crop": crop, "batch": 2 if quick else 8, "config": narrow}
    add_both_ways("train", **training)
    if standard:
        for checkpoint in ("prox", "stages"):
            add("train", precision="bfloat16", checkpoint=checkpoint, **keeps, **training)
    for side in (16, 32) if quick else (128, 256, 512, 1024):
        add("growth", precision="best", crop=side, batch=1, config=tiny, **keeps)
    if standard:
        add("data", precision="best", steps=2 if quick else 6, **keeps, **training)
    add("compile", precision="best", compile=True, **keeps, **training)
    return found
