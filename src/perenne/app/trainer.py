"""`python -m perenne.app.trainer`: do one heavy job, such as a round, and end. A worker starts it and hands it the job."""

from collections.abc import Mapping

from perenne.app.wiring import Platform
from perenne.automation import Handler, run_child
from perenne.storage.workspace import Workspace


def handlers(workspace: Workspace) -> Mapping[str, Handler]:
    """Return who does which heavy job."""
    return Platform(workspace).heavy


if __name__ == "__main__":
    run_child(handlers)
