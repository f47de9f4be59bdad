"""Weights saved by the public AWAN code (Deep-imagelab/AWAN), or by its copy in caiyuanhao1998/MST-plus-plus."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from finewave.systems.awan.network import AWAN, AWCA, DRAB, PSNL
from finewave.systems.reference_weights import Rules, bare, build_module, check_names, fill_renamed, shape_of
from finewave.systems.registry import create_model

RULES: Rules = [
    (r"\bconv2d\.", ""),
    (r"^(input|head|tail)_conv2D\.", r"\1."),
    (r"^output_conv2D\.", "output_conv."),
    (r"^input_prelu2D\.", "input_relu."),
    (r"^output_prelu2D\.", "tail_relu."),
    (r"^backbone\.", "blocks."),
    (r"^tail_nonlocal\.", "psnl."),
    (r"\bup_conv\.", "conv_large."),
    (r"\bup_relu\.", "relu_large."),
    (r"\bdown_conv\.", "conv_small."),
    (r"\bdown_relu\.", "relu_small."),
    (r"\bse\.", "attention."),
    (r"(^|attention\.)conv\.weight$", r"\1weigh.weight"),
    (r"\bfc\.0\.", "squeeze."),
    (r"\bfc\.1\.", "activation."),
    (r"\bfc\.2\.", "excite."),
]
HYPER_PARAMETERS = (
    *("module", "in_channels", "out_channels", "features", "blocks", "channels", "reduction", "k1", "k2"),
)


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `AWAN`, or the module that ``config["module"]`` names, with weights of the public code.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        As the public code saves it: keys alone, or a whole checkpoint with ``"state_dict"``; prefixes ``module.`` and
        ``param.`` common to all keys are removed.
    **config
        ``in_channels``, ``out_channels``, ``features``, ``blocks``: inferred from shapes by default.
        ``module`` is ``"AWAN"`` by default; ``"AWCA"`` (``features``, ``reduction``), ``"PSNL"`` (``channels``,
        ``reduction``) and ``"DRAB"`` (``features``, ``k1``, ``k2``) are its parts.

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    check_names("AWAN", config, HYPER_PARAMETERS)
    weights = bare(state_dict)
    builders: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
        "AWAN": lambda c: _network(weights, c),
        "AWCA": lambda c: AWCA(c["features"], c.get("reduction", 16)),
        "PSNL": lambda c: PSNL(c["channels"], c.get("reduction", 8)),
        "DRAB": lambda c: DRAB(c["features"], c.get("k1", 5), c.get("k2", 3)),
    }
    name = config.get("module", "AWAN")
    net = build_module("awan", name, builders, config)
    return fill_renamed(net, weights, RULES)


def _network(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> AWAN:
    features, ms_bands = shape_of("AWAN", weights, "input_conv2D.conv2d.weight")[:2]
    blocks = {match[1] for key in weights if (match := re.match(r"backbone\.(\d+)\.", key))}
    net = create_model(
        "awan",
        ms_bands=config.get("in_channels", ms_bands),
        hs_bands=config.get("out_channels", shape_of("AWAN", weights, "output_conv2D.conv2d.weight")[0]),
        features=config.get("features", features),
        blocks=config.get("blocks", max(len(blocks), 1)),
    )
    assert isinstance(net, AWAN)
    return net
