"""Small packages made the real way: fitted, compiled, with a monitoring reference; and release folders that hold them."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from perenne.core import json
from perenne.core.hashing import digest_bytes
from perenne.inference import Encoder, Signature, load, package
from perenne.serving.log_rules import LogRules
from perenne.serving.model import Constant, Deployment, Release, Role, Stop, Variant
from perenne.serving.releases import CURRENT, VERSIONS
from perenne.stats.cells import Reference
from perenne.stats.columns import Columns, Field, FieldKind, Task, take
from perenne.storage.files import write_atomically

FIELDS = (
    Field("distance", FieldKind.NUMBER),
    Field("seats", FieldKind.NUMBER, "int64"),
    Field("carrier", FieldKind.CATEGORY, "string"),
    Field("weekend", FieldKind.CATEGORY, "bool"),
    Field("scheduled", FieldKind.TIME, "timestamp"),
)
NUMBERS = (Field("a", FieldKind.NUMBER), Field("b", FieldKind.NUMBER), Field("c", FieldKind.NUMBER))
START = 1_357_000_000.0


def flights(rows: int, seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    return {
        "distance": draw.normal(1_000, 300, rows),
        "seats": draw.integers(50, 400, rows).astype(float),
        "carrier": draw.choice(np.array(["AA", "UA", "DL", None], object), rows),
        "weekend": draw.choice(np.array(["true", "false"], object), rows),
        "scheduled": np.sort(START + draw.uniform(0, 5e6, rows)),
    }


def numbers(rows: int, seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=rows) for name in "abc"}


def make_package(folder: Path, *, fields: tuple[Field, ...] = FIELDS, task: Task = Task.BINARY, seed: int = 0) -> Path:
    """Fit, compile and package a small model in a folder."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    columns = flights(400, seed) if fields is FIELDS else numbers(400, seed)
    draw = np.random.default_rng(seed + 1)
    leading: Any = columns[fields[0].name]
    noisy = (leading - leading.mean()) / leading.std() + draw.normal(0, 0.5, 400)
    if task is Task.REGRESSION:
        classes: tuple[Any, ...] = ()
        y: Any = noisy
        estimator: Any = HistGradientBoostingRegressor(max_iter=10, random_state=seed)
    else:
        classes = ("on time", "late") if task is Task.BINARY else ("low", "middle", "high")
        y = np.digitize(noisy, (0.0,) if task is Task.BINARY else (-0.5, 0.5))
        estimator = HistGradientBoostingClassifier(max_iter=10, random_state=seed)
    encoder = Encoder.fit(columns, y, fields, task, len(classes))
    with threadpool_limits(1):  # OpenMP's threads would spin against the other tests'
        estimator.fit(encoder.transform(columns), y)
    signature = Signature(fields, task, classes, "late")
    package(folder, signature=signature, encoder=encoder, estimator=estimator, sample=columns, example=take(columns, slice(0, 5)))
    prediction = load(folder).predict(columns)
    reference = Reference.fit(
        columns,
        fields,
        scores=prediction.scores,
        predictions=prediction.predictions,
        labels=y,
        task=task,
        classes=classes,
    )
    (folder / "monitor").mkdir()
    (folder / "monitor" / "reference.npz").write_bytes(reference.to_bytes())
    return folder


@cache
def made_packages() -> dict[str, Path]:
    """Make the packages of a test run once: making one compiles it and proves its parity."""
    root = Path(tempfile.mkdtemp(prefix="perenne-packages-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return {
        "first": make_package(root / "first"),
        "second": make_package(root / "second", seed=7),
        "regression": make_package(root / "regression", fields=NUMBERS, task=Task.REGRESSION),
        "multiclass": make_package(root / "multiclass", fields=NUMBERS, task=Task.MULTICLASS),
    }


ALL = LogRules()


class ReleaseFolder:
    """A release folder of one deployment, written without a registry."""

    def __init__(self, folder: Path, name: str = "delays") -> None:
        self.folder = folder
        self.name = name
        self.generation = 0
        (folder / VERSIONS).mkdir(parents=True)

    def add(self, package_folder: Path, number: int, role: Role = Role.CHAMPION) -> Variant:
        """Put a package where the server finds it."""
        tree = digest_bytes((package_folder / "package.json").read_bytes() + str(number).encode())
        target = self.folder / VERSIONS / tree
        if not target.exists():
            target.symlink_to(package_folder)
        reference = digest_bytes((package_folder / "monitor" / "reference.npz").read_bytes())
        return Variant(role.value, role, f"late@{number}", tree, reference)

    def write(
        self,
        *variants: Variant,
        answer: Constant | None = None,
        stop: Stop | None = None,
        replay: bool = False,
        window: int = 0,
        log: LogRules = ALL,
    ) -> int:
        """Release these variants; return the generation."""
        self.generation += 1
        deployment = Deployment(
            name=self.name,
            project="flights",
            generation=self.generation,
            variants=variants,
            window_length=window or 3_600_000_000,
            answer=answer,
            stop=stop,
            log=log,
        )
        return self.publish(deployment, replay=replay)

    def publish(self, deployment: Deployment, *, replay: bool = False) -> int:
        """Release a deployment as it is; return its generation."""
        self.generation = deployment.generation
        write_atomically(self.folder / CURRENT, json.encode(Release(deployment=deployment, replay=replay)))
        return self.generation


def as_tensors(columns: Columns, fields: tuple[Field, ...] = FIELDS) -> list[dict[str, Any]]:
    """Write columns as inputs of the inference protocol."""
    tensors = []
    for field in fields:
        values: list[Any] = columns[field.name].tolist()
        datatype = "FP64"
        if field.kind is FieldKind.TIME:
            datatype, values = "INT64", [int(value * 1e9) for value in values]
        elif field.kind is FieldKind.CATEGORY:
            datatype = "BYTES"
        tensors.append({"name": field.name, "shape": [len(values)], "datatype": datatype, "data": values})
    return tensors
