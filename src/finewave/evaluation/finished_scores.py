"""Scores that an interrupted evaluation has made, so that the next one resumes from them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from finewave.provenance import code_digest

Scores = dict[str, dict[str, float]]


class FinishedScores:
    """Scores by row and scene, each written to a file as soon as it is made.

    Parameters
    ----------
    path : Path or None
        One JSON document a line, the first being the protocol. None: nothing is written. A file of another protocol or
        of other code, see `code_digest`, is started again from nothing; a last line that was not written to its end is
        ignored.
    protocol : dict
        All that determines the scores, as JSON.
    """

    def __init__(self, path: Path | None, protocol: dict[str, Any]) -> None:
        self.path = path
        self._scores: dict[tuple[str, str], Scores] = {}
        if path is None:
            return
        head = json.dumps({"code": code_digest(), "protocol": protocol}, sort_keys=True)
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else [""]
        if lines[0] != head:
            path.write_text(f"{head}\n", encoding="utf-8")
            return
        for line in lines[1:]:
            with suppress(ValueError):  # cut off by a kill, or empty
                each = json.loads(line)
                self._scores[each["row"], each["scene"]] = each["scores"]
        if lines[-1]:
            self._append("")

    def __len__(self) -> int:
        return len(self._scores)

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._scores

    def __getitem__(self, key: tuple[str, str]) -> Scores:
        return self._scores[key]

    def add(self, row: str, scene: str, scores: Scores) -> None:
        """Keep the scores of a row on a scene."""
        self._scores[row, scene] = scores
        self._append(json.dumps({"row": row, "scene": scene, "scores": scores}))

    def _append(self, line: str) -> None:
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
