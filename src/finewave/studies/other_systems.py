"""Tables of SSPSR (arXiv 2005.08752) and of MulSR (IEEE TGRS 2023)."""

from __future__ import annotations

from finewave.studies.definition import Row, Study

TABLES = (
    Study(
        "sspsr",
        "Spatial super-resolution of hyperspectral images",
        "arXiv 2005.08752, the tables of Chikusei, Pavia Centre and CAVE",
        "sspsr",
        (
            Row("bicubic", "bicubic", "bicubic"),
            Row("ibp", "iterative back-projection", "ibp"),
            Row("sspsr", "SSPSR", "sspsr", "sspsr"),
        ),
        ("chikusei", "pavia-centre@sspsr", "cave"),
        (4, 8),
        published="sspsr.csv",
    ),
    Study(
        "mulsr",
        "Fusion with an RGB image: number of cross-modal modules of MulSR",
        "IEEE TGRS 2023, ablation of the number of modules",
        "mulsr",
        (
            Row("bicubic", "bicubic", "bicubic"),
            Row("gsa", "GSA", "gsa"),
            Row("cnmf", "CNMF", "cnmf"),
            Row("fusformer", "Fusformer", "fusformer", "fusformer"),
            *(Row(f"mulsr-{n}", f"MulSR, N = {n}", "mulsr", "mulsr", (f"model.modules={n}",)) for n in (1, 2, 3, 4)),
        ),
        published="mulsr.csv",
        notes="The publication does not say on which data set and at which scale its ablation is.",
    ),
)
