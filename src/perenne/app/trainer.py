"""`python -m perenne.app.trainer`: do the rounds that wait, then end. The control plane starts it when there are some."""

from perenne.app.wiring import Platform
from perenne.storage.workspace import Workspace


def main() -> None:
    """Drain the queue of rounds of this installation."""
    with Workspace() as workspace:
        Platform(workspace).trainer.drain()


if __name__ == "__main__":
    main()
