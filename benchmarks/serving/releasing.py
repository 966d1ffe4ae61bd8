"""A release folder for the comparison: an estimator packaged the real way, with its monitoring reference, and nothing else."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.serving.models import NAMES

from perenne import inference
from perenne.core import json
from perenne.core.hashing import digest_bytes
from perenne.inference import Encoder, Signature, load, package
from perenne.serving import Deployment, Variant
from perenne.serving.log_rules import LogRules
from perenne.serving.model import Release, Role
from perenne.serving.releases import CURRENT, VERSIONS
from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task, take
from perenne.storage.files import write_atomically


def release(home: Path, estimator: Any, x: Any, *, log: bool, challengers: int) -> None:
    """Release an estimator as the deployment `m`, without a log or with one, and itself so many times in shadow."""
    folder = home / "releases" / "m"
    variants = []
    for number in range(1 + challengers):
        tree = digest_bytes(str(number).encode())
        place = folder / VERSIONS / tree
        if hasattr(estimator, "get_booster"):
            _package_booster(place, estimator)
        else:
            _package(place, estimator, x)
        role = Role.CHALLENGER if number else Role.CHAMPION
        variants.append(Variant(f"challenger-m@{number}" if number else "champion", role, f"m@{number + 1}", tree, "r"))
    rules = LogRules(sample=1.0 if log else 0.0)
    deployment = Deployment(name="m", project="bench", generation=1, variants=tuple(variants), log=rules)
    write_atomically(folder / CURRENT, json.encode(Release(deployment=deployment)))


def _package(place: Path, estimator: Any, x: Any) -> None:
    fields = tuple(Field(name, FieldKind.NUMBER) for name in NAMES)
    columns = dict(zip(NAMES, np.ascontiguousarray(x.T), strict=True))
    labels = estimator.predict(x).astype(int)
    encoder = Encoder.fit(columns, labels, fields, Task.BINARY, 2)
    signature = Signature(fields, Task.BINARY, (0, 1), "y")
    sample, example = take(columns, slice(0, 500)), take(columns, slice(0, 5))
    package(place, signature=signature, encoder=encoder, estimator=estimator, sample=sample, example=example)
    found = load(place).predict(columns)
    reference = Reference.fit(
        columns, fields, scores=found.scores, predictions=found.predictions, labels=labels, task=Task.BINARY, classes=(0, 1)
    )
    (place / "monitor").mkdir()
    (place / "monitor" / "reference.npz").write_bytes(reference.to_bytes())


def _package_booster(place: Path, estimator: Any) -> None:
    """Package a booster from its own file, as `perenne serve model.ubj` does."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.ubj"
        estimator.get_booster().feature_names = NAMES
        estimator.save_model(path)
        inference.foreign.package_model(path, place)
