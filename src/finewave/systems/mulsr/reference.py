"""Weights saved by the public MulSR code (qianngli/MulSR), in our `MulSR` or in one of its modules.

The public network has no half-scale output, so ours is built without it: ``both_scales=False``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from finewave.systems.mulsr.network import DSCA, RDE, CrossFusion, MulSR, Scan, Unit
from finewave.systems.reference_weights import Rules, bare, build_module, check_names, fill_renamed, shape_of
from finewave.systems.registry import create_model

Config = Mapping[str, Any]

_NORM = [
    (r"\bweight_g$", "parametrizations.weight.original0"),
    (r"\bweight_v$", "parametrizations.weight.original1"),
]
_UNIT = [(r"\bm\.0\.", "conv1."), (r"\bm\.2\.", "conv2."), *_NORM]
_CROSS_FUSION = [
    (r"\bconv_diff\.", "difference."),
    (r"\breduce_D\.", "common."),
    (r"\bgamma$", "factors"),
    (r"\bconv3D\.0\.", "within."),
    (r"\bconv3D\.1\.", "across."),
    (r"\bconv\.(?=bias|weight)", "join."),
    *_NORM,
]
_RDE = [(r"\bcrossFusion\.", "cross_fusion."), *_CROSS_FUSION, *_UNIT]
_SCAN = [(r"\bconv\.1\.weight$", "slope"), (r"\bconv\.0\.", "conv.")]
_NETWORK = [
    (r"^(hsi|rgb)_head\.", r"half_encoder.\1_head."),
    (r"^(hsi|rgb)_head_x2\.", r"full_encoder.\1_head."),
    (r"^reduce\.", "half_encoder.reduce."),
    (r"^reduce_x2\.", "full_encoder.reduce."),
    (r"^uint\.", "half_unit."),
    (r"^uint_x2\.", "full_unit."),
    (r"^end_x2\.", "full_end."),
    (r"^cross_reduce\.", "interaction.reduce."),
    (r"^down\.", "interaction.down."),
    (r"^up\.0\.", "interaction.up.conv."),
    (r"^optimize_down\.", "feedback.down."),
    (r"^optimize_up\.0\.", "feedback.up.conv."),
    (r"^DULR\.(\d)\.conv\.0\.", r"interaction.context.\1.conv."),
    (r"^DULR\.(\d)\.conv\.1\.weight$", r"interaction.context.\1.slope"),
    # within modules only: other convolutions are called conv as well
    (r"^inter_body(?:_x2)?\.\d+\.crossFusion\.conv\.", lambda m: m[0].removesuffix("conv.") + "join."),
    (r"^inter_body\.(\d+)\.", r"half_encoder.stages.\1."),
    (r"^inter_body_x2\.(\d+)\.", r"full_encoder.stages.\1."),
    (r"\bcrossFusion\.", "cross_fusion."),
    *(rule for rule in _CROSS_FUSION if "join" not in rule[1]),
    *_UNIT,
]

_MODULES: dict[str, tuple[Callable[[Config], nn.Module], Rules]] = {
    "Unit": (lambda c: Unit(c["features"]), _UNIT),
    "CrossFusion": (lambda c: CrossFusion(c["features"]), _CROSS_FUSION),
    "RDE": (lambda c: RDE(c["features"]), _RDE),
    "convDU": (lambda c: Scan(c["features"], vertical=True), _SCAN),
    "convLR": (lambda c: Scan(c["features"], vertical=False), _SCAN),
    "DSCA": (lambda c: DSCA(c["features"]), _SCAN),
}
_HYPER_PARAMETERS = ("module", "features", "scale", "modules", "hs_bands", "weights", "keys", "kernel")


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `MulSR`, or the module that ``config["module"]`` names, with weights of the public code.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Keys as the public code saves them; a prefix ``module.`` (its data-parallel wrapper's) common to all is removed.
    **config
        ``module``: "MulSR" (default), "Unit", "CrossFusion", "RDE", "DSCA", "convDU" (vertical) or "convLR"
        (horizontal); modules need ``features``. ``scale`` (4) and ``hs_bands`` (31) cannot be inferred from the
        weights. ``modules`` and ``features`` of the whole network are inferred from the weights.

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    check_names("mulsr", config, _HYPER_PARAMETERS)
    state_dict = bare(state_dict)
    name = str(config.get("module", "MulSR")).partition(" ")[0]  # the rest is a comment
    modules = {"MulSR": (lambda c: _network(state_dict, c), _NETWORK), **_MODULES}
    net = build_module("mulsr", name, {key: build for key, (build, _) in modules.items()}, config)
    return fill_renamed(net, state_dict, modules[name][1])


def _network(state_dict: Mapping[str, Tensor], config: Config) -> MulSR:
    """Build the network; width and depth are inferred from the weights."""
    features, ms_bands = shape_of("mulsr", state_dict, "rgb_head.weight_v")[:2]
    stages = {key.split(".")[1] for key in state_dict if key.startswith("inter_body.")}
    net = create_model(
        "mulsr",
        scale=config.get("scale", 4),
        ms_bands=ms_bands,
        hs_bands=config.get("hs_bands", 31),
        modules=config.get("modules", len(stages)),
        features=config.get("features", features),
        both_scales=False,
    )
    assert isinstance(net, MulSR)
    return net
