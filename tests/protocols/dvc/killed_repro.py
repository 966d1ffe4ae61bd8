"""Bring stages up to date in the present folder, and be killed after so many steps; tells how many there were if it is not.

python killed_repro.py HOME STEPS
"""

import sys
from pathlib import Path
from types import FrameType

from tests.dying import die_after

from perenne import data
from perenne.core.config import load_settings
from perenne.protocols.dvc.bringing import Selection, reproduce
from perenne.protocols.dvc.reproducing import Wishes
from perenne.storage.workspace import Workspace


def main(home: Path, steps: int) -> None:
    with Workspace(load_settings(home, {})) as workspace:
        workspace.database.close()
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += 1

    with Workspace(load_settings(home, {})) as workspace:
        if steps:
            die_after(steps)
        else:
            sys.setprofile(count)
        reproduce(data.versions.open_repository(), Selection(), Wishes(), lambda: workspace, lambda line: None, output=sys.stderr)
        sys.setprofile(None)
    print(counted)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
