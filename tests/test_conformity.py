"""What every registered system must do. A new system adds its line to `SMALL`; nothing else.

Tasks differ in what a network is asked for: ``ssr`` keeps the size (``net.scale`` is 1 and no option), ``sr`` keeps the
bands (no ``ms_bands``), ``refsr`` has a reference of any size. An option that a system does not have is not given.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from finewave.systems.base import SRNetwork
from finewave.systems.registry import SYSTEMS, config_of, create_model
from finewave.zoo.distribution.listing import list_models
from finewave.zoo.model import Model, load_model

# keyword arguments that make each network as small as it can be with all of its parts in use
SMALL: dict[str, dict[str, Any]] = {
    "awan": {"features": 16, "blocks": 2, "initialisation": "framework"},
    "mst++": {"stages": 2},
    "jssunet": {"features": 12, "stages": 2, "n_clusters": 2, "patch": 3, "window": 5, "heads": 2},
    "us3rn": {"stages": 3, "corrections": 1},
    "sspsr": {"features": 12, "blocks": 2, "group_size": 4, "overlap": 1, "reduction": 3},
    "fusformer": {"features": 12, "heads": 2, "head_features": 4, "hidden": 8, "patch": 10},
    "ssfin": {"features": 12, "blocks": 2, "reduction": 3},
    "mulsr": {"features": 8, "modules": 1},
    "ssc-hsr": {"features": 8, "flow_features": 8, "flow_iterations": 2, "warp_features": 4, "blocks": [1, 1, 1]},
    "jssunet-sr": {"features": 12, "stages": 2},
    "jssunet-ssr": {"features": 12, "stages": 2, "n_clusters": 2},
    "kernel-ridge": {"centres": 7, "windows": [3, 5]},
    "any-sensor": {"ssr_options": {"centres": 7, "windows": [3, 5]}, "windows": [3, 5], "spectra": 20, "components": 3},
    "scene-ridge": {"centres": 9, "pixels": 40},
    "blue-end": {"ridge": {"centres": 9, "pixels": 40}},
    "jssunet-fusion": {"features": 12, "stages": 2, "fusion_blocks": 1},
    "ssjsr": {"features": 8},
    "residual-sr": {"features": 8, "blocks": 1},
    "bandwise-sr": {"features": 8, "blocks": 1},
    "edsr": {"features": 12, "blocks": 2},
    "gdrrn": {"features": 12, "units": 2},
    "3d-fcnn": {"features": 8},
    "sr-ssr": {"sr": "bicubic", "ssr": "quadratic"},
    "ssr-sr": {"sr": "ibp", "ssr": "ridge", "sr_options": {"iterations": 2}},
    "sr-ssr-fusion": {
        "sr": "bicubic",
        "ssr": "ridge",
        "fusion": "fusformer",
        "fusion_options": {"features": 12, "heads": 2, "head_features": 4, "hidden": 8, "patch": 10},
    },
    "ensemble-ssr": {"members": ["ridge", "quadratic"]},
    "ensemble-sr": {"members": ["bicubic", "edsr"], "options": [{}, {"features": 12, "blocks": 2}]},
    "ensemble-sssr": {
        "members": ["sr-ssr", "ssr-sr"],
        "options": [{"sr": "bicubic", "ssr": "ridge"}, {"sr": "bicubic", "ssr": "quadratic"}],
    },
    "ensemble-fusion": {
        "members": ["gsa", "jssunet-fusion"],
        "options": [{}, {"features": 12, "stages": 2, "fusion_blocks": 1}],
    },
    "bicubic": {},
    "ibp": {"iterations": 2},
    "ridge": {},
    "quadratic": {},
    "root-polynomial": {},
    "ridge-knn": {"neighbours": 3, "pixels": 40},
    "knn": {"neighbours": 3, "pixels": 50, "nodes": 20},
    "gsa": {},
    "cnmf": {"endmembers": 3, "iterations": 3, "turns": 2},
    "local-regression": {"windows": [2.0, 0.6], "ridge": [1e-4, 1e-3]},
    "residual-fusion": {
        **{"components": 4, "features": 8, "blocks": 1, "windows": [0.6], "ridge": [1e-3], "steps": 2, "crop": 8},
        "initialisation": "framework",  # its own start is the regression alone
    },
}
BANDS = [(3, 31), (4, 6), (1, 5)]
SCALES = [2, 3, 4]


def options_of(name: str) -> set[str]:
    """Return the options that a system has."""
    return set(inspect.signature(SYSTEMS[name].load()).parameters)


def build(name: str, **config: Any) -> nn.Module:
    """Return a small network of a system; one without a line in `SMALL` fails here."""
    assert name in SMALL, f"give tests/test_conformity.py a small configuration of {name}"
    torch.manual_seed(3)
    known = options_of(name)
    return create_model(name, **{**SMALL[name], **{key: value for key, value in config.items() if key in known}})


def inputs_of(net: nn.Module, height: int, width: int, batch: int = 1, dtype: Any = torch.float32) -> dict[str, Tensor]:
    """Return random inputs by name whose LR images are ``height`` x ``width`` times the size multiple.

    A network without LR input gets HR images of that size; a reference may have any size.
    """
    rows, columns = height * net.size_multiple, width * net.size_multiple
    tensors = {}
    for name in net.inputs:
        s = 1 if name.startswith("lr_") else net.scale
        bands = 3 if name == "ref_rgb" else net.ms_bands if name.endswith("msi") else net.hs_bands
        more, less = (3, -1) if name == "ref_rgb" else (0, 0)
        tensors[name] = torch.rand(batch, bands, rows * s + more, columns * s + less, dtype=dtype)
    return tensors


def expected_shape(net: nn.Module, inputs: dict[str, Tensor]) -> tuple[int, ...]:
    """Return the shape of the output that the task's definition asks for."""
    name, first = next(iter(inputs.items()))
    ratio = net.scale if net.output.startswith("hr_") and name.startswith("lr_") else 1
    bands = net.ms_bands if net.output.endswith("msi") else net.hs_bands
    return (first.shape[0], bands, first.shape[2] * ratio, first.shape[3] * ratio)


def tensors_in(outputs: Any) -> Iterator[Tensor]:
    """Yield every tensor of what a network returns in training: one, or several in sequences or mappings."""
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, dict):
        yield from tensors_in(list(outputs.values()))
    elif isinstance(outputs, list | tuple):
        for output in outputs:
            yield from tensors_in(output)


@pytest.fixture(params=list_models())
def system(request: pytest.FixtureRequest) -> str:
    return request.param


def test_registry_tells_the_truth(system: str) -> None:
    net, entry = build(system), SYSTEMS[system]
    assert (net.task, tuple(net.inputs), net.output) == (entry.task, entry.inputs, entry.output)
    assert isinstance(net, nn.Module)
    assert net.size_multiple >= 1
    assert (net.scale == 1) == all(name.startswith("hr_") == net.output.startswith("hr_") for name in net.inputs)
    assert net.receptive_field is None or net.receptive_field >= 0


def test_what_is_prepared_from_the_training_scenes_says_so(system: str) -> None:
    """Training reads no scene for a network that does not ask for it."""
    network = SYSTEMS[system].load()
    if network.prepare_from is not SRNetwork.prepare_from:
        assert network.prepares is not SRNetwork.prepares


def test_shape_for_several_bands_and_scales(system: str) -> None:
    for scale in SCALES:
        for ms_bands, hs_bands in BANDS:
            if (scale != SCALES[0] and "scale" not in options_of(system)) or (
                (ms_bands, hs_bands) != BANDS[0] and not {"ms_bands", "hs_bands"} & options_of(system)
            ):
                continue
            net = build(system, scale=scale, ms_bands=ms_bands, hs_bands=hs_bands).eval()
            inputs = inputs_of(net, 3, 5, batch=2)
            with torch.no_grad():
                output = net(**inputs)
            assert tuple(output.shape) == expected_shape(net, inputs), (scale, ms_bands, hs_bands)
            assert torch.isfinite(output).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (2, 1), (7, 3), (9, 11)])
def test_odd_and_tiny_sizes(system: str, height: int, width: int) -> None:
    net = build(system).eval()
    inputs = inputs_of(net, height, width)
    with torch.no_grad():
        output = net(**inputs)
    assert tuple(output.shape) == expected_shape(net, inputs)
    assert torch.isfinite(output).all()


def test_gradients_reach_every_parameter(system: str) -> None:
    net = build(system).train()
    if not list(net.parameters()):
        assert SYSTEMS[system].baseline
        return
    for _ in range(6):  # several images, so that every cluster or expert has its pixels
        inputs = inputs_of(net, 8, 8, batch=2)
        loss = torch.zeros(())
        for output in tensors_in(net(**inputs)):  # training may have more outputs than the one of the task
            loss = loss + (output * torch.randn_like(output)).mean()
        loss.backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    wild = [name for name, p in net.named_parameters() if not torch.isfinite(p.grad).all()]
    assert wild == []


def test_evaluation_is_deterministic_and_images_are_independent(system: str) -> None:
    net = build(system).eval()
    inputs = inputs_of(net, 5, 6, batch=3)
    with torch.no_grad():
        first, second = net(**inputs), net(**inputs)
        alone = net(**{name: x[1:2] for name, x in inputs.items()})
    assert torch.equal(first, second)
    torch.testing.assert_close(first[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-3), (torch.bfloat16, 0.2)])
def test_other_dtypes(system: str, dtype: torch.dtype, tolerance: float) -> None:
    net = build(system).eval()
    inputs = inputs_of(net, 6, 5)
    with torch.no_grad():
        single = net(**inputs)
        other = net.to(dtype)(**{name: x.to(dtype) for name, x in inputs.items()})
    assert single.dtype == torch.float32
    assert other.dtype == dtype
    # a mean, because a near tie between clusters or neighbours may fall differently in a few pixels
    assert (other.float() - single).abs().mean() <= tolerance * single.abs().mean()


def test_state_dict_round_trip(system: str) -> None:
    net = build(system).eval()
    name, config = config_of(net)
    torch.manual_seed(99)
    twin = create_model(name, **config).eval()
    inputs = inputs_of(net, 4, 5)
    with torch.no_grad():
        if net.state_dict():  # what does not learn has no state
            assert not torch.equal(net(**inputs), twin(**inputs))
        twin.load_state_dict(net.state_dict())
        assert torch.equal(net(**inputs), twin(**inputs))


def test_save_and_load_with_card(system: str, tmp_path: Any) -> None:
    model = Model(build(system, scale=3))
    model.save(tmp_path / "weights", licence="CC0-1.0")
    loaded = load_model(tmp_path / "weights")
    inputs = inputs_of(model.net, 4, 5)
    torch.testing.assert_close(loaded.predict(**inputs), model.predict(**inputs))
    card = loaded.card
    assert (card.system, card.scale, card.licence) == (system, 3 if "scale" in options_of(system) else 1, "CC0-1.0")
    assert card.parameters == sum(p.numel() for p in model.net.parameters())
    assert load_model(tmp_path / "weights" / "model.safetensors").card == card


def test_wrong_arguments_are_refused(system: str) -> None:
    with pytest.raises(ValueError, match="hs_bandz"):
        create_model(system, **SMALL[system], hs_bandz=3)
    for wrong in ({"scale": 1}, {"scale": 2.5}, {"hs_bands": 0}, {"ms_bands": 0}):
        key = next(iter(wrong))
        if key in options_of(system):
            with pytest.raises(ValueError, match=key):
                build(system, **wrong)


def test_wrong_inputs_are_refused(system: str) -> None:
    """A message names the input at fault: one too few, one that does not exist, wrong bands, sizes that do not fit."""
    model = Model(build(system))
    inputs = inputs_of(model.net, 4, 5)
    for name, x in inputs.items():
        rest = {key: value for key, value in inputs.items() if key != name}
        with pytest.raises(ValueError, match=name):
            model.predict(**rest)
        with pytest.raises(ValueError, match=rf"{name}.*bands"):
            model.predict(**rest, **{name: torch.cat((x, x), 1)})
        with pytest.raises(ValueError, match=name):
            model.predict(**rest, **{name: x[0]})
        if name != next(iter(inputs)) and name != "ref_rgb":
            with pytest.raises(ValueError, match=rf"{name} has .* pixels; with"):
                model.predict(**rest, **{name: torch.cat((x, x), 3)})
            with pytest.raises(ValueError, match="as many"):
                model.predict(**rest, **{name: torch.cat((x, x))})
    with pytest.raises(ValueError, match="hr_msj"):
        model.predict(**inputs, hr_msj=torch.rand(1, 3, 8, 8))
