"""Steps for child processes, in a file that is quickly imported."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import NotFound
from perenne.pipelines import current, pipeline, step


class Recipe(msgspec.Struct, frozen=True):
    factor: int
    names: tuple[str, ...] = ()


class Odd(Exception):
    """An error of the project's own."""


def tripled(x: float) -> float:
    return 3 * x


@step
def listing(count: int) -> list[int]:
    return list(range(count))


@step(isolate=True)
def away(x: int, recipe: Recipe, function: Callable[[float], float], file: Path, bounds: tuple[int, int]) -> NDArray[Any]:
    assert isinstance(recipe, Recipe)
    assert isinstance(recipe.names, tuple)
    assert bounds == (1, 2)
    current().progress("half way", 0.5)
    print("printed by a child")
    return np.full(3_000, function(x) * recipe.factor + len(file.read_text()))


@step
def save(arrays: list[NDArray[Any]], extra: dict[str, Any]) -> Path:
    path = current().folder / "sum.txt"
    path.write_text(f"{sum(array.sum() for array in arrays) + extra['more'][0]:.0f}")
    return path


@step
def load(path: Path) -> float:
    return float(path.read_text())


@pipeline
def flow(count: int, file: Path) -> float:
    numbers = listing(count)
    parts = away.map(numbers, Recipe(2, ("a",)), tripled, file, (1, 2))
    return load(save(parts, {"more": [numbers[1], 5]}))


@step(timeout=0.2)
def endless(x: int) -> int:
    while True:
        time.sleep(x)


@step(isolate=True)
def dying(x: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return x


@step(isolate=True)
def raising(kind: str) -> NoReturn:
    if kind == "own":
        raise Odd("not mine")
    if kind == "perenne":
        raise NotFound("no such thing", code="thing.not_found", hint="look elsewhere")
    raise {"key": KeyError, "value": ValueError}[kind]("bad")


@step(isolate=True)
def quick(x: int) -> int:
    return x + 1


@pipeline
def troubles() -> tuple[Any, ...]:
    return endless(60), dying(1), raising("own"), raising("perenne"), raising("value"), quick(1)


@step
def vector(count: int) -> NDArray[Any]:
    return np.ones(count)


@step(isolate=True)
def norm(array: NDArray[Any]) -> float:
    return float(np.linalg.norm(array))
