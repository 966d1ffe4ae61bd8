"""Which stages are meant: a name, a group made by `foreach` or `matrix`, a dvc.yaml, `file:name`, a `.dvc` file, a folder."""

import fnmatch
import os
from collections.abc import Iterable

from perenne.core.errors import NotFound
from perenne.protocols.dvc.stages import PIPELINE, Stage, Stages


def chosen(stages: Stages, targets: Iterable[str], *, glob: bool = False, recursive: bool = False) -> list[Stage]:
    """Return the stages that some targets mean, each once; those of the dvc.yaml of the present folder if there are none.

    Raises
    ------
    NotFound
        If a target means nothing.
    """
    found: dict[Stage, None] = {}
    for target in list(targets) or [PIPELINE]:
        found.update(dict.fromkeys(_of_target(stages, target, glob, recursive)))
    return list(found)


def named(stages: Stages, target: str) -> Stage:
    """Return the one stage of a name, or the `.dvc` file; a group made by `foreach` is not one. Raises NotFound."""
    found = _of_target(stages, target, glob=False, recursive=False)
    file, name = _parts(target)
    if name and found[0].name != name:
        raise _unknown(name, file, [stage.name for stage in found])
    return found[0]


def _of_target(stages: Stages, target: str, glob: bool, recursive: bool) -> list[Stage]:
    if recursive and os.path.isdir(target):
        folder = os.path.abspath(target)
        return [stage for stage in stages.all if os.path.dirname(stage.file) == folder or stage.file.startswith(f"{folder}/")]
    file, name = _parts(target)
    if not name:
        return stages.of(file)
    place = os.path.abspath(file)
    inside = [stage for stage in stages.all if stage.file == place]
    if not inside and place not in stages.files:
        raise NotFound(
            f"'{os.path.relpath(place)}' does not exist",
            code="dvc.no_file",
            hint=f"`{target}` is neither a stage nor a file of stages",
        )
    if glob:
        return [stage for stage in inside if fnmatch.fnmatch(stage.name, name)]
    found = [stage for stage in inside if stage.name == name or stage.definition.group == name]
    if not found:
        raise _unknown(name, file, [stage.name for stage in inside])
    return found


def _parts(target: str) -> tuple[str, str]:
    """Take a target apart into a file and the name of a stage."""
    if target.endswith((".dvc", ".yaml", ".yml")):
        return target, ""
    file, colon, name = target.rpartition(":")
    if colon and file.endswith((".yaml", ".yml")):
        return file, name
    return PIPELINE, target


def _unknown(name: str, file: str, names: list[str]) -> NotFound:
    hint = "`perenne dvc stage list` shows the stages" + _alike(name, names)
    return NotFound(f"Stage '{name}' not found inside '{os.path.relpath(file)}' file", code="dvc.no_stage", hint=hint)


def _alike(name: str, names: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""
