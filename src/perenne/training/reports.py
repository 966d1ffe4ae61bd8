"""Reading what a round reported: from the object store, outside of any transaction."""

import msgspec

from perenne import tracking
from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.storage.workspace import Workspace
from perenne.training.model import Report

NOT_RECORDED = "Not recorded: the run is of before reports were kept, or it did not get that far."


class Told(msgspec.Struct, frozen=True):
    """A report, or why there is none."""

    report: Report | None
    reason: str = ""


def report_of(workspace: Workspace, run: str) -> Told:
    """Read what a run reported. Raises NotFound if there is no such run."""
    with workspace.database.read() as tx:
        tracking.service.get_run(tx, run)
        digest = tracking.service.report_of(tx, run)
    if not digest:
        return Told(None, NOT_RECORDED)
    try:
        return Told(json.decode(workspace.objects.get(digest), Report, what="report"))
    except PerenneError as error:
        return Told(None, f"The report cannot be read: {error.message}.")
