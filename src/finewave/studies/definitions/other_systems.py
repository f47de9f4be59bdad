"""Tables of SSPSR (arXiv 2005.08752), of MulSR (IEEE TGRS 2023) and of SSC-HSR (arXiv 2505.02109)."""

from __future__ import annotations

from finewave.studies.definitions.definition import NotBuilt, Row, Study

PUBLISHED_MODULES = "model.modules=2"  # also in the short recipe

TABLES = (
    Study(
        "sspsr",
        "Spatial super-resolution of hyperspectral images",
        "arXiv 2005.08752, the tables of Chikusei, Pavia Centre and CAVE",
        "sspsr",
        (
            Row("bicubic", "bicubic", "bicubic"),
            Row("ibp", "iterative back-projection", "ibp"),
            Row("edsr", "EDSR", "edsr", "edsr"),
            Row("3d-fcnn", "3DCNN (3D-FCNN)", "3d-fcnn", "fcnn3d"),
            Row("gdrrn", "GDRRN", "gdrrn", "gdrrn"),
            Row("sspsr", "SSPSR", "sspsr", "sspsr"),
        ),
        ("chikusei", "pavia-centre@sspsr", "cave"),
        (4, 8),
        published="sspsr.csv",
        notes="The publication does not say with which settings EDSR, 3DCNN and GDRRN were trained; here they have "
        "those of their own articles and code as far as these say them.",
        not_built=(
            NotBuilt("vdsr", "VDSR"),
            NotBuilt("rcan", "RCAN"),
            NotBuilt("san", "SAN"),
            NotBuilt("tlcnn", "TLCNN"),
            NotBuilt("deep-prior", "DeepPrior"),
        ),
    ),
    Study(
        "mulsr",
        "Fusion with an RGB image: ablations of MulSR",
        "IEEE TGRS 2023, ablations of MII and DSCA, of LFCC, of the scale strategy and of the number of modules",
        "mulsr",
        (
            Row("bicubic", "bicubic", "bicubic"),
            Row("gsa", "GSA", "gsa"),
            Row("cnmf", "CNMF", "cnmf"),
            Row("fusformer", "Fusformer", "fusformer", "fusformer"),
            *(Row(f"mulsr-{n}", f"MulSR, N = {n}", "mulsr", "mulsr", (f"model.modules={n}",)) for n in (1, 2, 3, 4)),
            *(
                Row(key, f"MulSR, N = 2, {label}", "mulsr", "mulsr", (PUBLISHED_MODULES, f"model.without={part}"))
                for key, label, part in (
                    ("without-mii", "without MII", "mii"),
                    ("without-dsca", "without DSCA", "dsca"),
                    ("without-lfcc", "without LFCC", "lfcc"),
                    ("single-scale", "single scale", "half-scale"),
                )
            ),
        ),
        ("cave@mulsr", "harvard@mulsr"),
        published="mulsr.csv",
        notes="The publication does not say on which data set and at which scale its ablations are. MulSR, N = 2 is "
        "the network that they leave parts out of.",
        not_built=tuple(NotBuilt(name.lower(), name) for name in ("PZRes-Net", "MoG-DCN", "UAL", "CoarseNet")),
    ),
    Study(
        "sschsr",
        "Super-resolution with an unaligned RGB reference",
        "arXiv 2505.02109, whose tables are pictures; numbers: page of its predecessor HSIFN "
        "(https://github.com/Zeqiang-Lai/HSI-RefSR), a draft table",
        "ssc-hsr",
        (
            Row("bicubic", "bicubic", "bicubic"),
            # the settings of SSPSR in the public code of SSC-HSR
            Row("sspsr", "SSPSR", "sspsr", "sspsr", ("model.group_size=8", "model.overlap=2", "model.blocks=6")),
            Row("ssc-hsr", "SSC-HSR", "ssc-hsr", "sschsr"),
        ),
        ("flowers", "ssc-hsr", "chikusei"),
        (4, 8, 16),
        published="sschsr.csv",
        notes="SAM stands there in radians with three digits. The header of the draft is shifted by two columns: its "
        "last column is taken to be HSIFN. Of SSC-HSR itself there are no published numbers in text form. References "
        "of Flowers and of the real pairs are recorded; on other data sets they are synthetic views.",
        not_built=(NotBuilt("bi-3dqrnn", "Bi-3DQRNN"), NotBuilt("mcnet", "MCNet"), NotBuilt("hsifn", "HSIFN")),
    ),
)
