"""A process that is killed while it tells people: `python -m … HOME WHERE`, with WHERE `queue`, `send` or `mark`.

queue: in the transaction that queues the message. send: once it was sent, before anybody noted it. mark: in the transaction
that notes it.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from perenne.core.config import load_settings
from perenne.monitoring.alerting.delivering import DELIVER, AlertDelivery
from perenne.monitoring.alerting.messages import Message
from perenne.monitoring.events import AlertsChanged
from perenne.storage import jobs
from perenne.storage.outbox import Outbox
from perenne.storage.owners import owner_token
from perenne.storage.workspace import Workspace


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class File:
    """Writes the key of what it is sent to a file; it may be killed right after."""

    def __init__(self, path: Path, *, deadly: bool = False) -> None:
        self.path = path
        self.deadly = deadly

    def send(self, message: Message) -> None:
        with self.path.open("a") as file:
            file.write(message.key + "\n")
        if self.deadly:
            die()


def main(home: Path, where: str) -> None:
    with Workspace(load_settings(home, {**os.environ, "PERENNE_HOME": str(home)})) as workspace:
        delivery = AlertDelivery({"file": File(home / "sent", deadly=where == "send")}, workspace.clock)

        def deadly(tx: Any, event: AlertsChanged) -> None:
            delivery.queue(tx, event)
            die()

        if where == "queue":
            Outbox(workspace.database, {AlertsChanged: [deadly]}).deliver()
        job = workspace.database.write(lambda tx: jobs.claim(tx, owner_token(), [DELIVER]))
        assert job is not None
        if where == "mark":
            setattr(jobs, "finish", lambda tx, job: die())  # noqa: B010
        delivery.deliver(workspace, job)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
