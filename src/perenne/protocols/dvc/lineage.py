"""A reproduction as a tracked run: its parameters, its metrics, the md5 of what it took and made, and the commit it was at."""

import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from perenne import tracking
from perenne.auth.principals import local_principal
from perenne.formats.dvc.interpolation import flattened
from perenne.protocols.dvc.reporting import metrics_of
from perenne.protocols.dvc.reproducing import FAILED, LEFT, RAN, RESTORED, Done, Reproduction
from perenne.protocols.dvc.revisions import WORKSPACE, Revision, has_commits
from perenne.protocols.dvc.stages import Stage, Stages
from perenne.tracking import Provenance, RunState, Tag, UsedDataset

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

KIND = "dvc"


def record(workspace: "Workspace", stages: Stages, reproduction: Reproduction, flow: str) -> str:
    """Record what was done as one tracked run; return its id.

    Parameters
    ----------
    flow : str
        The pipeline run.
    """
    order, actor = reproduction.order, local_principal()
    name = os.path.basename(stages.repository.root)
    failed = reproduction.failure is not None
    done = [reproduction.done[stage] for stage in order if stage in reproduction.done]
    metrics = _metrics(stages, order)
    used, made = _used(order), _made(order)

    def write(tx: Any) -> str:
        run = tracking.service.start_run(
            tx, actor, project=name, kind=KIND, parameters=_parameters(order), provenance=_provenance(stages), flow=flow
        )
        tracking.logs.log_inputs(tx, actor, run.id, datasets=used)
        tracking.logs.log_batch(tx, actor, run.id, tags=made[:100])
        state = RunState.FAILED if failed else RunState.FINISHED
        tracking.service.end_run(tx, actor, run.id, state=state, outcome=_outcome(done), metrics=metrics)
        return run.id

    return workspace.database.write(write)


def _parameters(order: Iterable[Stage]) -> dict[str, Any]:
    """Return the parameters of all stages; those of another file than params.yaml with the file in front."""
    found: dict[str, Any] = {}
    for stage in order:
        for file, values in (stage.locked.params if stage.locked is not None else {}).items():
            lead = "" if file == "params.yaml" else f"{file}:"
            for key, value in values.items():
                inner = dict(flattened(value)) if isinstance(value, dict) else {"": value}
                found.update({f"{lead}{key}.{name}".rstrip("."): leaf for name, leaf in inner.items()})
    return found


def _metrics(stages: Stages, order: list[Stage]) -> dict[str, float | None]:
    """Return the numbers of the files of metrics; the file in front where there are several."""
    files = {
        os.path.relpath(p.place, stages.repository.root) for stage in order for p in stage.products if p.out.kind == "metric"
    }
    values = metrics_of(Revision(stages.repository, WORKSPACE), sorted(files))
    found: dict[str, float | None] = {}
    for file, read in values.items():
        inner = read.get("data")
        for name, value in flattened(inner) if isinstance(inner, dict) else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[name if len(files) == 1 else f"{file}:{name}"] = float(value)
    return found


def _used(order: list[Stage]) -> list[UsedDataset]:
    """Return what the stages took that none of them made."""
    made = [product.place for stage in order if stage.meta is None for product in stage.products]
    found = {}
    for stage in order:
        for entry in stage.locked.deps if stage.locked is not None and stage.meta is None else ():
            place = os.path.normpath(os.path.join(stage.wdir, entry.path))
            if entry.digest and not any(place == one or place.startswith(f"{one}/") for one in made):
                said = os.path.relpath(place, stage.root)
                found[said] = UsedDataset(name=said, digest=entry.digest, source_type="dvc", source=json.dumps({"path": said}))
    return list(found.values())


def _made(order: list[Stage]) -> list[Tag]:
    """Return the md5 of every output as a tag."""
    return [
        Tag(f"dvc.out.{os.path.relpath(os.path.join(stage.wdir, entry.path), stage.root)}", entry.digest)
        for stage in order
        for entry in (stage.locked.outs if stage.locked is not None and stage.meta is None else ())
        if entry.digest
    ]


def _provenance(stages: Stages) -> Provenance:
    repository = stages.repository
    commit = repository.git.resolve("HEAD") if repository.git is not None and has_commits(repository) else ""
    return Provenance(commit=commit, command=" ".join(sys.argv)[:1_000])


def _outcome(done: list[Done]) -> str:
    counts = {state: sum(one.state == state for one in done) for state in (RAN, RESTORED, FAILED, LEFT)}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)
