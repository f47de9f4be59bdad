"""Weights saved by the public MST++ code (caiyuanhao1998/MST-plus-plus)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from finewave.systems.mstpp.network import FFN, SST, MSTPlusPlus, SpectralMSA, sabs
from finewave.systems.reference_weights import Rules, bare, build_module, check_names, fill_renamed, shape_of
from finewave.systems.registry import create_model

RULES: Rules = [
    (r"^body\.", "stages."),
    (r"\bencoder_layers\.(\d+)\.0\.", r"encoders.\1.attention."),
    (r"\bencoder_layers\.(\d+)\.1\.", r"encoders.\1.down."),
    (r"\bdecoder_layers\.(\d+)\.0\.", r"decoders.\1.up."),
    (r"\bdecoder_layers\.(\d+)\.1\.", r"decoders.\1.fuse."),
    (r"\bdecoder_layers\.(\d+)\.2\.", r"decoders.\1.attention."),
    (r"\bblocks\.(\d+)\.0\.", r"\1.attention."),
    (r"\bblocks\.(\d+)\.1\.norm\.", r"\1.norm."),
    (r"\bblocks\.(\d+)\.1\.fn\.", r"\1.feed_forward."),
    (r"\bnet\.0\.", "expand."),
    (r"\bnet\.2\.", "depthwise."),
    (r"\bnet\.4\.", "reduce."),
    (r"\bto_q\.", "query."),
    (r"\bto_k\.", "key."),
    (r"\bto_v\.", "value."),
    (r"\brescale$", "sigma"),
    (r"\bpos_emb\.", "position."),
]
HYPER_PARAMETERS = (
    *("module", "in_channels", "out_channels", "features", "stages"),
    *("dim", "dim_head", "heads", "blocks", "num_blocks", "stage", "layout", "mult"),
)


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `MSTPlusPlus`, or the module that ``config["module"]`` names, with weights of the public code.

    The public code stretches each input image by its own minimum and maximum before the network; give weights that
    it trained such inputs, see ``docs/models/mstpp.md``.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        As the public code saves it: keys alone, or a whole checkpoint with ``"state_dict"``; prefixes ``module.`` and
        ``param.`` common to all keys are removed.
    **config
        ``in_channels``, ``out_channels`` and ``features`` (which are equal), ``stages``: inferred from shapes by
        default. ``module`` is ``"MST_Plus_Plus"`` by default; ``"MS_MSA"`` and ``"FeedForward"`` (which take channels
        last), ``"MSAB"`` and ``"MST"`` are its parts. Text after the name is a comment.

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    check_names("MST++", config, HYPER_PARAMETERS)
    weights = bare(state_dict)
    builders: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
        "MST_Plus_Plus": lambda c: _network(weights, c),
        "MST": lambda c: SST(c["dim"], c["num_blocks"]),
        "MSAB": lambda c: sabs(c["dim"], c["heads"], c["blocks"]),
        "MS_MSA": lambda c: SpectralMSA(c["dim"], c["heads"]),
        "FeedForward": lambda c: FFN(c["dim"], c.get("mult", 4)),
    }
    name = str(config.get("module", "MST_Plus_Plus")).split(" ")[0]
    net = build_module("mst++", name, builders, config)
    return fill_renamed(net, weights, RULES)


def _network(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> MSTPlusPlus:
    width, ms_bands = shape_of("MST++", weights, "conv_in.weight")[:2]
    stages = {match[1] for key in weights if (match := re.match(r"body\.(\d+)\.", key))}
    net = create_model(
        "mst++",
        ms_bands=config.get("in_channels", ms_bands),
        hs_bands=config.get("out_channels", config.get("features", width)),
        stages=config.get("stages", max(len(stages), 1)),
    )
    assert isinstance(net, MSTPlusPlus)
    return net
