"""Weights saved by the public SSFIN code (junjun-jiang/SSFIN), in our `SSFIN` or in one of its modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from finewave.errors import InputError, unknown_name
from finewave.nn.residual import RCAB, ChannelAttention
from finewave.systems.reference_weights import Rules, bare, check_names, fill_renamed, shape_of
from finewave.systems.registry import create_model
from finewave.systems.ssfin.network import (
    DAB,
    RSAB,
    SSFIN,
    Interaction,
    SpatialAttention,
    residual_group,
    spatial_group,
    spectral_group,
)

Config = Mapping[str, Any]

_SPATIAL_ATTENTION = [(r"\bspatial\.conv\.", "conv.")]
_CHANNEL_ATTENTION = [(r"\bconv_du\.0\.", "squeeze."), (r"\bconv_du\.2\.", "excite.")]
_BLOCK = [
    *_SPATIAL_ATTENTION,
    *_CHANNEL_ATTENTION,
    (r"\bSA\.", "spatial_attention."),
    (r"\bCA\.", "channel_attention."),
    (r"\b(sa|ca)\.", "attention."),
    (r"\bconv1x1\.", "join."),
    (r"\bbody\.0\.(?=weight|bias)", "conv1."),
    (r"\bbody\.2\.(?=weight|bias)", "conv2."),
]
_STREAM_GROUP = [
    (r"\bbody(\d)\.", lambda m: f"blocks.{int(m[1]) - 1}."),
    (r"\bconv0\.", "conv."),
    *_BLOCK,
]
_RRG = [(r"^((?:.*\.)?)body\.(\d)\.(?=body|SA|CA|conv1x1)", r"\1blocks.\2."), *_BLOCK]
_INTERACTION = [
    (r"\bfusion_layers\.0\.", "fuse1."),
    (r"\bfusion_layers\.2\.", "fuse2."),
    (r"\bfusion_layers\.4\.", "fuse3."),
    (r"\bspatial_broadcast\.0\.", "to_spatial."),
    (r"\bspectral_broadcast\.0\.", "to_spectral."),
]
_NETWORK = [
    (r"^pre_spatial_layers\.0\.", "spatial_head."),
    (r"^pre_spectral_layers\.0\.", "spectral_head."),
    (r"^conv1\.", "fusion_join."),
    (r"^fusion_block\.0\.", "tail."),
    (r"^post_spatial_layers\.0\.", "hr_msi_up.0."),
    (r"^post_spatial_layers\.2\.", "hr_msi_tail."),
    (r"^post_spectral_layers\.0\.", "lr_hsi_tail."),
    (r"^pre_fusion_layers\.0\.", "fusion_up.0."),
    (r"^pre_fusion_layers\.3\.", "fusion_entry."),
    (r"^fusion_net\.0\.", "fusion_group."),
    (r"^fusion(\d)\.", lambda m: f"interactions.{int(m[1]) - 1}."),
    (r"^spa(\d)\.spatial_layers\.", lambda m: f"spatial.{int(m[1]) - 1}."),
    (r"^spe(\d)\.spectral_layers\.", lambda m: f"spectral.{int(m[1]) - 1}."),
    *_INTERACTION,
    *_RRG,
    *_STREAM_GROUP,
]

_MODULES: dict[str, tuple[Callable[[Config], nn.Module], Rules]] = {
    "spatial_attn_layer": (lambda c: SpatialAttention(), _SPATIAL_ATTENTION),
    "CALayer": (lambda c: ChannelAttention(c["features"], 16), _CHANNEL_ATTENTION),
    "RSAB": (lambda c: RSAB(c["features"]), _BLOCK),
    "RCAB": (lambda c: RCAB(c["features"], reduction=16), _BLOCK),
    "DAB": (lambda c: DAB(c["features"]), _BLOCK),
    "spaResidualGroup": (lambda c: spatial_group(c["features"]), _STREAM_GROUP),
    "speResidualGroup": (lambda c: spectral_group(c["features"]), _STREAM_GROUP),
    "RRG": (lambda c: residual_group(c["features"]), _RRG),
    "FusionBlock": (lambda c: Interaction(c["features"], 0), _INTERACTION),
    "FusionBlock2": (lambda c: Interaction(c["features"], 1), _INTERACTION),
    "FusionBlock3": (lambda c: Interaction(c["features"], 2), _INTERACTION),
}
_HYPER_PARAMETERS = ("module", "in_channels", "out_channels", "features", "scale", "kernel", "inputs")
_NAME = "SpatialSpectralSRNet"


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `SSFIN`, or the module that ``config["module"]`` names, with weights of the public code.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Keys as the public code saves them; a prefix ``module.`` common to all is removed.
    **config
        ``module``: "SpatialSpectralSRNet" (default), "spatial_attn_layer", "CALayer", "RSAB", "RCAB", "DAB",
        "spaResidualGroup", "speResidualGroup", "RRG", "FusionBlock", "FusionBlock2" or "FusionBlock3"; all modules but
        the first two need ``features``. ``scale`` is 2, the only one of the public code. ``in_channels``,
        ``out_channels`` and ``features`` of the whole network are inferred from the weights; ``kernel`` and ``inputs``
        are the modules' own.

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    check_names("ssfin", config, _HYPER_PARAMETERS)
    state_dict = bare(state_dict)
    name = config.get("module", _NAME)
    if name == _NAME:
        return fill_renamed(_network(state_dict, config), state_dict, _NETWORK)
    if name not in _MODULES:
        raise unknown_name("module of ssfin", name, [_NAME, *_MODULES])
    build, rules = _MODULES[name]
    try:
        net = build(config)
    except KeyError as error:
        raise InputError(f"ssfin's module {name} needs the hyper-parameter {error.args[0]!r}") from error
    return fill_renamed(net, state_dict, rules)


def _network(state_dict: Mapping[str, Tensor], config: Config) -> SSFIN:
    """Build the network; bands and width are inferred from the weights."""
    if config.get("scale", 2) != 2:
        raise InputError(f"scale={config['scale']}; the public SSFIN code has networks of scale 2 alone")
    features, ms_bands = shape_of("ssfin", state_dict, "pre_spatial_layers.0.weight")[:2]
    net = create_model(
        "ssfin",
        scale=2,
        ms_bands=config.get("in_channels", ms_bands),
        hs_bands=config.get("out_channels", shape_of("ssfin", state_dict, "fusion_block.0.weight")[0]),
        features=config.get("features", features),
    )
    assert isinstance(net, SSFIN)
    return net
