"""`python -m perenne.app.trainer`: do the rounds that wait, then end. The control plane starts it when there are some."""

from perenne.app.wiring import Platform
from perenne.storage.workspace import Workspace
from perenne.telemetry import logs, tracing
from perenne.telemetry.heartbeats import Heartbeat


def main() -> None:
    """Drain the queue of rounds of this installation."""
    logs.configure("perenne-trainer")
    with (
        tracing.traced_process("perenne-trainer"),
        Workspace() as workspace,
        Heartbeat(workspace.settings.home, "trainer"),
    ):
        Platform(workspace).trainer.drain()


if __name__ == "__main__":
    main()
