"""Steps for a Ray cluster, and a driver of them to be killed: `python ray_steps.py ADDRESS FOLDER`.

Each notes when it begins, and on which node: the parent of a worker is the process that speaks for its node.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.compute import RayExecutor
from perenne.pipelines import Engine, PipelineRun, current, pipeline, step
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects

HELD = 3  # the part that waits until it may go on


def begun(folder: str, name: str) -> None:
    handle = os.open(f"{folder}/begun", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{name} {os.getppid()}\n".encode())
    os.close(handle)


@step
def part(number: int, folder: str) -> NDArray[Any]:
    begun(folder, f"part-{number}")
    while number == HELD and not Path(folder, "gate").exists():
        time.sleep(0.02)
    return np.arange(4_000.0) + number  # too large for a row


@step
def written(array: NDArray[Any], folder: str) -> Path:
    begun(folder, f"written-{array[0]:.0f}")
    target = current().folder / "out"
    target.mkdir()
    (target / "sum.txt").write_text(f"{array.sum():.0f}")
    return target


@step
def total(folders: list[Path], folder: str) -> float:
    begun(folder, "total")
    return sum(float((place / "sum.txt").read_text()) for place in folders)


@pipeline
def sums(count: int, folder: str) -> float:
    return total([written(part(number, folder), folder) for number in range(count)], folder)


@step(resources={"special": 1, "cpu": 0})
def somewhere(x: int) -> int:
    return os.getppid() * x


@step
def surroundings(file: Path, x: int) -> list[str]:
    current().progress("there", 0.5)
    return [str(current().folder), str(file), file.read_text() * x]


def run(address: str, folder: Path, count: int = 6) -> PipelineRun:
    executor = RayExecutor(address)
    try:
        with (
            Database.open(f"sqlite:///{folder}/ray.db") as database,
            Engine(database, FileObjects(folder / "objects"), executor=executor, root=Path(__file__).parent) as engine,
        ):
            return engine.run(sums, count, str(folder))
    finally:
        executor.close()


if __name__ == "__main__":
    from tests.pipelines import ray_steps

    print(ray_steps.run(sys.argv[1], Path(sys.argv[2])).output)
