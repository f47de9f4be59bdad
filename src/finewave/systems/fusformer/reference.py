"""Weights saved by the public Fusformer code (J-FHu/Fusformer), in our `Fusformer` or in one of its modules.

That code saves two position embeddings that it never uses; they are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from finewave.errors import InputError, unknown_name
from finewave.systems.fusformer.network import Attention, Decoder, Encoder, FeedForward, Fusformer
from finewave.systems.reference_weights import Rules, bare, check_names, fill_renamed, shape_of
from finewave.systems.registry import create_model

Config = Mapping[str, Any]

_ATTENTION = [(r"\bto_qkv\.", "qkv."), (r"\bto_out\.0\.", "out.")]
_FEED_FORWARD = [(r"\bnet\.0\.", "linear1."), (r"\bnet\.3\.", "linear2.")]
_LAYERS = [(r"\blayers\.(\d+)\.(\d+)\.fn\.(fn\.)?", lambda m: f"{m[1]}.{m[2]}.{'block.' if m[3] else ''}")]
_STACK = [*_LAYERS, *_ATTENTION, *_FEED_FORWARD]
_NETWORK = [
    (r"^Embedding\.0\.", "embedding."),
    (r"^T_E\.", "encoder."),
    (r"^T_D\.", "decoder."),
    (r"^refine\.0\.", "refine1."),
    (r"^refine\.2\.", "refine2."),
    *_STACK,
]
_UNUSED = r"\bpos_embedding$"


def _stack(kind: type[Encoder] | type[Decoder]) -> Callable[[Config], nn.Module]:
    return lambda c: kind(c["dim"], c.get("depth", 2), c.get("heads", 3), c.get("dim_head", 16), c.get("mlp", c["dim"]))


_MODULES: dict[str, tuple[Callable[[Config], nn.Module], Rules]] = {
    "Attention": (lambda c: Attention(c["dim"], c.get("heads", 3), c.get("dim_head", 16)), _ATTENTION),
    "FeedForward": (lambda c: FeedForward(c["dim"], c.get("hidden", c["dim"])), _FEED_FORWARD),
    "Transformer_E": (_stack(Encoder), _STACK),
    "Transformer_D": (_stack(Decoder), _STACK),
}
_HYPER_PARAMETERS = (
    *("module", "scale", "ms_bands", "hs_bands", "features", "heads", "dim", "dim_head", "depth", "hidden", "mlp"),
    *("patch", "note", "activation"),  # the last two are comments of the reference cases
)


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `Fusformer`, or the module that ``config["module"]`` names, with weights of the public code.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Keys as the public code saves them; a prefix ``module.`` (its data-parallel wrapper's) common to all is removed.
    **config
        ``module`` ("MainNet", which is the default, "Attention", "FeedForward", "Transformer_E", "Transformer_D"),
        ``scale`` (4), ``heads`` (3), ``dim_head``, and for modules ``dim``, ``depth``, ``mlp``, ``hidden``. Bands and
        widths of the whole network are inferred from the weights. ``patch`` is finewave's: side of the patches of the
        attention, 64, or None for the whole image at once, as in one call of the public network.

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    check_names("fusformer", config, _HYPER_PARAMETERS)
    state_dict = bare(state_dict)
    name = config.get("module", "MainNet")
    if name == "MainNet":
        return fill_renamed(_network(state_dict, config), state_dict, _NETWORK, _UNUSED)
    if name not in _MODULES:
        raise unknown_name("module of fusformer", name, ["MainNet", *_MODULES])
    build, rules = _MODULES[name]
    try:
        net = build(config)
    except KeyError as error:
        raise InputError(f"fusformer's module {name} needs the hyper-parameter {error.args[0]!r}") from error
    return fill_renamed(net, state_dict, rules, _UNUSED)


def _network(state_dict: Mapping[str, Tensor], config: Config) -> nn.Module:
    """Build the network; widths and depths are inferred from the weights."""

    def layers(part: str) -> int:
        return len({match[1] for key in state_dict if (match := re.match(rf"{part}\.layers\.(\d+)\.", key))})

    features, bands = shape_of("fusformer", state_dict, "Embedding.0.weight")
    hs_bands = shape_of("fusformer", state_dict, "refine.2.weight")[0]
    heads, hidden, head_features = config.get("heads", 3), features, config.get("dim_head", 16)
    if (first := state_dict.get("T_E.layers.0.0.fn.fn.to_qkv.weight")) is not None:
        head_features = config.get("dim_head", first.shape[0] // (3 * heads))
        hidden = len(state_dict.get("T_E.layers.0.1.fn.fn.net.0.weight", first[:features]))
    net = create_model(
        "fusformer",
        scale=config.get("scale", 4),
        ms_bands=config.get("ms_bands", bands - hs_bands),
        hs_bands=config.get("hs_bands", hs_bands),
        features=config.get("features", features),
        heads=heads,
        head_features=head_features,
        encoder_layers=layers("T_E"),
        decoder_layers=layers("T_D"),
        hidden=hidden,
        patch=config.get("patch", 64),
    )
    assert isinstance(net, Fusformer)
    return net
