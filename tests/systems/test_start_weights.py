"""Networks that start from the weights of another: a branch of JSSUNet, trained alone."""

from __future__ import annotations

import pytest
import torch

from finewave.errors import InputError
from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model
from finewave.systems.start_weights import prepare_rest, start_from


def _whole(scale: int = 4) -> SRNetwork:
    torch.manual_seed(0)
    return create_model("jssunet", scale=scale, hs_bands=5, stages=1, features=8, n_clusters=2, post=False)


def _sr(scale: int = 4, features: int = 8) -> SRNetwork:
    torch.manual_seed(1)
    return create_model("jssunet-sr", scale=scale, hs_bands=3, stages=1, features=features)


def test_the_branch_is_filled_and_nothing_else() -> None:
    net, start = _whole(), _sr()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert not start_from(net, start, "weights", any_scale=True)  # the other branches are still to be prepared
    after = net.state_dict()
    for key, value in start.state_dict().items():
        assert torch.equal(after[key.replace("branch.", "sr.", 1)], value)
    assert all(torch.equal(after[key], before[key]) for key in before if not key.startswith("sr."))
    lr_msi = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(net.eval().sr(lr_msi)[-1], start.eval()(lr_msi))


def _alone(branch: str) -> SRNetwork:
    if branch == "sr":
        return _sr()
    torch.manual_seed(1)
    options = {"n_clusters": 2} if branch == "ssr" else {"scale": 4}
    start = create_model(f"jssunet-{branch}", hs_bands=5, stages=1, features=8, **options)
    for tensor in start.parameters():  # as a training leaves them: no longer those of its own preparation
        torch.nn.init.normal_(tensor, std=0.1)
    return start


@pytest.mark.parametrize("branch", ["sr", "ssr", "fusion"])
def test_preparing_the_others_leaves_the_branch(branch: str) -> None:
    net, alone, start = _whole(), _whole(), _alone(branch)
    images = {"lr_msi": torch.rand(1, 3, 8, 8), "lr_hsi": torch.rand(1, 5, 8, 8)}
    assert not start_from(net, start, "weights", any_scale=True)
    prepare_rest(net, [images], 0, start, "weights")
    prepare_rest(alone, [images], 0, None, "")
    expected = alone.state_dict() | {key.replace("branch", branch, 1): each for key, each in start.state_dict().items()}
    for key, value in net.state_dict().items():
        if branch != "ssr" or key.startswith("ssr."):  # by whose clusters the fusion is prepared
            assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("start", [_sr(features=16), _sr(scale=8)])
def test_a_branch_that_does_not_fit(start: SRNetwork) -> None:
    with pytest.raises(InputError, match="weights"):
        start_from(_whole(), start, "weights", any_scale=True)
