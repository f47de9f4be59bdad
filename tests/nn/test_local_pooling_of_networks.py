"""Local pooling at prediction: how far networks then reach, and what stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from finewave.errors import InputError
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from finewave.zoo.runnable import USUAL_CROP
from tests.test_conformity import build

POOLING: dict[str, dict[str, Any]] = {
    "jssunet": {"ms_bands": 3, "hs_bands": 5, "post": False},
    "jssunet-ssr": {"ms_bands": 3, "hs_bands": 5},
    "sspsr": {"hs_bands": 5, "blocks": 1},
    "ssfin": {"ms_bands": 3, "hs_bands": 5, "blocks": 1},
}


def model_of(name: str, crop: int, pooling: str) -> Model:
    net = build(name, scale=2, **POOLING[name])
    return Model(net, describe(net, training_crop=crop), pooling=pooling)


@pytest.mark.parametrize("name", POOLING)
def test_a_pixel_acts_no_farther_than_the_reach(name: str) -> None:
    model = model_of(name, crop=8, pooling="local").to(torch.float64)  # small changes must not round away
    assert model.pooling_window == 8 // model.upscaling
    reach = model.reach
    assert model.receptive_field <= reach <= model.receptive_field + model.pooling_window // 2 * model.n_global_poolings
    assert model.net.receptive_field_with_pooling(0) == model.receptive_field
    bands, middle, side = model.bands_of(model.inputs[0]), reach + 6, 2 * (reach + 6)
    x = torch.rand(1, bands, 4, side, dtype=torch.float64)
    other = x.clone()
    other[..., middle] += 0.5
    before, after = (model.predict(**{model.inputs[0]: image}) for image in (x, other))
    changed = (before != after).any(0).any(0).any(0).nonzero().flatten() // model.upscaling
    assert middle - reach <= changed.min()
    assert changed.max() <= middle + reach
    whole = model.with_pooling("image")
    assert whole.reach is None
    before, after = (whole.predict(**{model.inputs[0]: image}) for image in (x, other))
    assert (before != after)[..., 0].any()


@pytest.mark.parametrize("name", POOLING)
def test_images_of_the_crops_size_give_the_same_either_way(name: str) -> None:
    x = torch.rand(1, 5 if name == "sspsr" else 3, 6, 6)
    local, image = (model_of(name, crop=12, pooling=pooling) for pooling in ("local", "image"))
    for model in (local, image):
        model.net.load_state_dict(local.net.state_dict())
    torch.testing.assert_close(*(m.predict(**{m.inputs[0]: x}) for m in (local, image)), rtol=0, atol=0)


def test_reach_of_a_composition() -> None:
    parts = {"sr_options": {"features": 12, "blocks": 1, "reduction": 3}, "ssr": "ridge"}
    net = build("sr-ssr", sr="sspsr", **parts)
    own = build("sspsr", blocks=1)
    assert net.n_global_poolings == own.n_global_poolings == 2
    assert net.receptive_field_with_pooling(9) == own.receptive_field + 2 * 5
    assert net.receptive_field == own.receptive_field
    assert Model(net).with_pooling("image").reach is None


def test_window_is_that_of_training() -> None:
    assert model_of("jssunet", crop=96, pooling="local").pooling_window == 48
    assert Model(build("jssunet", scale=4)).pooling_window == USUAL_CROP // 4
    assert Model(build("awan")).with_pooling("local").reach is None


def test_the_choice_is_kept() -> None:
    model = Model(build("jssunet", scale=2)).with_pooling("local").with_precision("float32")
    assert (model.pooling, model.precision) == ("local", "float32")
    with pytest.raises(InputError, match="unknown pooling 'windows'"):
        model.with_pooling("windows")
