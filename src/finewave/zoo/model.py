"""A network ready for use: input checks, prediction, loading and saving with its card."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finewave.errors import InputError, unknown_name
from finewave.io.atomic import flush_to_disk, workshop_for
from finewave.nn.pooling import local_pooling
from finewave.physics.blur_of_pair import PIXELS_PER_BAND, contradicting_blur
from finewave.systems.base import SRNetwork
from finewave.systems.baselines.white_noise import signal_to_noise
from finewave.systems.registry import SYSTEMS, config_of, create_model, options_of, was_created
from finewave.systems.tile_stages import Margins, TileStage, run_in_stages
from finewave.systems.weights import fill_network, no_larger_than, numbers_in, read_weights, write_weights
from finewave.types import OTHER_NAMES
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import Card, describe
from finewave.zoo.distribution import hub
from finewave.zoo.distribution.bundled_weights import (
    CARD,
    WEIGHTS,
    folder_with_weights,
    missing_weights,
    weight_folders,
)
from finewave.zoo.invalid_pixels import blank, fill_invalid
from finewave.zoo.precision import check_precision, uses_bfloat16
from finewave.zoo.runnable import RunnableModel

POOLINGS = ("image", "local")
NOISY = 37.0
"""Signal-to-noise ratio in dB below which fusion keeps noise out; clean scenes of CAVE are above it at x4 and x8."""
PIXELS_TELL_NOISE = 400
"""LR pixels of any number of bands that tell the noise: it is in each of them."""


class Model(RunnableModel):
    """A network and its card: ``fw.Model(net)`` makes a model of any network.

    Parameters
    ----------
    net : SRNetwork
        Trained or not; a `finewave.systems.base.SRNetwork`.
    card : Card, optional
        Card of its weights. Without it the network is assumed untrained, and its card has only facts about the network:
        system, configuration, task, scale, receptive field, parameters. `save` accepts further facts.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of inner features. ``"auto"`` is bfloat16 if the CPU or GPU has instructions for it and the card says
        that it loses next to nothing, or the network declares ``mixed_precision``; otherwise float32. Inputs and
        outputs are float32.
    pooling : {"image", "local"}
        Region of the means in channel attention: the whole image, as the networks are defined; or windows of the
        training crop's size, as in training. Both are equal for images no larger than the window (except in JSSUNet's
        post-processing, whose shifted copy is padded instead of wrapped).

    Attributes
    ----------
    net : torch.nn.Module
    card : Card or None
        None without a card for a network not built by `create_model`, whose configuration is unknown.
    untrained : bool
        No card was given.
    name : str
        For messages: the name in the given card, otherwise the network's class.
    inputs : tuple of str
        Names that `predict` takes.

    Examples
    --------
    >>> model = Model(create_model("jssunet", scale=2, features=8, stages=1, post=False))
    >>> model.predict(lr_msi=torch.rand(1, 3, 5, 7)).shape
    torch.Size([1, 31, 10, 14])
    """

    def __init__(
        self, net: SRNetwork, card: Card | None = None, *, precision: str = "auto", pooling: str = "image"
    ) -> None:
        if not isinstance(net, SRNetwork):
            raise InputError(
                f"{type(net).__name__} is not a finewave network; derive it from finewave.systems.base.SRNetwork"
            )
        if card is not None and not isinstance(card, Card):
            raise InputError(f"card is a {type(card).__name__}; a Card, as load_model(...).card, is accepted")
        self.net = net
        self.untrained = card is None
        self.card = describe(net) if card is None and was_created(net) else card
        self.name = card.name if card is not None else type(net).__name__
        self.task = net.task
        self.inputs = net.inputs
        self.output = net.output
        self.size_multiple = net.size_multiple
        self.precision = check_precision(precision)
        if pooling not in POOLINGS:
            raise unknown_name("pooling", pooling, POOLINGS)
        self.pooling = pooling

    @property
    def scale(self) -> int:
        """Ratio s between HR and LR images."""
        return self.net.scale

    @property
    def receptive_field(self) -> int | None:
        """Largest distance in input pixels at which a pixel affects the output; None for the whole image.

        Without global pooling, see `reach`.
        """
        return self.net.receptive_field

    @property
    def n_global_poolings(self) -> int:
        """Number of global poolings of the network."""
        return self.net.n_global_poolings

    @property
    def reach(self) -> int | None:
        """`receptive_field` with the windows of local pooling; None for the whole image."""
        if not self.n_global_poolings:
            return self.receptive_field
        return None if self.pooling == "image" else self.net.receptive_field_with_pooling(self.pooling_window)

    @property
    def tile_stages(self) -> tuple[TileStage, ...]:
        """Stages of the network with decreasing halos, see `SRNetwork.tile_stages`; one without `reach`."""
        if self.reach is None:
            return (TileStage("network", None, 1.0),)
        return self.net.tile_stages(self.pooling_window if self.n_global_poolings else 0)

    @property
    def shift_equivariant(self) -> bool:
        """Whether the network is equivariant to shifts by multiples of `size_multiple`.

        Otherwise tiled and untiled prediction differ, whatever the receptive field.
        """
        return self.net.shift_equivariant

    @property
    def any_sensor(self) -> bool:
        """Whether it can be made for any sensor, see `finewave.zoo.any_sensor.for_sensor`."""
        return self.net.any_sensor

    @property
    def band_by_band(self) -> bool:
        """Whether each band of the output depends on the same band of the input alone, as bicubic interpolation's."""
        return self.net.band_by_band

    @property
    def ms_bands(self) -> int | None:
        """Number of multispectral bands; None if the network does not state it."""
        return self.net.ms_bands

    @property
    def hs_bands(self) -> int | None:
        """Number of hyperspectral bands; None if the network does not state it."""
        return self.net.hs_bands

    @property
    def attention_window(self) -> int:
        """Side in output pixels of the widest window that its attention compares; 0 without."""
        return self.net.attention_window

    @property
    def working_memory(self) -> int:
        """Bytes that it needs for each output pixel that it sees."""
        return self.net.working_memory

    @property
    def device(self) -> str:
        """Kind of device that the network runs on, ``"cpu"`` for instance."""
        return next((p.device.type for p in self.net.parameters()), "cpu")

    def predict(self, *unnamed: object, **inputs: Tensor) -> Tensor:
        """Run the network: evaluation mode, no gradients.

        Parameters
        ----------
        *unnamed
            Not accepted: images are given by name.
        **inputs : Tensor of shape (B, c, h, w)
            The task's inputs by name, e.g. ``lr_msi=x``; floating point, reflectance-like, in [0, 1]. They
            are moved to the network's device and dtype. A spatial network (``sr``) takes ``lr_hsi`` or ``lr_msi``,
            a spectral one (``ssr``) ``hr_msi`` or ``lr_msi``: it does the same to images of either name.

        Returns
        -------
        Tensor of shape (B, C, H, W)
            On the device of the first input, in the network's dtype. NaN where an input pixel is not finite.

        Raises
        ------
        InputError
            A ``ValueError``, if an input is missing or not one of the network's, or its kind, rank, band
            count or size does not fit. The message says what was given and what is accepted.

        Warns
        -----
        FinewaveWarning
            If pixels are not finite, or an input is zero everywhere or smaller than the attention window.
        """
        if unnamed:
            example = ", ".join(f"{name}=..." for name in self.inputs)
            raise InputError(f"{self.name} takes its inputs by name: predict({example})")
        inputs = self._by_own_names(inputs)
        self._check(inputs)
        aligned = [name for name in self.inputs if name != "ref_rgb"]
        filled = {}
        masks = {}
        for name in self.inputs:
            filled[name], masks[name] = fill_invalid(inputs[name], band_by_band=self.band_by_band)
        self.warn_about(filled, masks)
        output = self.adapted_to(filled).run(filled)
        for name in aligned:
            output = blank(output, masks[name])
        return output

    def run(self, inputs: Mapping[str, Tensor], margins: Sequence[Margins] = ()) -> Tensor:
        """Run the network on valid, finite inputs, without the checks of `predict`.

        Parameters
        ----------
        inputs : mapping of str to Tensor
            Inputs by the network's own names.
        margins : sequence of Margins
            What each of `tile_stages` does not need, none less than those before; the output lacks the last ones.
            Without, the network runs in one piece.
        """
        first = inputs[self.inputs[0]]
        like = self._like(first)
        was_training = self.net.training
        self.net.eval()
        try:
            with torch.no_grad(), torch.autocast(like.device.type, torch.bfloat16, enabled=self._mixes(like)):
                tensors = [inputs[name].to(like.device, like.dtype) for name in self.inputs]
                if prefers_channels_last(self.net):
                    tensors = [x.contiguous(memory_format=torch.channels_last) for x in tensors]
                images = dict(zip(self.inputs, tensors, strict=True))
                if margins:
                    names = [stage.name for stage in self.tile_stages]
                    output = run_in_stages(self.net.run_tile_stage, names, images, margins, self._pooling)
                else:
                    with self._pooling((first.shape[2], first.shape[3])):
                        output = self.net(**images)
        finally:
            self.net.train(was_training)
        return output.to(first.device, like.dtype).contiguous()

    def run_arrays(
        self, images: Mapping[str, NDArray[np.float32]], margins: Sequence[Margins] = ()
    ) -> NDArray[np.float32]:
        """Run the network on valid, finite images (c, h, w) by name, and return its output (C, H, W); see `run`."""
        output = self.run({name: torch.from_numpy(image)[None] for name, image in images.items()}, margins)
        return output.float()[0].numpy()

    def in_pytorch(self, purpose: str) -> Model:
        """Return this model."""
        del purpose
        return self

    def fingerprint(self) -> str:
        """Return a checksum of the network's values, and of how it was built."""
        digest = hashlib.sha256()
        if self.card is not None:
            digest.update(json.dumps(self.card.config, sort_keys=True, default=str).encode())
        for name, tensor in self.net.state_dict().items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.detach().cpu().double().numpy()).tobytes())
        return digest.hexdigest()

    def _pooling(self, size: tuple[int, int]) -> AbstractContextManager[None]:
        """Return the context to run the network in, for a first input of this size."""
        return nullcontext() if self.pooling == "image" else local_pooling(self.pooling_window, size)

    def _like(self, default: Tensor) -> Tensor:
        """Return a parameter, for device and dtype; ``default`` for networks without parameters."""
        return next(itertools.chain(self.net.parameters(), self.net.buffers()), default)

    def _mixes(self, like: Tensor) -> bool:
        losses = None if self.card is None else self.card.bfloat16
        return uses_bfloat16(self.precision, self.net, like.device, losses)

    @property
    def arithmetic(self) -> str:
        """Precision of inner features on this machine: ``"bfloat16"``, or the network's dtype."""
        like = self._like(torch.empty(0))
        return "bfloat16" if self._mixes(like) else str(like.dtype).removeprefix("torch.")

    def with_resolved_precision(self) -> Model:
        """Return this model with ``precision="auto"`` resolved on this machine, for other processes."""
        return self.with_precision("bfloat16" if self.arithmetic == "bfloat16" else "float32")

    def with_precision(self, precision: str) -> Model:
        """Return this model, on the same network, with another ``precision``."""
        return Model(self.net, None if self.untrained else self.card, precision=precision, pooling=self.pooling)

    def with_pooling(self, pooling: str) -> Model:
        """Return this model, on the same network, with another ``pooling``."""
        return Model(self.net, None if self.untrained else self.card, precision=self.precision, pooling=pooling)

    @property
    def looks_at_its_images(self) -> bool:
        """Whether its network inverts a blur that two images can contradict, or can estimate their noise."""
        return self.task == "fusion" and self.net.system is not None and "degradation" in options_of(self.net.system)

    def with_options(self, **options: Any) -> Model:
        """Return this model with the same weights and other options of its network, such as ``degradation``.

        Raises
        ------
        InputError
            If its network lacks one of these options, or a value is not accepted.
        """
        system, config = config_of(self.net)
        for name in options:
            if name not in options_of(system):
                raise unknown_name(f"option of {system}", name, sorted(options_of(system)))
        net = create_model(system, **{**config, **options})
        net.load_state_dict(self.net.state_dict())
        net.to(self._like(torch.empty(0)))
        card = self.card
        if card is not None:
            halos = None if card.halos is None else net.halos_from(card.halos, options)
            card = replace(card, config={**config, **options}, receptive_field=net.receptive_field, halos=halos)
            if "degradation" in options:
                card = replace(card, degradation={**options["degradation"], "scale": self.scale})
        return Model(net, card, precision=self.precision, pooling=self.pooling)

    def adapted_to(self, images: Mapping[str, Tensor]) -> Model:
        """Return this model, or, of fusion, one for what its two images clearly have: another blur, or noise.

        Images of few pixels tell nothing; of many bands, sooner their noise than their blur.

        Parameters
        ----------
        images : mapping of str to Tensor
            Both inputs by the network's own names, finite.

        Warns
        -----
        FinewaveWarning
            If the blur is another one, see `finewave.physics.blur_of_pair`, or if there is noise above `NOISY` and the
            network has the option ``noise``.
        """
        if not self.looks_at_its_images:
            return self
        lr, hr = (images[name] for name in self.inputs)
        if lr[:, 0].numel() < min(PIXELS_TELL_NOISE, PIXELS_PER_BAND * (lr.shape[1] + 1)):
            return self
        _, config = config_of(self.net)
        stated = dict(config.get("degradation") or {"kernel": "gaussian"})
        options: dict[str, Any] = {}
        reasons = []
        found = contradicting_blur(lr, hr, stated)
        if found is not None:
            options["degradation"] = found
            reasons.append(f"a blur of about {_in_words(found)}, not the one that it is for ({_in_words(stated)})")
        if config.get("noise") == "ignored" and (ratio := signal_to_noise(lr, hr)) < NOISY:
            options["noise"] = "estimated"
            reasons.append(f"noise, a signal-to-noise ratio of {ratio:.0f} dB")
        if not options:
            return self
        try:
            adapted = self.with_options(**options)
        except InputError:  # of an ensemble that inverts the blur, which this one does not allow
            return self
        warnings.warn(
            f"{self.name}: the images have {' and '.join(reasons)}; that is what the result goes by: check that they "
            "are aligned and have the same values",
            FinewaveWarning,
            stacklevel=3,
        )
        return adapted

    def to(self, *args: Any, **kwargs: Any) -> Model:
        """Move the network to a device or dtype, as ``torch.nn.Module.to`` does, and return this model."""
        self.net.to(*args, **kwargs)
        return self

    def save(self, folder: str | Path, dtype: torch.dtype | None = None, **facts: Any) -> Path:
        """Write ``model.safetensors`` and ``card.json`` into ``folder`` atomically.

        Parameters
        ----------
        folder : str or Path
            Made if missing; its parent must exist. A set of weights already there is replaced.
        dtype : torch.dtype, optional
            Of the numbers in the file; loading returns to float32.
        **facts
            Keys of the card to set, e.g. ``name=...``.

        Raises
        ------
        InputError
            If the network's constructor arguments are not known, or a fact is not a key of the card.
        """
        return self._write(Path(folder), dtype, facts, lambda card: {})

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None, **facts: Any) -> Path:
        """Write the files of `save` and a ``README.md`` generated from the card, ready for sharing.

        The README starts with the metadata that model hubs index. It is regenerated each time; put your own text into
        the card's ``notes``, which it includes. `load_model` takes the folder.

        Parameters
        ----------
        folder, dtype, **facts
            As in `save`.

        Raises
        ------
        InputError
            As in `save`.
        """
        from finewave.zoo.readme import README, readme_of

        return self._write(Path(folder), dtype, facts, lambda card: {README: readme_of(card)})

    def push_to_hub(
        self,
        repository: str,
        *,
        revision: str | None = None,
        private: bool | None = None,
        message: str = "Weights and card, by finewave",
        token: str | None = None,
        dtype: torch.dtype | None = None,
        **facts: Any,
    ) -> str:
        """Share the model on the Hugging Face Hub, from where ``load_model("hf:owner/name")`` loads it.

        Weights, card and page go up in one commit. Repository and branch are made if missing.

        Parameters
        ----------
        repository : str
            ``"owner/name"``.
        revision : str, optional
            Branch to push to; the main one by default.
        private : bool, optional
            Visibility of a newly created repository; by default the owner's setting.
        message : str
            Of the commit.
        token : str, optional
            By default that of ``hf auth login`` or of the variable ``HF_TOKEN``.
        dtype, **facts
            As in `save`; the name of an untrained network's card is that of the repository.

        Returns
        -------
        str
            Address of the commit.

        Raises
        ------
        InputError
            If huggingface_hub is not installed, the Hub cannot be reached or refuses, or as in `save`.
        """
        from finewave.zoo.distribution.hub import parse_address, push
        from finewave.zoo.readme import README, readme_of

        address = parse_address(repository).repository
        with tempfile.TemporaryDirectory() as workshop:
            folder = Path(workshop) / address.partition("/")[2]
            self._write(folder, dtype, facts, lambda card: {README: readme_of(card, address)})
            return push(folder, repository, revision, private, message, token)

    def _write(
        self, folder: Path, dtype: torch.dtype | None, facts: dict[str, Any], more: Callable[[Card], dict[str, str]]
    ) -> Path:
        """Write weights, card and ``more``, texts by file name, into ``folder``."""
        card = describe(self.net) if self.untrained or self.card is None else self.card
        card = card.with_facts(**{"name": folder.name, **facts} if self.untrained else facts)
        if not folder.parent.is_dir():
            raise InputError(f"the folder {folder.parent} does not exist; create it first")
        with workshop_for(folder) as temporary:
            card = card.with_facts(sha256=write_weights(self.net, temporary / WEIGHTS, dtype))
            texts = {CARD: card.to_json(), **more(card)}
            for name, text in texts.items():
                (temporary / name).write_text(text, encoding="utf-8")
            flush_to_disk(temporary)
            temporary.chmod(0o755)  # mkdtemp makes it private
            if folder.is_dir():
                # several renames: if the machine stops between them, the checksum does not match
                for name in (WEIGHTS, *texts):
                    (temporary / name).replace(folder / name)
            else:
                temporary.replace(folder)
        return folder

    def warn_about(self, filled: Mapping[str, Tensor], invalid: Mapping[str, Tensor]) -> None:
        """Warn about inputs for which results may be poor; see `predict`."""
        for name, image in filled.items():
            holes = invalid[name].any(dim=1)
            self.warn_of_values(name, int(holes.sum()), holes.numel(), not image.any())
            self.warn_of_size(name, image.shape[2], image.shape[3])

    def _by_own_names(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return inputs by the network's own names, see `OTHER_NAMES`."""
        others = OTHER_NAMES.get(self.task, {})
        named: dict[str, Any] = {}
        for name, image in inputs.items():
            own = others.get(name, name)
            own = own if own in self.inputs else name
            if own in named:
                raise InputError(f"{self.name} takes one image; given: {' and '.join(inputs)}")
            named[own] = image
        return named

    def _accepted(self) -> list[str]:
        """Return every name of an input."""
        others = OTHER_NAMES.get(self.task, {})
        return [*self.inputs, *(name for name, own in others.items() if own in self.inputs)]

    def _check(self, inputs: Mapping[str, Any]) -> None:
        """Raise an `InputError` if ``inputs`` do not fit the network."""
        for name in inputs:
            if name not in self.inputs:
                raise unknown_name(f"input of {self.name}", name, self._accepted())
        for name in self.inputs:
            if name not in inputs:
                raise InputError(f"{self.name} needs the input {name}; given: {', '.join(inputs) or 'none'}")
            self._check_one(name, inputs[name])
        first = self.inputs[0]
        for name in self.inputs[1:]:
            if inputs[name].shape[0] != inputs[first].shape[0]:
                raise InputError(
                    f"{first} has {inputs[first].shape[0]} images and {name} has {inputs[name].shape[0]}; "
                    "they must be as many"
                )
            if name != "ref_rgb":
                scales = self.net.scales  # a network may serve more than the one declared
                ratios = scales if first.startswith("lr_") and name.startswith("hr_") else (1,)
                expected = [tuple(n * ratio for n in inputs[first].shape[2:]) for ratio in ratios]
                if tuple(inputs[name].shape[2:]) not in expected:
                    raise InputError(
                        f"{name} has {_size(inputs[name])} pixels; with {first} of {_size(inputs[first])} "
                        f"and scale {' or '.join(map(str, scales))}, "
                        f"{' or '.join(f'{rows} x {columns}' for rows, columns in expected)} are expected"
                    )

    def _check_one(self, name: str, x: Any) -> None:
        bands = self.bands_of(name)
        expected = f"a float tensor (B, {bands or 'bands'}, height, width)"
        if not isinstance(x, Tensor):
            raise InputError(f"{name} is a {type(x).__name__}; {self.name} takes {expected}")
        if x.ndim != 4:
            hint = "; add the batch axis with x[None]" if x.ndim == 3 else ""
            raise InputError(f"{name} has shape {tuple(x.shape)}; {self.name} takes {expected}{hint}")
        if not x.is_floating_point():
            raise InputError(f"{name} is {x.dtype}; {self.name} takes {expected}: scale it to reflectance in [0, 1]")
        if bands is not None and x.shape[1] != bands:
            named = ""
            if self.card is not None and self.card.ms_bands and name.endswith("msi"):
                named = f" ({', '.join(self.card.ms_bands)})"
            raise InputError(f"{name} has {x.shape[1]} bands; {self.name} expects {bands}{named}")
        if 0 in x.shape:
            raise InputError(f"{name} of shape {tuple(x.shape)} has no pixels")
        if any(n % self.size_multiple for n in x.shape[2:]):
            raise InputError(
                f"{name} has {_size(x)} pixels; {self.name} takes heights and widths that are multiples of "
                f"{self.size_multiple}"
            )


def load_model(which: str | Path, *, precision: str = "auto") -> Model:
    """Load a trained network with its card.

    Parameters
    ----------
    which : str or Path
        A name from ``list_models(trained=True)``, a folder with ``model.safetensors`` and ``card.json``, a
        ``.safetensors`` file with ``card.json`` beside it, or a model on the Hugging Face Hub, ``"hf:owner/name"`` or
        ``"hf:owner/name@revision"``, which is fetched once and then used from the cache, without a network too.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of inner features, see `Model`.

    Returns
    -------
    Model
        In float32, on the CPU, in evaluation mode.

    Raises
    ------
    InputError
        A ``ValueError``, if there is no such name, folder, file, repository or revision, the Hub is out of reach and
        the model not in the cache, or the weights do not fit their card: the message names the first key, shape or
        checksum that differs.
    """
    check_precision(precision)
    if not isinstance(which, str | Path):
        raise InputError(f"a model is given by a name, a folder or a .safetensors file, not a {type(which).__name__}")
    weights, card_file = _locate(which)
    card = Card.read(card_file)
    # loading must not change the user's random state
    with torch.random.fork_rng(devices=[]), no_larger_than(numbers_in(weights), str(weights)):
        net = create_model(card.system, **card.config)
    tensors, sha256 = read_weights(weights)
    fill_network(net, tensors, f"{weights} does not fit its card: it")
    if sha256 != card.sha256:
        raise InputError(
            f"{weights} does not fit its card: its sha256 is {sha256[:12]}..., the card says "
            f"{card.sha256[:12]}...; one of the two was damaged or replaced"
        )
    if prefers_channels_last(net):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    return Model(net.eval(), card, precision=precision)


def as_model(model: Model | nn.Module | str | Path) -> Model:
    """Return a model unchanged, wrap a network, and load anything else by name."""
    if isinstance(model, Model):
        return model
    if isinstance(model, nn.Module):
        return Model(model)  # type: ignore[arg-type]  # raises an error for other modules
    return load_model(model)


def _locate(which: str | Path) -> tuple[Path, Path]:
    """Return paths of weights and card."""
    if isinstance(which, str) and which.startswith(hub.PREFIX):
        which = hub.fetch(which)
    path = Path(which)
    # a name comes before a folder of that name; what has several parts is no name
    if isinstance(which, str) and len(path.parts) == 1 and (not path.exists() or which in weight_folders()):
        path = folder_with_weights(which) or path
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            there = (each.name for each in path.iterdir())
            raise InputError(f"no trained model in the folder {path}: {hub.absence(WEIGHTS, there)}")
        return path / WEIGHTS, path / CARD
    if path.is_file():
        if path.suffix != ".safetensors":
            raise InputError(f"{path} is no .safetensors file; give a model's name, its folder or that file")
        return path, path.with_name(CARD)
    shipped = weight_folders()
    if path.suffix == ".safetensors" or len(path.parts) > 1:
        raise InputError(f"no such file or folder: {path}; trained models by name: {', '.join(shipped) or 'none'}")
    if str(which) in SYSTEMS:
        trained = [name for name in shipped if name.startswith(f"{which}-")]
        raise InputError(
            f"{which!r} is a system without weights; trained: {', '.join(trained) or 'none'} "
            f"(create_model({str(which)!r}) builds an untrained network)"
        )
    raise unknown_name("trained model", str(which), [*shipped, *missing_weights()])


def prefers_channels_last(net: nn.Module) -> bool:
    """Use the channels-last layout, which is fastest for 2-D convolutions; not for networks with 3-D kernels."""
    return all(p.ndim <= 4 for p in net.parameters())


def _size(x: Tensor) -> str:
    return f"{x.shape[2]} x {x.shape[3]}"


def _in_words(degradation: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in degradation.items()
    )
