"""Tables II to VIII and figures 8 to 10 of arXiv 2505.24605: systems compared, and the ablations of JSSUNet.

All ablations are on CAVE, s = 4. Tables III and IV train a single branch; V and VI use fixed loss weights; V to VII are
without post-processing.
"""

from __future__ import annotations

from itertools import product

from finewave.studies.definitions.definition import Figure, Row, Study

PAPER = "arXiv 2505.24605"
CONSTANT = "phase1.stage_weights=[[0, 0.5, 0.2, 0.3]]"
"""Weights of section VI-C."""
SR_WEIGHTS = {1: (1, 1, 0.5), 2: (2, 0.5, 0)}
SSR_WEIGHTS = {1: (1, 1, 0.5), 2: (2, 0.5, 0)}
FUSION_WEIGHTS = {1: (0.5, 1, 1), 2: (0, 0.5, 2)}
"""Values of a_SR, a_SSR and a_Fus (section VI-D) from the start, from 300 and from 600 of 1000 epochs on."""


def _weights(i: int, j: int, k: int) -> str:
    rows = zip((0, 0.3, 0.6), SR_WEIGHTS[i], SSR_WEIGHTS[j], FUSION_WEIGHTS[k], strict=True)
    return f"phase1.stage_weights={[list(row) for row in rows]}"


def _branch(part: str, key: str, label: str, **options: str) -> Row:
    """Return a row that trains and scores one branch."""
    system, image = ("sr-ssr", "hr_msi") if part == "sr" else ("ssr-sr", "lr_hsi")
    overrides = tuple(f"model.{part}_options.{name}={value}" for name, value in options.items())
    return Row(key, label, system, f"jssunet-{part}", overrides, image=image)  # type: ignore[arg-type]  # one of two names


def _ablation(key: str, label: str, *overrides: str) -> Row:
    return Row(key, label, "jssunet", "jssunet", ("model.post=false", *overrides))


TABLES = (
    Study(
        "table2",
        "Joint spatio-spectral super-resolution",
        f"{PAPER}, table II",
        "jssunet",
        (
            Row(
                "floor",
                "bicubic + quadratic regression",
                "sr-ssr",
                options={"sr": "bicubic", "ssr": "quadratic"},
            ),
            Row("sr-ssr", "SR-SSR (SSPSR, AWAN)", "sr-ssr", "sr-ssr"),
            Row("ssr-sr", "SSR-SR (AWAN, SSPSR)", "ssr-sr", "ssr-sr"),
            Row("sr-ssr-fusion", "SR/SSR-Fus (with Fusformer)", "sr-ssr-fusion", "sr-ssr-fusion"),
            Row("ssfin", "SSFIN", "ssfin", "ssfin"),
            Row("us3rn", "US3RN", "us3rn", "us3rn"),
            Row("jssunet", "JSSUNet", "jssunet", "jssunet"),
        ),
        ("cave", "ntire2020", "pavia-centre@jssunet"),
        (2, 4, 8),
        published="jssunet-table2.csv",
        notes="The first row needs no network. The publication trains every system with the loss functions and "
        "training hyperparameters of its own article (section V); so do the published recipes, of the parts of the "
        "compositions, too. On what images a part learned is not stated: here on what the parts before it make.",
    ),
    Study(
        "table3",
        "Spatial upsampling: the SR branch alone, HR-MSI",
        f"{PAPER}, table III",
        "jssunet",
        tuple(
            _branch("sr", f"{up}-{steps}", f"{up}, {label}", upsampling=up, progressive=progressive)
            for up, (steps, label, progressive) in product(
                ("forward", "back-projection"),
                (("single", "single step", "false"), ("progressive", "progressive", "true")),
            )
        ),
        first="upsampling",
        published="jssunet-table3.csv",
    ),
    Study(
        "table4",
        "Spectral operators: the SSR branch alone, LR-HSI",
        f"{PAPER}, table IV",
        "jssunet",
        tuple(
            _branch("ssr", key, label, clusters=key)
            for key, label in (
                ("none", "no clusters"),
                ("kmeans", "k-means clusters"),
                ("learned", "learned clusters"),
            )
        ),
        first="clusters",
        published="jssunet-table4.csv",
    ),
    Study(
        "table5",
        "Number of stages, 64 features, without post-processing",
        f"{PAPER}, table V",
        "jssunet",
        tuple(
            _ablation(f"stages-{n}", str(n), f"model.stages={n}", "model.features=64", CONSTANT) for n in (2, 4, 6, 8)
        ),
        first="stages",
        published="jssunet-table5.csv",
    ),
    Study(
        "table6",
        "Number of features, 4 stages, without post-processing",
        f"{PAPER}, table VI",
        "jssunet",
        tuple(
            _ablation(f"features-{n}", str(n), "model.stages=4", f"model.features={n}", CONSTANT)
            for n in (16, 32, 64, 128, 256)
        ),
        first="features",
        published="jssunet-table6.csv",
    ),
    Study(
        "table7",
        "Schedules of the loss weights, without post-processing",
        f"{PAPER}, table VII",
        "jssunet",
        tuple(
            _ablation(f"{i}{j}{k}", f"comb {i},{j},{k}", _weights(i, j, k))
            for i, j, k in product((1, 2), (1, 2), (1, 2))
        ),
        first="a_SR, a_SSR, a_Fus",
        published="jssunet-table7.csv",
        notes="The combination 1,2,2 is not in the publication.",
    ),
    Study(
        "table8",
        "Post-processing",
        f"{PAPER}, table VIII",
        "jssunet",
        (
            Row("without", "without", "jssunet", "jssunet", post=False),
            Row("with", "with", "jssunet", "jssunet"),
        ),
        first="post-processing",
        published="jssunet-table8.csv",
        notes="Both rows are one training in two phases: the first scores the network without its post-processing. The "
        "common recipe has one phase, so that there each row is a training of its own.",
    ),
    Study(
        "readings",
        "JSSUNet by the text of its paper, by its public code, and by finewave's recipe; without post-processing",
        f"{PAPER}, where text and public code differ",
        "jssunet",
        (
            Row("paper", "by the text", "jssunet", "jssunet-paper", ("model.post=false",)),
            Row("code", "by the public code", "jssunet", "jssunet-code", ("model.post=false",)),
            Row("finewave", "finewave", "jssunet", "jssunet", ("model.post=false",)),
        ),
        first="recipe",
        notes="No such table is published. The published recipe of finewave has the text's loss and lengths on the "
        "code's network; the short one is as narrow as the others and has losses, crops and a schedule of its own.",
    ),
)

FIGURES = (
    Figure("figure8", "CAVE, x2", f"{PAPER}, fig. 8: jelly beans", "table2", "cave", 2, "jelly_beans"),
    Figure("figure9", "Pavia Centre, x2", f"{PAPER}, fig. 9", "table2", "pavia-centre@jssunet", 2),
    Figure("figure10", "NTIRE2020, x8", f"{PAPER}, fig. 10", "table2", "ntire2020", 8),
)
