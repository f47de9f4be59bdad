"""A recipe from data to weights: phases one after the other, resumed where they stopped."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from finewave.datasets.block_split import measured_bands
from finewave.datasets.patches import Crops, DegradedScene, Sample, load_scenes
from finewave.datasets.registry import get_dataset, open_dataset
from finewave.datasets.store import Store
from finewave.datasets.synthetic_views import UnalignedCrops, margin_for, scene_with_reference
from finewave.errors import InputError
from finewave.evaluation.evaluator import with_scores
from finewave.io.atomic import atomic_output, flush_to_disk
from finewave.io.path_checks import check_name
from finewave.physics.sensors import get_sensor
from finewave.physics.sensors.estimation import estimate_response
from finewave.provenance import checkout_revision, processor
from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model, system_named, takes_reference
from finewave.systems.start_weights import prepare_rest, start_from
from finewave.systems.weights import fill_network, read_weights
from finewave.training.activation_checkpointing import compiling, recomputing
from finewave.training.callbacks import BestWeights, MinuteCheckpoint, progress_callback
from finewave.training.configuration.lengths import with_lengths
from finewave.training.configuration.recipes import load_recipe, network_options, phase_data
from finewave.training.least_squares_init import fit_last_convolution
from finewave.training.loggers import check_services, phase_loggers
from finewave.training.phase import Phase
from finewave.training.processes import is_first_process, sole_run
from finewave.training.run_clock import RunClock
from finewave.training.seen_pixels import seen_pixels
from finewave.zoo.card import describe
from finewave.zoo.model import Model, load_model, prefers_channels_last
from finewave.zoo.precision import training_precision

MODEL_FOLDER = "model"
_START_BATCHES = 64  # a quarter of a million pixels at 4 crops of 32 x 32: hundreds for each coefficient


def train(
    recipe: str | Path | dict[str, Any],
    overrides: Sequence[str] = (),
    *,
    devices: int = 1,
    services: Sequence[str] = (),
) -> Path:
    """Train a network by a recipe; a run that was killed continues where it was, at most a minute back.

    Parameters
    ----------
    recipe : str, Path or dict
        Name or YAML file, see `load_recipe`; or its result.
    overrides : sequence of str
        ``key=value``, of a name or file.
    devices : int
        Number of GPUs (processes on CPUs); each processes its own batches.
    services : sequence of str
        Services that log losses and scores besides the files in the output folder: names of
        `finewave.training.loggers.SERVICES`.

    Returns
    -------
    Path
        Folder with weights and card of the best validation, which `load_model` takes.

    Raises
    ------
    InputError
        If the recipe, the data or the output folder cannot be used, or the folder holds another run.
    """
    check_services(services)
    config = with_lengths(recipe if isinstance(recipe, dict) else load_recipe(recipe, overrides))
    check_name(str(config["name"]), "the recipe's name")
    with sole_run(Path(config["out"])):
        return _train(config, services, devices)


def _train(config: dict[str, Any], services: Sequence[str], devices: int) -> Path:
    out = _claim(Path(config["out"]), config)
    phases = _phases(config)
    finished = out / MODEL_FOLDER
    if all((out / name / "done").exists() for name in phases) and finished.is_dir():
        return finished

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no lines about devices and tips
    torch.set_float32_matmul_precision("high")
    L.seed_everything(config["seed"], verbose=False)
    store = open_dataset(config["data"]["dataset"], config["data"]["store"])
    scale = config["model"]["scale"]
    degradation = config["data"]["degradation"]
    msi = config["data"].get("msi")
    split = store.attributes["split"]
    train_scenes = load_scenes(store, split["train"], scale, degradation, msi)
    if msi is None and config["data"]["sensor"] is None:  # of a network that looks at no multispectral image
        response = np.empty((0, len(store.wavelengths)))
    elif msi is None:
        response = get_sensor(config["data"]["sensor"]).response(store.wavelengths)
    else:
        response = estimate_response((scene.hr_msi, scene.hr_hsi) for scene in train_scenes if scene.hr_msi is not None)
    _check_bands(config, store, response)
    reference = _reference(config)
    whole = [s.whole(response) for s in load_scenes(store, split["val"], scale, degradation, msi)]
    if reference is not None:
        whole = [scene_with_reference(s, name, **reference) for s, name in zip(whole, split["val"], strict=True)]
    validation: DataLoader[Any] = DataLoader(whole, batch_size=None)  # type: ignore[arg-type]  # a list is a dataset

    net = build_network(config, train_scenes, response)
    for name, phase in phases.items():
        crops = _crops(config, phase, train_scenes, response)
        with phase_loggers(out / name, config["name"], services) as loggers:
            _run_phase(net, phase, out / name, crops, validation, loggers, devices, started=bool(config["init_from"]))
    if not is_first_process():
        return finished
    return _export(
        net, config, out, store, list(phases), seen_pixels(net, (scene.whole(response) for scene in train_scenes))
    )


def _phases(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the phases of a recipe that train anything of its network."""
    system, options = network_options(config)
    network = system_named(system).load()
    phases = {key: value for key, value in config.items() if key.startswith("phase")}
    return {key: value for key, value in phases.items() if not network.skips_phase(value["kind"], options)}


def _check_bands(config: dict[str, Any], store: Store, response: np.ndarray) -> None:
    counts = {"hs_bands": len(store.wavelengths), "ms_bands": len(response)}
    sensor = config["data"].get("msi") or f"sensor {config['data']['sensor']}"
    source = {"hs_bands": f"data set {config['data']['dataset']}", "ms_bands": sensor}
    for key, bands in counts.items():
        if (config["model"].get(key) or bands) != bands:
            raise InputError(f"model.{key}={config['model'][key]}, but the {source[key]} has {bands} bands")


def build_network(config: dict[str, Any], scenes: Sequence[DegradedScene], response: np.ndarray) -> SRNetwork:
    """Return the untrained (or initialised) network of a recipe.

    Weights to start from may be those of one part of a composition, or of a branch of JSSUNet; the others are then
    prepared as without. Where phases follow, those of the network or a part may be of another scale: what depends on
    the scale stays as the network is created.
    A network with the method ``prepare_from(samples, seed)`` receives the training scenes before training: an iterable
    of whole scenes as dicts of images by name, and the recipe's seed.
    """
    system, options = network_options(config)
    net = create_model(system, **options)
    source = f"init_from={config['init_from']}"
    start = load_model(config["init_from"]).net if config["init_from"] else None
    trains = any(key.startswith("phase") for key in config)
    complete = start is not None and start_from(net, start, source, any_scale=trains)
    if net.prepares and not complete:
        prepare_rest(net, (scene.whole(response) for scene in scenes), config["seed"], start, source)
    if prefers_channels_last(net):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    return net


def _claim(out: Path, config: dict[str, Any]) -> Path:
    """Create the output folder, or check that it holds the same run."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        recorded = out / "recipe.json"
        if not recorded.exists():
            temporary = recorded.with_suffix(".tmp")
            temporary.write_text(json.dumps(config, indent=2))
            flush_to_disk(temporary)
            temporary.replace(recorded)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from error
    before = json.loads(recorded.read_text())
    own, others = _with_plain_paths(config), _with_plain_paths(before)
    changed = [key for key in config if key != "out" and others.get(key) != own[key] and before.get(key) != config[key]]
    if changed:
        raise InputError(
            f"{out} holds a run of another recipe (different: {', '.join(changed)}); "
            "choose another folder, or remove it"
        )
    return out


def _with_plain_paths(config: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe with its paths as they lie to the run: ``-o x``, ``-o ./x`` and ``-o /home/x`` are one run."""
    out, data, start = config.get("out"), config.get("data"), config.get("init_from")

    def plain(path: Any) -> Any:
        return os.path.relpath(path, str(out)) if isinstance(path, str) and out else path

    def plain_sensor(sensor: Any) -> Any:
        file, colon, bands = sensor.rpartition(":") if isinstance(sensor, str) else ("", "", "")
        if colon and Path(file).exists():
            return f"{plain(file)}:{bands}"
        return plain(sensor) if isinstance(sensor, str) and Path(sensor).exists() else sensor

    listed = data
    if isinstance(data, dict):
        listed = {**data, "store": plain(data.get("store")), "sensor": plain_sensor(data.get("sensor"))}
    is_name = not isinstance(start, str) or not Path(start).exists()
    return {**config, "data": listed, "init_from": start if is_name else plain(start)}


def _reference(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the options of the synthetic reference for networks that use one, otherwise None."""
    needed = takes_reference(config["model"]["system"])
    return dict(config["data"].get("reference") or {}) if needed else None


def _crops(
    config: dict[str, Any], phase: dict[str, Any], scenes: list[DegradedScene], response: np.ndarray
) -> Crops | UnalignedCrops:
    data, scale, reference = phase_data(config, phase), config["model"]["scale"], _reference(config)
    margin = 0 if reference is None else margin_for(scale, reference)
    crops = Crops(
        scenes,
        response,
        scale=scale,
        crop=data["crop"] + 2 * margin,
        batch_size=data["batch_size"],
        sampling=data["sampling"],
        augment=data["augment"],
        gain=data["gain"],
        mix=data["mix"],
        blind=data.get("blind", False),
        roll=data.get("roll", False),
        steps=phase["steps"],
        seed=config["seed"],
    )
    return crops if reference is None else UnalignedCrops(crops, margin, **reference)


def _start_output(net: SRNetwork, phase: dict[str, Any], crops: Crops | UnalignedCrops, *, resumed: bool) -> None:
    """Fit the network's last convolution before the first step, if set in the recipe."""
    part = phase.get("part")
    unknown = part is not None and part not in net.parts  # which the phase refuses
    if phase.get("output_start") is None or resumed or unknown:
        return
    learner = net if part is None else net.get_submodule(part)

    def images(number: int) -> Sample:
        batch = crops.batch(number)
        return batch if part is None else net.batch_of(part, batch, estimates=phase["estimates"])

    first = (images(number) for number in range(_START_BATCHES))
    fit_last_convolution(
        learner, first, lambda batch: learner(**{name: batch[name] for name in learner.inputs}).float()
    )


def _precision(phase: dict[str, Any], folder: Path) -> str:
    """Return Lightning's name of the precision: the fastest on the machine, unless the recipe sets one.

    A phase's initial precision is stored in its folder, so that a run resumed on another machine continues with it.
    """
    if phase.get("precision") == "float32":
        return "32-true"
    begun = folder / "arithmetic"
    if begun.exists():
        return begun.read_text(encoding="utf-8")
    resolved = training_precision("cuda" if torch.cuda.is_available() else "cpu")
    if is_first_process():
        with atomic_output(begun) as temporary:
            temporary.write_text(resolved, encoding="utf-8")
    return resolved


def _run_phase(
    net: SRNetwork,
    phase: dict[str, Any],
    folder: Path,
    crops: Crops | UnalignedCrops,
    validation: DataLoader[Any],
    loggers: list[L.pytorch.loggers.Logger],
    devices: int = 1,
    started: bool = False,
) -> None:
    """Train one phase, or the rest of it, and load its best weights into ``net``; ``started``: from trained ones."""
    best = folder / "best.safetensors"
    done = folder / "done"
    if not done.exists():
        folder.mkdir(exist_ok=True)
        clock = RunClock(phase["steps"], phase["minutes"])
        checkpoint = folder / "last.ckpt"
        _start_output(net, phase, crops, resumed=checkpoint.exists())
        module = Phase(net, phase, clock)
        module.response = torch.as_tensor(crops.response, dtype=torch.float32)
        trainer = L.Trainer(
            accelerator="auto",
            devices=devices,
            strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",
            use_distributed_sampler=False,  # every process validates on all scenes and draws its own crops
            benchmark=True,  # crops of one size: on a GPU the quickest convolutions are looked for once
            precision=_precision(phase, folder),  # type: ignore[arg-type]  # one of Lightning's names
            max_steps=phase["steps"],
            val_check_interval=min(phase["validate_every"], phase["steps"]),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            log_every_n_steps=20,
            logger=loggers,
            callbacks=[MinuteCheckpoint(checkpoint), BestWeights(best), progress_callback()],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=os.isatty(2),
        )
        resume = checkpoint if checkpoint.exists() else None
        if resume:
            print(f"continuing {folder.name} from {checkpoint}", flush=True)
        # the module also holds the averaged copy; only the trained network is changed
        crops.share(trainer.global_rank, trainer.world_size)
        with _interruptible(trainer):
            if (phase.get("output_start") or started) and resume is None:
                trainer.validate(module, validation, verbose=False)  # where it starts may be hard to beat
            with recomputing(net, phase.get("checkpoint")), compiling(net, phase.get("compile", False)):
                trainer.fit(module, crops, validation, ckpt_path=resume, weights_only=True)
            if not trainer.interrupted and module.validated_at != trainer.global_step:
                trainer.validate(module, validation, verbose=False)  # the last weights may be the best
        trainer.strategy.barrier()  # the best weights are written by the first process
        done.touch()
    fill_network(net, read_weights(best)[0], str(best))
    net.requires_grad_(True)


@contextmanager
def _interruptible(trainer: L.Trainer) -> Iterator[None]:
    """Let an interruption be one, which Lightning takes for the end of the program."""
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from None
    if trainer.interrupted:
        raise KeyboardInterrupt


def _export(
    net: SRNetwork,
    config: dict[str, Any],
    out: Path,
    store: Store,
    phases: list[str],
    seen: dict[str, Any] | None,
) -> Path:
    """Write weights and card."""
    dataset = get_dataset(config["data"]["dataset"], store.path)
    split = store.attributes["split"]
    names, centres = _ms_bands(config, store)
    logs = [torch.load(out / p / "last.ckpt", map_location="cpu", weights_only=True) for p in phases]
    card = describe(
        net,
        name=config["name"],
        wavelengths_nm=[float(w) for w in store.wavelengths],
        ms_bands=names or None,
        ms_wavelengths_nm=centres,
        sensor=config["data"]["sensor"],
        training_crop=config["data"]["crop"],
        degradation={**config["data"]["degradation"], "scale": net.scale},
        measured_msi=config["data"].get("msi"),
        reference=_reference(config),
        data={
            "dataset": config["data"]["dataset"],
            "citation": dataset.citation,
            "split": {key: split[key] for key in ("train", "val")},
            "sha256": {name: store.attributes["sha256"][name] for key in ("train", "val") for name in split[key]},
            "quantity": dataset.quantity,
            "unreliable_nm": [list(each) for each in dataset.unreliable_nm],
            "seen": seen,
        },
        recipe=config,
        commit=checkout_revision(),
        seed=config["seed"],
        trained=time.strftime("%Y-%m-%d"),
        hours=round(sum(log["seconds"] for log in logs) / 3600, 2) if logs else None,  # a closed form has no phase
        hardware=_hardware(),
        licence="Apache-2.0",
        notes=dataset.notes or None,
    )
    return with_scores(Model(net, card), store).save(out / MODEL_FOLDER)


def _ms_bands(config: dict[str, Any], store: Store) -> tuple[list[str], list[float] | None]:
    """Return names and centres in nm of the multispectral bands, simulated or measured."""
    if config["data"].get("msi") is not None:
        return measured_bands(store, config["data"]["msi"])
    if config["data"]["sensor"] is None:
        return [], None
    sensor = get_sensor(config["data"]["sensor"])
    return list(sensor.bands), [round(float(centre), 1) for centre in sensor.centres]


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores of {processor()}"
