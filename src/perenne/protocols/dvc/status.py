"""What changed of stages and of tracked data, as `dvc status` tells it."""

import os
from collections.abc import Sequence
from typing import Any

from perenne import data
from perenne.protocols.dvc.changes import Comparing
from perenne.protocols.dvc.choosing import chosen
from perenne.protocols.dvc.parameters import ParameterFiles
from perenne.protocols.dvc.stages import Stage, Stages

UP_TO_DATE = "Data and pipelines are up to date."
NOTHING = "There are no data or pipelines tracked in this project yet.\nSee <https://dvc.org/doc/start> to get started!"
_WORD = 20


def status_of(
    repository: "data.versions.Repository", targets: Sequence[str] = (), *, with_deps: bool = False, recursive: bool = False
) -> tuple[dict[str, list[Any]], bool]:
    """Return what changed by the stage's name, and whether there is anything tracked at all.

    Parameters
    ----------
    targets : sequence of str
        Stages, files of stages, `.dvc` files; everything if there are none.
    """
    stages = Stages(repository)
    wanted: list[Stage] = chosen(stages, targets, recursive=recursive) if targets else stages.all
    if with_deps and targets:
        wanted = stages.graph.order(wanted, frozen_apart=False)
    else:
        stages.graph  # noqa: B018  (what is wrong with the graph is said, also if nothing changed)
    comparing, here = Comparing(data.versions.Pieces(repository), ParameterFiles()), os.getcwd()
    found = {stage.said(here): comparing.changes(stage).answer() for stage in wanted}
    return {name: answer for name, answer in found.items() if answer}, bool(stages.all)


def status_text(answer: dict[str, list[Any]]) -> str:
    """Return an answer as DVC prints it."""
    return "\n".join(_lines(answer, 0))


def _lines(value: Any, depth: int) -> list[str]:
    lead = "\t" * depth
    if isinstance(value, str):
        return [f"{lead}{value}"]
    if isinstance(value, list):
        return [line for entry in value for line in _lines(entry, depth)]
    lines = []
    for key, inner in value.items():
        if isinstance(inner, str):
            lines.append(f"{lead}{inner + ':':<{_WORD}}{key}")
        elif inner:
            lines += [f"{lead}{key}:", *_lines(inner, depth + 1)]
    return lines
