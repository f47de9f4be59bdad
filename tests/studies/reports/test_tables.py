from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest

import finewave as fw
from finewave.studies.merge import merge
from finewave.studies.reports.table_formats import comma_separated, latex, markdown, write_table
from finewave.studies.reports.tables import build_table
from finewave.studies.results import all_results, cells_folder, find_result, read_result, write_result
from finewave.studies.study_request import request_cells
from tests.studies.conftest import made_up, request_of, write_made_up

pytestmark = pytest.mark.usefixtures("tiny")


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return {cells[0]: cells[1:] for cells in ([c.strip() for c in line.strip("|").split("|")] for line in lines)}


def test_best_second_and_missing(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"floor": 28.0, "none": 30.123, "with": 29.5})
    table = build_table(request, tmp_path)
    rows = rows_of(markdown(table))
    assert [rows[row.label][0] for row in request.rows] == ["28.00", "**30.12**", "–", "*29.50*"]
    assert rows["learned, without post"] == ["–"] * 4
    assert "- –: not made" in markdown(table)
    assert "\n\n## Protocol\n\n- " in markdown(table)
    assert r"no clusters & \textbf{30.12} &" in latex(table)
    assert r"learned, with post & \textit{29.50} &" in latex(table)
    assert r"learned, without post & -- & -- & -- & -- \\" in latex(table)


def test_the_floor_is_the_best_row_without_a_network_and_what_is_below_is_named(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"floor": 29.0, "none": 30.0, "with": 28.5})
    said = "floor on cave x4: bicubic + quadratic, the only row without a network; below it: learned, with post"
    assert said in build_table(request, tmp_path).notes
    trained = request_of(rows=("none", "with"))
    assert not any(note.startswith("floor on") for note in build_table(trained, tmp_path).notes)
    several = request_cells("sspsr", datasets=["cave"], scales=[4])
    write_made_up(tmp_path, several, {"bicubic": 30.0, "ibp": 31.0, "edsr": 32.0})
    best = "iterative back-projection, by PSNR the best of 2 rows without a network"
    assert f"floor on cave x4: {best}; no row is below it" in build_table(several, tmp_path).notes


def test_what_is_not_built_stands_below_with_its_published_numbers(tmp_path: Path) -> None:
    request = request_cells("sspsr", datasets=["cave"], scales=[4])
    text = markdown(build_table(request, tmp_path))
    rows = rows_of(text)
    assert list(rows)[-5:] == [f"{name}, not built" for name in ("VDSR", "RCAN", "SAN", "TLCNN", "DeepPrior")]
    assert rows["RCAN, not built"] == ["–"] * 6 + ["38.7585", "0.9530", "3.6050", "0.0142", "3.4178", "0.9935"]
    assert rows["VDSR, not built"] == ["–"] * 6 + [""] * 6  # not on CAVE
    assert rows["EDSR"][6:] == ["38.1575", "0.9522", "3.5499", "0.0149", "3.5921", "0.9931"]
    assert "RCAN, not built & --" in latex(build_table(request, tmp_path))
    picked = build_table(request_cells("sspsr", datasets=["cave"], scales=[4], rows=["edsr"]), tmp_path)
    assert list(rows_of(markdown(picked))) == ["EDSR"]


def test_figures_that_are_printed_alike_are_equally_good(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"floor": 28.0, "none": 30.001, "without": 30.004, "with": 29.0})
    rows = rows_of(markdown(build_table(request, tmp_path)))
    assert [cells[0] for cells in rows.values()] == ["28.00", "**30.00**", "**30.00**", "*29.00*"]
    assert [cells[1] for cells in rows.values()] == ["**1.0000**"] * 4  # SSIM: all the same


def test_lower_is_better_where_it_is_and_nan_is_no_rank(tmp_path: Path) -> None:
    request = request_of(rows=["floor", "none", "with"])
    for row, sam in zip(request.rows, (9.0, 8.0, math.nan), strict=True):
        write_result(tmp_path, made_up(request.cell(row, "cave", 4), {"a": {"sam": sam, "psnr": math.inf}}))
    rows = rows_of(markdown(build_table(request, tmp_path)))
    assert [cells[2] for cells in rows.values()] == ["*9.00*", "**8.00**", "n/a"]
    assert [cells[0] for cells in rows.values()] == ["**inf**"] * 3


def test_there_is_no_best_of_one(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"none": 30.0})
    assert "**" not in markdown(build_table(request, tmp_path))
    assert "paired" not in markdown(build_table(request, tmp_path))


def test_the_foot_says_what_made_the_numbers(tmp_path: Path) -> None:
    request = request_of(budget="5%")
    write_made_up(tmp_path, request, {"floor": 28.0, "none": 30.0})
    text = markdown(build_table(request, tmp_path))
    assert "protocol tiny: LR images by kernel gaussian; metrics on non-overlapping 16 x 16 crops" in text
    assert "jssunet-cave-x4; training 5 % of the recipe's steps" in text
    assert "made by finewave 0.1 (abc)" in text
    assert "## cave, x4, split val, 1 scene" in text.splitlines()


def test_a_cell_of_another_commit_is_marked(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"floor": 28.0, "none": 30.0})
    write_made_up(tmp_path, request, {"with": 31.0}, commit={"training": "abc", "scoring": "def"})
    table = build_table(request, tmp_path)
    assert [line.mark for line in table.blocks[0].lines] == ["", "", "", "1"]
    assert "- [1] by another revision: finewave 0.1 (abc, def)" in markdown(table)
    assert "| learned, with post [1] |" in markdown(table)
    assert r"learned, with post\textsuperscript{1} &" in latex(table)


def test_published_numbers_stand_beside(tmp_path: Path) -> None:
    from finewave.studies.study_request import request_cells

    request = request_cells("table4", datasets=["cave"], split="val")
    write_made_up(tmp_path, request, {"none": 30.0, "kmeans": 31.0, "learned": 32.0})
    table = build_table(request, tmp_path)
    assert rows_of(markdown(table))["k-means clusters"] == [
        *("*31.00*", "**1.0000**", "**1.00**", "**1.00**"),
        *("39.01", "0.9802", "6.87", "14.22"),
    ]
    assert "published: arXiv 2505.24605, table IV; its scenes are not the val scenes" in markdown(table)
    assert r"\multicolumn{4}{c}{published}" in latex(table)
    # by a protocol without fixed ERGAS ratio, that column is not comparable and not shown
    other = request_cells("table4", datasets=["cave"], split="val", protocol="finewave")
    assert rows_of(markdown(build_table(other, tmp_path)))["k-means clusters"] == ["–"] * 4 + [
        "39.01",
        "0.9802",
        "6.87",
    ]


def test_comma_separated_values_have_all_digits(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"floor": [28.0, 28.12345], "none": [30.0, 30.0]})
    lines = list(csv.DictReader(io.StringIO(comma_separated(build_table(request, tmp_path)))))
    assert len(lines) == 4 * 4
    first = lines[0]
    assert (first["row"], first["metric"], first["mean"], first["place"]) == ("floor", "psnr", "28.0617", "2")
    assert {line["mean"] for line in lines if line["row"] == "with"} == {""}


def test_seeds_give_a_deviation_and_one_value_a_scene(tmp_path: Path) -> None:
    request = request_of(rows=["none", "with"], seeds=2)
    for row, values in zip(request.rows, ((30.0, 32.0), (29.0, 29.0)), strict=True):
        for number, value in enumerate(values):
            images = {f"scene{i}[{y},0]": {"psnr": value + i + y} for i in range(7) for y in (0, 2)}
            write_result(tmp_path, made_up(request.cell(row, "cave", 4, number), images))
    table = build_table(request, tmp_path)
    line = table.blocks[0].lines[0]
    assert line.values["psnr"].text("psnr") == "35.00 ± 1.41"
    assert line.scenes["psnr"] == {f"scene{i}": 32.0 + i for i in range(7)}
    first, second, test = table.blocks[0].tests(("psnr",))["psnr"]
    assert (first.row.key, second.row.key, test.scenes, test.difference) == ("none", "with", 7, 2.0)
    assert test.wilcoxon == pytest.approx(2 / 2**7)
    assert "- PSNR: no clusters before learned, with post by 2 dB on 7 scenes; Wilcoxon p = 0.016" in markdown(table)
    assert "mean ± standard deviation over 2 seeds" in markdown(table)
    (cells_folder(tmp_path) / f"{request.cell(request.rows[0], 'cave', 4, 1).key}.json").unlink()
    assert "no clusters: 1 of 2 seeds" in markdown(build_table(request, tmp_path))


def test_cells_of_another_protocol_budget_or_split_are_never_taken(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"none": 30.0})
    for other in ({"protocol": "finewave"}, {"budget": "5steps"}, {"split": "test"}):
        assert not any(line.values for line in build_table(request_of(**other), tmp_path).blocks[0].lines)
    ours = all_results(tmp_path)[0]
    theirs = cells_folder(tmp_path) / f"{request_of(protocol='finewave').cell(request.rows[1], 'cave', 4).key}.json"
    ours.rename(theirs)
    with pytest.raises(fw.InputError, match="is not what its name says"):
        build_table(request_of(protocol="finewave"), tmp_path)


def test_cells_scored_on_other_data_do_not_share_a_table(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"floor": 28.0})
    write_made_up(tmp_path, request, {"none": 30.0}, scenes_sha256={"scene0": "changed"})
    with pytest.raises(fw.InputError, match=r"scored on other data than the cells above it \(different: scene0\)"):
        build_table(request, tmp_path)


def test_a_damaged_cell_is_named(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"none": 30.0})
    path = all_results(tmp_path)[0]
    whole = json.loads(path.read_text())
    damaged = [
        (path.read_text()[:-20], "cannot be read"),
        ("[]", "of another version"),
        (json.dumps({**whole, "format": 99}), "of another version"),
        (json.dumps({k: v for k, v in whole.items() if k != "mean"}), "lacks mean"),
        (json.dumps({**whole, "facts": {}}), "does not say what it is of"),
        (json.dumps({**whole, "facts": {**whole["facts"], "post": False}}), "is not what its name says"),
        (json.dumps({**whole, "images": {}}), "has not all metrics"),
    ]
    for text, message in damaged:
        path.write_text(text)
        with pytest.raises(fw.InputError, match=message):
            read_result(path)
    assert find_result(tmp_path, request.cell(request.rows[0], "cave", 4)) is None


def test_infinite_figures_come_back(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"none": [math.inf, 30.0]})
    result = find_result(tmp_path, request.cell(request.rows[1], "cave", 4))
    assert result["images"]["scene0"]["psnr"] == math.inf
    assert "Infinity" not in all_results(tmp_path)[0].read_text()  # which is not JSON


def test_folders_are_merged_or_their_cells_copied(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path / "a", request, {"none": 30.0, "floor": 28.0})
    write_made_up(tmp_path / "b", request, {"none": 30.0, "with": 31.0})
    write_made_up(tmp_path / "both", request, {"none": 30.0, "with": 31.0, "floor": 28.0})
    model = tmp_path / "b" / "trainings" / "some" / "model" / "card.json"
    model.parent.mkdir(parents=True)
    model.touch()
    assert merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c") == 3
    assert (tmp_path / "c" / "trainings" / "some" / "model" / "card.json").exists()
    assert markdown(build_table(request, tmp_path / "c")) == markdown(build_table(request, tmp_path / "both"))
    assert merge([tmp_path / "a"], tmp_path / "c") == 3  # once more changes nothing


def test_folders_that_contradict_each_other_are_not_merged(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path / "a", request, {"none": 30.0})
    write_made_up(tmp_path / "b", request, {"none": 30.1, "with": 31.0})
    with pytest.raises(fw.InputError, match="are the same cell with different numbers"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert not (tmp_path / "c").exists()
    with pytest.raises(fw.InputError, match="holds no result cells"):
        merge([tmp_path / "a", tmp_path / "none"], tmp_path / "c")


def test_a_table_that_does_not_change_is_not_written_again(tmp_path: Path) -> None:
    request = request_of()
    write_made_up(tmp_path, request, {"none": 30.0})
    written = write_table(build_table(request, tmp_path), tmp_path)
    assert [path.name for path in written] == [f"tiny-val-published-4steps.{end}" for end in ("md", "csv", "tex")]
    times = [path.stat().st_mtime_ns for path in written]
    write_table(build_table(request, tmp_path), tmp_path)
    assert [path.stat().st_mtime_ns for path in written] == times
    write_made_up(tmp_path, request, {"with": 31.0})
    write_table(build_table(request, tmp_path), tmp_path)
    assert "31.00" in written[0].read_text()
    other = write_table(build_table(request_of(protocol="finewave", budget="5%"), tmp_path), tmp_path)
    assert other[0].name == "tiny-val-finewave-published-0.05part.md"


def test_latex_has_no_bare_special_characters(tmp_path: Path) -> None:
    request = request_of(budget="5%")
    write_made_up(tmp_path, request, {"none": 30.0, "with": 31.0})
    text = latex(build_table(request, tmp_path))
    assert r"5 \% of the recipe's steps" in text
    body = text.split("\n", 1)[1]
    assert "%" not in body.replace(r"\%", "")
    assert "_" not in body.replace(r"\_", "")
    assert body.count(r"\begin{table}") == body.count(r"\end{table}") == 1
    columns = {line.count("&") for line in body.splitlines() if line.endswith(r"\\")}
    assert columns == {4}
