"""A pipeline whose steps run in threads, one of which fails at first and then for good; run as a program, it is traced."""

import contextlib
import sys
from pathlib import Path

from perenne.compute import ThreadExecutor
from perenne.pipelines import Engine, pipeline, step
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects
from perenne.telemetry import tracing


@step
def one(x: int) -> int:
    return x + 1


@step(retries=1)
def broken(x: int) -> int:
    raise ValueError("token=hunter2 is refused")


@pipeline
def flow(x: int) -> list[int]:
    return [one(x), one(x + 1), broken(x)]


def main(folder: Path) -> None:
    with (
        tracing.traced_process("perenne-test"),
        tracing.span("outer"),
        contextlib.closing(ThreadExecutor(2)) as executor,
        Database.open(f"sqlite:///{folder}/perenne.db") as database,
        Engine(database, FileObjects(folder / "objects"), executor=executor) as engine,
    ):
        engine.run(flow, 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
