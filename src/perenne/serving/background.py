"""What a version knows of its inputs beside their types: typical values, the levels there were, a row to try it with.

From the monitoring reference in its package; without one, from the example it was packaged with and from its encoding. Read when
somebody asks, for a prediction needs none of it.
"""

from collections import Counter
from typing import TypeAlias

import msgspec
import numpy as np

from perenne.core.errors import Invalid
from perenne.inference import Signature
from perenne.serving.challengers import REFERENCE
from perenne.serving.loading import LoadedVersion
from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind

Plain: TypeAlias = float | str | None
MAX_LEVELS = 200


class KnownInput(msgspec.Struct, frozen=True):
    """What is known of an input.

    Attributes
    ----------
    typical : float, str or None
        The median or the most frequent level; None if nothing is known.
    levels : tuple of str
        What values it had, the most frequent first; empty for numbers and times, and where it is not known.
    least, most : float or None
        Between which values it lay.
    """

    typical: Plain
    levels: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


class Background(msgspec.Struct, frozen=True):
    """What is known of each input, and rows the version was packaged with, by input."""

    inputs: dict[str, KnownInput]
    example: dict[str, list[Plain]]


def background_of(loaded: LoadedVersion) -> Background:
    """Read what a version knows of its inputs; of tensors nothing is."""
    signature, example = loaded.signature, dict(loaded.predictor.example.inputs)
    reference = _reference(loaded)
    levels = _encoded_levels(loaded)
    inputs = {
        field.name: _from_example(field, example, levels) if reference is None else _from_reference(reference, field, levels)
        for field in signature.fields
        if field.kind is not FieldKind.TENSOR
    }
    return Background(inputs, example)


def explainable(signature: Signature) -> bool:
    """Tell whether answers can be traced back to single inputs: not those of or from tensors."""
    tensors = any(field.kind is FieldKind.TENSOR for field in signature.fields)
    return not tensors and signature.task.value != "outputs"


def _reference(loaded: LoadedVersion) -> Reference | None:
    try:
        return Reference.from_bytes((loaded.folder / REFERENCE).read_bytes())
    except OSError:  # it has none, or the package was removed after it was loaded
        return None


def _from_reference(reference: Reference, field: Field, levels: dict[str, tuple[str, ...]]) -> KnownInput:
    known = reference.known_range(field.name)
    found = tuple(known.levels[:MAX_LEVELS]) or levels.get(field.name, ())
    return KnownInput(reference.typical(field.name), found, known.minimum, known.maximum)


def _from_example(field: Field, example: dict[str, list[Plain]], levels: dict[str, tuple[str, ...]]) -> KnownInput:
    given = [value for value in example.get(field.name, ()) if value is not None]
    if not given:
        return KnownInput(None, levels.get(field.name, ()))
    if field.kind is FieldKind.CATEGORY:
        counted = Counter(str(value) for value in given)
        return KnownInput(counted.most_common(1)[0][0], levels.get(field.name, ()) or tuple(sorted(counted)))
    return KnownInput(float(np.median(np.array(given, np.float64))))


def _encoded_levels(loaded: LoadedVersion) -> dict[str, tuple[str, ...]]:
    """Return the levels an encoding knows."""
    try:
        columns = loaded.predictor.encoder.state.columns
    except Invalid:  # a model that was trained elsewhere takes its inputs as they are
        return {}
    return {column.name: tuple(column.levels)[:MAX_LEVELS] for column in columns if hasattr(column, "levels")}
