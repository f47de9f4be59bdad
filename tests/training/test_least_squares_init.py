"""The last convolution by least squares: against the closed form, and on what it cannot be used for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.systems.registry import create_model
from finewave.training.configuration.recipes import load_recipe
from finewave.training.least_squares_init import fit_last_convolution


class Small(nn.Module):
    """Random features, a convolution, a shortcut."""

    output = "y"

    def __init__(self, bias: bool, clip: bool = False, after: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 2, 3, padding=1, bias=bias)
        self.shortcut = nn.Conv2d(3, 2, 1)
        self.clip, self.after = clip, after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.after(self.last(self.first(x).relu()) + 0.1 * self.shortcut(x))
        return y.clamp(-3, 3) if self.clip else y


def samples(count: int = 3) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [{n: torch.randn(2, c, 7, 9, generator=generator) for n, c in (("x", 3), ("y", 2))} for _ in range(count)]


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_it_is_the_least_squares_solution(bias: bool, clip: bool) -> None:
    torch.manual_seed(0)
    net, data = Small(bias, clip), samples()
    if clip:  # half of the output is clipped at first
        net.last.weight.data *= 30
    layer = fit_last_convolution(net, data, lambda s: net(s["x"]), ridge=0.0)
    assert layer is net.last
    assert net.training
    rows, targets = [], []
    with torch.no_grad():
        for s in data:
            features = F.pad(net.first(s["x"]).relu(), (1, 1, 1, 1)).double().numpy()  # the zeros that the layer sees
            goal = (s["y"] - 0.1 * net.shortcut(s["x"])).numpy()
            for b in range(2):
                for i in range(7):
                    for j in range(9):
                        rows.append([*features[b, :, i : i + 3, j : j + 3].ravel(), *([1.0] * bias)])
                        targets.append(goal[b, :, i, j])
    solution = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    np.testing.assert_allclose(layer.weight.detach().reshape(2, -1).T, solution[:45], atol=2e-5)
    if bias:
        np.testing.assert_allclose(layer.bias.detach(), solution[45], atol=2e-5)


def test_features_that_are_always_zero() -> None:
    torch.manual_seed(0)
    net = Small(True)
    with torch.no_grad():
        net.first.weight[0], net.first.bias[0] = 0, -1
    layer = fit_last_convolution(net, samples(), lambda s: net(s["x"]))
    assert torch.isfinite(layer.weight).all()
    assert layer.weight[:, 0].abs().max() == 0


def test_ridge_shrinks() -> None:
    torch.manual_seed(0)
    net, data = Small(True), samples()
    free = fit_last_convolution(net, data, lambda s: net(s["x"]), ridge=0.0).weight.norm().item()
    assert fit_last_convolution(net, data, lambda s: net(s["x"]), ridge=10.0).weight.norm().item() < 0.5 * free


@pytest.mark.parametrize("after", [nn.Tanh(), nn.Conv2d(2, 2, 1, groups=2)])
def test_what_does_not_end_in_a_convolution_is_refused(after: nn.Module) -> None:
    net = Small(False, after=after)
    with pytest.raises(InputError, match="Small does not end in a convolution"):
        fit_last_convolution(net, samples(), lambda s: net(s["x"]))


def test_without_samples() -> None:
    net = Small(True)
    with pytest.raises(InputError, match="there are none"):
        fit_last_convolution(net, [], lambda s: net(s["x"]))


@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("awan", {"features": 8, "blocks": 1, "reduction": 4, "hs_bands": 6, "nonlocal_reduction": 2}),
        ("mst++", {"stages": 1, "hs_bands": 6}),
    ],
)
def test_systems_that_can_be_fitted(system: str, options: dict[str, int]) -> None:
    torch.manual_seed(0)
    net = create_model(system, **options)
    generator = torch.Generator().manual_seed(2)
    mix = torch.rand(6, 3, generator=generator)
    data = [{"hr_msi": torch.rand(2, 3, 16, 16, generator=generator)} for _ in range(4)]
    for sample in data:
        sample["hr_hsi"] = torch.einsum("oc,bchw->bohw", mix, sample["hr_msi"]) ** 2 / 3

    def error() -> float:
        with torch.no_grad():
            return float(np.mean([(net(s["hr_msi"]) - s["hr_hsi"]).square().mean().item() for s in data]))

    before = error()
    fit_last_convolution(net, data, lambda s: net(s["hr_msi"]))
    assert error() < 0.25 * before


def test_recipes_may_ask_for_it() -> None:
    recipe = load_recipe("awan-cave", ["phase1.output_start=least-squares", "phase1.losses.sam=0.1"])
    assert recipe["phase1"]["output_start"] == "least-squares"
    assert recipe["phase1"]["losses"]["sam"] == 0.1
    with pytest.raises(InputError, match=r"phase1\.losses\.san.*did you mean"):
        load_recipe("awan-cave", ["phase1.losses.san=0.1"])


def test_a_part_of_a_composition_is_fitted_to_what_it_will_see(common: list[str], monkeypatch: Any) -> None:
    """Before its phase, from the images that the part before it makes."""
    from finewave.training import trainer as training

    asked = []

    def fit(net: nn.Module, batches: Any, output_of: Any) -> None:
        batch = next(iter(batches))
        asked.append((type(net).__name__, {key: tuple(image.shape[1:]) for key, image in batch.items()}))
        assert output_of(batch).shape == batch["hr_hsi"].shape

    monkeypatch.setattr(training, "fit_last_convolution", fit)
    overrides = [*common, "model.sr=plain-sr", "model.ssr=awan", "model.ssr_options={features: 16, blocks: 1}"]
    training.train("common-sr-ssr-cave-x4", [*overrides, "phase2.output_start=least-squares", "phase2.steps=1"])
    assert asked == [("AWAN", {"hr_msi": (3, 16, 16), "hr_hsi": (31, 16, 16)})]


def test_a_layer_that_is_applied_without_being_called() -> None:
    """JSSUNet's convolutions run fused, by their weights; the closed form is then no worse than what was there."""
    torch.manual_seed(0)
    net = create_model("jssunet-ssr", ms_bands=3, hs_bands=6, features=8, stages=1, clusters="none")
    data = [{"hr_msi": torch.rand(1, 3, 12, 12), "hr_hsi": torch.rand(1, 6, 12, 12)} for _ in range(3)]

    def error() -> float:
        with torch.no_grad():
            return sum(float((net(s["hr_msi"]) - s["hr_hsi"]).square().mean()) for s in data)

    before = error()
    layer = fit_last_convolution(net, data, lambda s: net(s["hr_msi"]), ridge=0.0)
    assert layer is net.branch.stages[-1].prox.tail
    assert error() < 0.9 * before
    after = error()
    with torch.no_grad():
        layer.weight[0] += 0.01
    assert error() > after
