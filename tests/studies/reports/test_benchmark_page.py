"""The page of all figures says what the files say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finewave.datasets.store import Store
from finewave.errors import InputError
from finewave.evaluation.baselines import FLOORS
from finewave.evaluation.folds import Refit, evaluate_folds, rows_named
from finewave.studies.measurements.robustness import sweep
from finewave.studies.reports import benchmark_page
from finewave.studies.reports.benchmark_page import write_benchmark_page
from finewave.zoo.model import Model

ROOT = Path(__file__).parents[3]


def cells(page: str, start: str) -> list[str]:
    """Return the cells of the first line that begins with these words."""
    line = next(line for line in page.splitlines() if line.startswith(start))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_prints_what_was_measured(small_store: Path, tmp_path: Path) -> None:
    store, folder = Store(small_store), tmp_path / "results"
    folder.mkdir()
    folds = evaluate_folds(FLOORS["ssr"], "cave", 2, store=store)
    (folder / "a.json").write_text(json.dumps(folds))
    cases = sweep("sr", folder / "b.json", store=store)
    page = write_benchmark_page(folder, tmp_path / "page.md", operations=False).read_text()
    floor = folds["floor"]
    row = folds["rows"][floor]
    line = cells(page, f"| {floor} (floor) |")
    low, high = row["interval"]["psnr"]
    assert line[1] == f"{row['mean']['psnr']:.2f} ({low:.2f} to {high:.2f})"
    assert line[-2:] == [f"{row['seen']['psnr']:.2f}", f"{row['seen']['sam']:.2f}"]
    assert "finewave evaluate --model quadratic --dataset cave --folds 2 --baseline" in page
    assert "; fitted to every 4th row and column of the other scenes" in page
    bicubic = cases["rows"]["bicubic"]["cases"]
    printed = cells(page, "| bicubic | ")
    assert printed[1:-1] == [f"{bicubic[case['name']]['mean']['psnr']:.2f}" for case in cases["protocol"]["cases"]]
    assert printed[-1] == min(bicubic, key=lambda name: bicubic[name]["mean"]["psnr"])
    card = json.loads((ROOT / "weights/jssunet-cave-x4/card.json").read_text())["metrics"]["cave/val"]
    line = cells(page, "| `jssunet-cave-x4`")
    assert line[2] == f"{card['mean']['psnr']:.2f}"
    assert line[6:9] == [card["baseline"]["name"], *(f"{card['baseline']['mean'][m]:.2f}" for m in ("psnr", "sam"))]


def test_operations_are_counted_on_the_same_images_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[torch.Tensor] = []

    def note(model: Model, inputs: dict[str, torch.Tensor]) -> None:
        given.extend(inputs.values())

    monkeypatch.setattr(Model, "run", note)
    for seed in (1, 2):
        torch.manual_seed(seed)
        benchmark_page._gflop("mstpp-cave")
    assert len(given) == 2
    assert torch.equal(given[0], given[1])


def test_the_command_beside_folds_is_the_one_that_made_them(small_store: Path, tmp_path: Path) -> None:
    """Of fusion, too, whose first row enlarges alone; rows that no command makes have none."""
    rows, floors = rows_named("gsa", baseline=False)
    result = evaluate_folds(rows, "cave", 2, floors=floors, scale=2, sensor="nikon-d700", store=Store(small_store))

    def page(rows: dict[str, Any]) -> str:
        result["protocol"]["systems"] = {label: list(row) for label, row in rows.items()}
        (tmp_path / "a.json").write_text(json.dumps(result))
        return write_benchmark_page(tmp_path, tmp_path / "page.md", operations=False).read_text()

    options = "--scale 2 --sensor nikon-d700\n"
    assert f"finewave evaluate --model gsa --dataset cave --folds 2 {options}" in page(rows)
    assert "fitted to" not in page(rows)
    assert "## Fusion without a network: CAVE, x2, 2 folds\n" in page(rows)  # links differ by scale
    assert f"finewave evaluate --model gsa --dataset cave --folds 2 --baseline {options}" in page(FLOORS["fusion"])
    both = rows_named("bicubic+ibp", baseline=False)[0]
    assert f"finewave evaluate --model bicubic+ibp --dataset cave --folds 2 {options}" in page(both)
    assert "finewave evaluate --model gsa" not in page(FLOORS["sssr"])


def test_what_a_recipe_fits_is_compared_with_every_other_row(small_store: Path, tmp_path: Path) -> None:
    fitted = ("ensemble-ssr", {"members": ["ridge", "scene-ridge"], "options": [{}, {"centres": 9, "pixels": 50}]})
    rows = {"mine": fitted, "quadratic": ("quadratic", {}), "ridge": ("ridge", {})}
    floors, store = ["quadratic", "ridge"], Store(small_store)
    result = evaluate_folds(rows, "cave", 2, floors=floors, refits={"mine": Refit(1)}, store=store)
    (tmp_path / "a.json").write_text(json.dumps(result))
    page = write_benchmark_page(tmp_path, tmp_path / "page.md", operations=False).read_text()
    assert "## Spectral super-resolution: CAVE, 2 folds\n" in page
    assert "finewave evaluate --model mine --dataset cave --folds 2 --baseline\n" in page
    assert "; fitted to all pixels of the other scenes" in page
    other = next(label for label in floors if label != result["floor"])
    images = [result["rows"][label]["images"] for label in ("mine", other)]
    psnr, angle = ([images[0][name][m] - images[1][name][m] for name in images[0]] for m in ("psnr", "sam"))
    words = f"- mine against {other}: PSNR {np.mean(psnr):+.2f} dB (better on {sum(d > 0 for d in psnr)} of 4, p = "
    assert words in page
    assert f"SAM {np.mean(angle):+.2f}° (better on {sum(d < 0 for d in angle)} of 4, p = " in page
    assert f"against {result['floor']}" not in page  # stands above, under the floor


@pytest.mark.parametrize(
    ("system", "options", "expected"),
    [
        ("gsa", {}, True),
        ("residual-fusion", {"steps": 3}, False),
        ("ensemble-ssr", {"members": ["ridge", "knn"]}, True),
        ("ensemble-ssr", {"members": ["ensemble-ssr", "knn"], "options": [{"members": ["scene-ridge"]}, {}]}, False),
        ("sr-ssr", {"sr": "ibp", "ssr": "ensemble-ssr", "ssr_options": {"members": ["quadratic", "knn"]}}, True),
        ("sr-ssr", {"sr": "ibp", "ssr": "ensemble-ssr", "ssr_options": {"members": ["quadratic", "awan"]}}, False),
    ],
)
def test_what_is_made_of_baselines_alone(system: str, options: dict[str, Any], expected: bool) -> None:
    assert benchmark_page._is_baseline(system, options) == expected


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results; make some with finewave evaluate --folds"):
        write_benchmark_page(tmp_path, tmp_path / "page.md")
    (tmp_path / "other.json").write_text('{"protocol": {}}')
    with pytest.raises(InputError, match=r"other.json is neither of finewave evaluate --folds nor"):
        write_benchmark_page(tmp_path, tmp_path / "page.md")


def test_the_page_of_the_repository_is_that_of_its_results(tmp_path: Path) -> None:
    """All but the operations, which take a run of every network: their column is left out on both sides."""
    made = write_benchmark_page(ROOT / "docs/results/benchmark", tmp_path / "page.md", operations=False)
    kept = (ROOT / "docs/benchmark.md").read_text(encoding="utf-8")
    for line in made.read_text(encoding="utf-8").splitlines():
        if line.strip("|- "):
            assert line.rstrip(" |") in kept, line
