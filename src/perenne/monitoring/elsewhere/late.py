"""Labels of rows that others answered, by the ids that others gave them: found by their keys, then labels like any other."""

from collections.abc import Sequence

import msgspec
import numpy as np

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.monitoring.elsewhere import service, store
from perenne.monitoring.elsewhere.ids import id_keys, prediction_id
from perenne.monitoring.elsewhere.keeping import read_keys, read_part
from perenne.monitoring.elsewhere.rows import keys_of
from perenne.monitoring.labels import LabelRow, label_table, submit_labels
from perenne.storage.workspace import Workspace


class Found(msgspec.Struct, frozen=True):
    """What became of labels: how many found their row, how many did not, and the batch they are."""

    labelled: int
    unknown: int
    batch: str = ""


def submit(workspace: Workspace, actor: Principal, name: str, rows: Sequence[LabelRow]) -> Found:
    """Keep labels of rows that were counted; those whose row is not known are left out, and may be sent again.

    Raises
    ------
    NotFound, Invalid
        If nothing that others serve is called so, or a row is malformed; nothing is kept then.
    """
    label_table(rows, workspace.clock.now())
    with workspace.database.read() as tx:
        known = service.get(tx, actor, name)
    require(actor, Action.COMMENT, known.project)
    ids = _prediction_ids(workspace, name, {row.prediction_id for row in rows})
    found = [msgspec.structs.replace(row, prediction_id=ids[row.prediction_id]) for row in rows if row.prediction_id in ids]
    if not found:
        return Found(0, len(rows))
    receipt = submit_labels(workspace, actor, found)
    return Found(len(found), len(rows) - len(found), receipt.batch)


def _prediction_ids(workspace: Workspace, deployment: str, names: set[str]) -> dict[str, str]:
    """Return the prediction ids of rows by what others call them, looking at the newest rows first."""
    found: dict[str, str] = {}
    with workspace.database.read() as tx:
        parts = store.parts_between(tx, deployment, 0, 1 << 62)
    left = sorted(names)
    for part in reversed(parts):
        if not left:
            break
        keys = read_keys(workspace.objects.get(part.keys_object))
        if not np.isin(keys_of(id_keys(left)), keys).any():
            continue
        rows = read_part(workspace, part)
        for identity, time in zip(rows["id"].to_pylist(), rows["time"].to_pylist(), strict=True):
            if identity in names and identity not in found:
                found[identity] = prediction_id(deployment, identity, time)
        left = [name for name in left if name not in found]
    return found
