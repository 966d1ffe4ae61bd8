"""A release folder for the comparison: an estimator packaged the real way, with its monitoring reference, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.serving.models import NAMES

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
    fields = tuple(Field(name, FieldKind.NUMBER) for name in NAMES)
    columns = dict(zip(NAMES, np.ascontiguousarray(x.T), strict=True))
    labels = estimator.predict(x).astype(int)
    encoder = Encoder.fit(columns, labels, fields, Task.BINARY, 2)
    signature = Signature(fields, Task.BINARY, (0, 1), "y")
    folder = home / "releases" / "m"
    variants = []
    for number in range(1 + challengers):
        tree = digest_bytes(str(number).encode())
        place = folder / VERSIONS / tree
        sample = take(columns, slice(0, 500))
        package(
            place, signature=signature, encoder=encoder, estimator=estimator, sample=sample, example=take(columns, slice(0, 5))
        )
        prediction = load(place).predict(columns)
        reference = Reference.fit(
            columns,
            fields,
            scores=prediction.scores,
            predictions=prediction.predictions,
            labels=labels,
            task=Task.BINARY,
            classes=(0, 1),
        )
        (place / "monitor").mkdir()
        (place / "monitor" / "reference.npz").write_bytes(reference.to_bytes())
        role = Role.CHALLENGER if number else Role.CHAMPION
        variants.append(Variant(f"challenger-m@{number}" if number else "champion", role, f"m@{number + 1}", tree, "r"))
    rules = LogRules(sample=1.0 if log else 0.0)
    deployment = Deployment(name="m", project="bench", generation=1, variants=tuple(variants), log=rules)
    write_atomically(folder / CURRENT, json.encode(Release(deployment=deployment)))
