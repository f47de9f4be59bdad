"""The branches alone are what they are in JSSUNet."""

from __future__ import annotations

import pytest
import torch

from finewave.systems.jssunet.clusters import balance_penalty
from finewave.systems.registry import create_model

SMALL = {"stages": 2, "features": 8}


@pytest.mark.parametrize("options", [{}, {"upsampling": "forward"}, {"progressive": False}])
def test_the_sr_branch_and_its_terms_of_the_loss(options: dict) -> None:
    whole = create_model("jssunet", ms_bands=3, hs_bands=6, n_clusters=2, post=False, **SMALL, **options)
    alone = create_model("jssunet-sr", hs_bands=3, **SMALL, **options)
    alone.branch.load_state_dict(whole.sr.state_dict())
    f, truth = torch.rand(2, 3, 5, 6), torch.rand(2, 3, 20, 24)
    estimates = whole.forward_stages(f).sr
    torch.testing.assert_close(alone(f), estimates[-1])
    output, terms = alone.training_loss({"lr_hsi": f, "hr_hsi": truth}, 0.5)
    torch.testing.assert_close(output, estimates[-1])
    torch.testing.assert_close(terms["stages"], sum((u - truth).abs().mean() for u in estimates) / 2)


@pytest.mark.parametrize("clusters", ["learned", "kmeans", "none"])
def test_the_ssr_branch_and_its_terms_of_the_loss(clusters: str) -> None:
    options = {"ms_bands": 3, "hs_bands": 6, "n_clusters": 3, "clusters": clusters, **SMALL}
    whole, alone = create_model("jssunet", post=False, **options), create_model("jssunet-ssr", **options)
    f, truth = torch.rand(2, 3, 7, 6), torch.rand(2, 6, 7, 6)
    alone.prepare_from([{"hr_msi": f, "hr_hsi": truth}], seed=1)
    whole.prepare_from([{"lr_msi": f, "lr_hsi": truth}], seed=1)
    if clusters == "kmeans":
        centroids = whole.ssr.clusters.centroids
        assert len(centroids.unique(dim=0)) == 3
        torch.testing.assert_close(alone.branch.clusters.centroids, centroids)
    alone.branch.load_state_dict(whole.ssr.state_dict())
    stages = whole.forward_stages(f)
    torch.testing.assert_close(alone(f), stages.ssr[-1])
    output, terms = alone.training_loss({"hr_msi": f, "hr_hsi": truth}, 0.5)
    torch.testing.assert_close(output, stages.ssr[-1])
    torch.testing.assert_close(terms["stages"], sum((u - truth).abs().mean() for u in stages.ssr) / 2)
    expected = balance_penalty(stages.probability) if clusters == "learned" else torch.zeros(())
    torch.testing.assert_close(terms["balance"], expected)
    (terms["stages"] + terms["balance"]).backward()
    assert all(p.grad is not None for name, p in alone.named_parameters() if "clusters" in name)


def test_the_fusion_branch_and_its_terms_of_the_loss() -> None:
    options = {"scale": 3, "ms_bands": 3, "hs_bands": 6, "fusion_blocks": 1, **SMALL}
    whole, alone = (
        create_model("jssunet", n_clusters=2, post=False, **options),
        create_model("jssunet-fusion", **options),
    )
    alone.branch.load_state_dict(whole.fusion.state_dict())
    stages = whole.forward_stages(torch.rand(2, 3, 4, 5))
    lr_hsi, hr_msi, truth = stages.ssr[-1], stages.sr[-1], torch.rand(2, 6, 12, 15)
    torch.testing.assert_close(alone(lr_hsi, hr_msi), stages.fusion[-1])
    output, terms = alone.training_loss({"lr_hsi": lr_hsi, "hr_msi": hr_msi, "hr_hsi": truth}, 0.5)
    torch.testing.assert_close(output, stages.fusion[-1])
    torch.testing.assert_close(terms["stages"], sum((u - truth).abs().mean() for u in stages.fusion) / 2)


def test_in_a_composition_they_see_the_camera_image() -> None:
    net = create_model("sr-ssr", sr="jssunet-sr", ssr="quadratic", sr_options=SMALL)
    lr_msi = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(net.estimates({"lr_msi": lr_msi})["hr_msi"], net.sr(lr_msi))
    net = create_model("ssr-sr", ssr="jssunet-ssr", sr="bicubic", ssr_options={**SMALL, "n_clusters": 2})
    torch.testing.assert_close(net.estimates({"lr_msi": lr_msi})["lr_hsi"], net.ssr(lr_msi))
