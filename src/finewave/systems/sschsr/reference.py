"""Weights saved by the public SSC-HSR code (BITYKZhang/SSC-HSR), in our `SSCHSR` or in one of its modules.

The two differ in names only. Names inside `RAFT` are those of its authors' code, as in the public code's flow weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from finewave.errors import InputError, unknown_name
from finewave.systems.reference_weights import bare, check_names, fill_renamed, shape_of
from finewave.systems.registry import create_model
from finewave.systems.sschsr.guided_attention import RMCA, SMSA, FeedForward, FusionBlock, LayerNorm
from finewave.systems.sschsr.network import (
    AttentionFusion,
    ConvBlock,
    Decoder,
    DeformableAggregation,
    HSIEncoder,
    WarpNet,
)
from finewave.systems.sschsr.raft import RAFT, Encoder, ResidualBlock, SepConvGRU

Config = Mapping[str, Any]
Rules = list[tuple[str, Any]]

# --- Keys: pairs of a pattern and its replacement, applied one after the other ------------------------------------

_CONV_BLOCK: Rules = [(r"\bblock\.0\.", "conv1."), (r"\bblock\.2\.", "conv2."), (r"\bconv11\.", "shortcut.")]
_WARP_NET: Rules = [
    (r"\bblock\.pool(\d)\.", r"down\1."),
    (r"\bblock\.upv4\.", "up2."),
    (r"\bblock\.upv5\.", "up1."),
    (r"\bblock\.conv6\.", "out."),
    (r"\bblock\.ConvBlock1\.", "encode1."),
    (r"\bblock\.ConvBlock2\.", "encode2."),
    (r"\bblock\.ConvBlock3\.", "bottom."),
    (r"\bblock\.ConvBlock4\.", "decode2."),
    (r"\bblock\.ConvBlock5\.", "decode1."),
    *_CONV_BLOCK,
]
_HSI_ENCODER: Rules = [
    (r"\bpool(\d)\.", lambda m: f"convs.{int(m[1]) - 1}."),
    (r"\bConvBlock(\d)\.", lambda m: f"blocks.{int(m[1]) - 1}."),
    *_CONV_BLOCK,
]
_LAYER_NORM: Rules = [(r"\bbody\.(weight|bias)$", r"\1")]
_FEED_FORWARD: Rules = [(r"\bdwconv\.", "depthwise.")]
_ATTENTION: Rules = [(r"\b(qkv|kv|q)_dwconv\.", r"\1_depthwise."), (r"\bpos_emb\.", "position.")]
_FUSION_BLOCK: Rules = [
    *_ATTENTION,
    *_FEED_FORWARD,
    *_LAYER_NORM,
    (r"\bcattn\.norm1\.", "cross_norm1."),
    (r"\bcattn\.norm2\.", "reference_norm."),
    (r"\bcattn\.norm3\.", "cross_norm2."),
    (r"\bcattn\.attn\.", "cross_attention."),
    (r"\bcattn\.ffn\.", "cross_feed_forward."),
    (r"\battn\.norm(\d)\.", r"self_norm\1."),
    (r"\battn\.attn\.", "self_attention."),
    (r"\battn\.ffn\.", "self_feed_forward."),
]
_ATTENTION_FUSION: Rules = [
    (r"\bpatch_embed\.proj\.", "embed."),
    (r"\boutput\.", "out."),
    (r"\bup\.body\.0\.", "up."),
    (r"\bbody\.(\d+)\.", r"blocks.\1."),
    *_FUSION_BLOCK,
]
_DEFORMABLE: Rules = [(r"\bconv_offset_mask\.", "offset_mask.")]
_LEVELS = {"small": "0", "medium": "1", "large": "2"}
_DECODER: Rules = [
    *_DEFORMABLE,
    (r"\bup_(small|medium|large)_dyn_agg\.", lambda m: f"aggregation.{_LEVELS[m[1]]}.aggregate."),
    (r"\bup_(small|medium|large)_offset_conv(\d)\.", lambda m: f"aggregation.{_LEVELS[m[1]]}.conv{m[2]}."),
    (r"\b(medium|large)_fusion\.", lambda m: f"aggregation.{_LEVELS[m[1]]}.merge."),
    (r"\bres(\d)\.", lambda m: f"fusion.{int(m[1]) - 1}."),
    *_ATTENTION_FUSION,
]
_BLOCK: Rules = [(r"(^|\d\.)norm3\.", r"\1downsample.1.")]  # RAFT's blocks have two names for one norm
RAFT_RULES: Rules = [
    *_BLOCK,
    (r"^module\.", ""),
    (r"\bfnet\.", "feature_encoder."),
    (r"\bcnet\.", "context_encoder."),
    (r"\bupdate_block\.", "update."),
]
_NETWORK: dict[str, tuple[str, Rules]] = {
    "flownet": ("flow_network", RAFT_RULES),
    "warpnet": ("warp_network", _WARP_NET),
    "hsi_encoder": ("hsi_encoder", _HSI_ENCODER),
    "decoder": ("decoder", _DECODER),
    "rgb_extractor.feature_extraction_image1.model": ("match_image", []),
    "rgb_extractor.feature_extraction_image2.model": ("match_reference", []),
    "similar.vgg.vgg_net": ("reference_features", []),
}
_CONSTANTS = r"\.(mean|std)$"  # of the image normalisation


def _renamed_network(key: str) -> str:
    for prefix, (part, rules) in _NETWORK.items():
        if key.startswith(f"{prefix}."):
            rest = key.removeprefix(f"{prefix}.")
            for pattern, replacement in rules:
                rest = re.sub(pattern, replacement, rest)
            return f"{part}.{rest}"
    return key  # reported as unexpected


def without_aliases(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict without the duplicate names of norms in RAFT's blocks."""
    pattern, other = r"\bdownsample\.1\.", "norm3."
    return {
        key: value
        for key, value in state_dict.items()
        if (n := re.sub(pattern, other, key)) == key or n not in state_dict
    }


# --- Modules ------------------------------------------------------------------------------------------------------


def _attention_fusion(c: Config) -> AttentionFusion:
    return AttentionFusion(
        c["inp_channels"], c["dim"], c["out_channels"], c["blocks"], c["heads"], upsample=c["upsample"]
    )


_MODULES: dict[str, tuple[Callable[[Config], nn.Module], Rules]] = {
    "ConvBlock": (lambda c: ConvBlock(c["in_channels"], c["out_channels"]), _CONV_BLOCK),
    "WarpNet": (lambda c: WarpNet(c["dim"]), _WARP_NET),
    "HSIEncoder": (lambda c: HSIEncoder(c["in_channels"], c["channels"]), _HSI_ENCODER),
    "LayerNorm": (lambda c: LayerNorm(c["dim"]), _LAYER_NORM),
    "GatedDconvFFN": (lambda c: FeedForward(c["dim"], c.get("expansion", 2.66)), _FEED_FORWARD),
    "SpectralSelfAttention": (lambda c: SMSA(c["dim"], c["heads"]), _ATTENTION),
    "ReferenceGuidedCrossAttention": (lambda c: RMCA(c["dim"], c["heads"]), _ATTENTION),
    "SelfCrossLayer": (lambda c: FusionBlock(c["dim"], c["heads"]), _FUSION_BLOCK),
    "AttentionFusion": (_attention_fusion, _ATTENTION_FUSION),
    "IDFA deformable aggregation": (
        lambda c: DeformableAggregation(c["channels"], c["deformable_groups"], c.get("max_residue", 10)),
        _DEFORMABLE,
    ),
    "SSC-HSR decoder": (
        lambda c: Decoder(c["out_channels"], c["channels"] // 4, match_anchor="corner"),
        _DECODER,
    ),
    "RAFT ResidualBlock": (lambda c: ResidualBlock(c["in_planes"], c["planes"], c["norm"], c["stride"]), _BLOCK),
    "RAFT BasicEncoder": (lambda c: Encoder(c["output_dim"], c["norm"]), _BLOCK),
    "SepConvGRU": (lambda c: SepConvGRU(c["hidden"], c["input"]), []),
    "RAFT basic": (lambda c: RAFT(iterations=c.get("iters", 12)), RAFT_RULES),
}
_OF_NETWORK = ("module", "scale", "in_channels", "channels", "rgb_bands", "iters")
_OF_MODULES = (
    *("out_channels", "dim", "heads", "blocks", "inp_channels", "prev_channels", "upsample", "expansion"),
    *("deformable_groups", "max_residue", "in_planes", "planes", "norm", "stride", "output_dim", "hidden", "input"),
)
_WITHOUT_EFFECT = ("note", "weights", "keys")  # the reference cases' remarks


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `SSCHSR`, or the module that ``config["module"]`` names, with weights of the public code.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Keys as the public code saves them; a prefix common to all is removed, see `bare`.
    **config
        For the whole network ``scale`` (which weights do not tell), ``iters`` and ``rgb_bands``; widths and bands are
        read off the shapes. Otherwise ``module`` and that module's hyper-parameters by the names of the public code.

    Returns
    -------
    torch.nn.Module
        The network follows the public code in options that do not affect shapes (``flow_grid="published"``,
        ``match_anchor="corner"``).

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    check_names("SSC-HSR", config, (*_OF_NETWORK, *_OF_MODULES, *_WITHOUT_EFFECT))
    state_dict = without_aliases(bare(state_dict))
    name = config.get("module", "SSC-HSR")
    if name == "SSC-HSR":
        rules: Rules = [(r"^.+$", lambda match: _renamed_network(match[0]))]
        return fill_renamed(_network(state_dict, config), state_dict, rules, _CONSTANTS)
    if name not in _MODULES:
        raise unknown_name("module of ssc-hsr", name, ["SSC-HSR", *_MODULES])
    build, rules = _MODULES[name]
    try:
        net = build(config)
    except KeyError as error:
        raise InputError(f"ssc-hsr's module {name} needs the hyper-parameter {error.args[0]!r}") from error
    return fill_renamed(net, state_dict, rules)


def _network(state_dict: Mapping[str, Tensor], config: Config) -> nn.Module:
    """Build the network, with options inferred from the weights."""

    def shape(key: str) -> tuple[int, ...]:
        return tuple(shape_of("SSC-HSR", state_dict, key))

    features, hs_bands = shape("hsi_encoder.ConvBlock1.conv11.weight")[:2]
    options: dict[str, Any] = {} if config.get("rgb_bands") is None else {"rgb_bands": config["rgb_bands"]}
    return create_model(
        "ssc-hsr",
        scale=config.get("scale", 8),  # the public example's
        hs_bands=config.get("in_channels", hs_bands),
        features=config.get("channels", features),
        flow_features=shape("flownet.fnet.conv1.weight")[0],
        warp_features=shape("warpnet.block.ConvBlock1.conv11.weight")[0],
        flow_iterations=config.get("iters", 12),
        blocks=[
            len({m[1] for key in state_dict if (m := re.match(rf"decoder\.res{i}\.body\.(\d+)\.", key))})
            for i in (1, 2, 3)
        ],
        heads=[shape(f"decoder.res{i}.body.0.attn.attn.temperature")[0] for i in (1, 2, 3)],
        flow_grid="published",
        match_anchor="corner",
        **options,
    )
