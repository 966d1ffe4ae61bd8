"""A layout as arrays and a little JSON, and both as one `npz` file: no pickle, the same bytes for the same content."""

import io
import struct
import tokenize
import zipfile
import zlib
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats import bits
from perenne.stats.clusters import Clusters
from perenne.stats.columns import FieldKind, Task
from perenne.stats.joint import Joint
from perenne.stats.layout import FeatureCells, Layout
from perenne.stats.levels import CategoryCells
from perenne.stats.numeric import NumberCells

Arrays = dict[str, NDArray[np.generic]]
T = TypeVar("T")

_META = "meta"
_JOINT = ("features", "cells", "center", "turn")

# What zipfile, zlib, numpy and msgspec raise on bytes that are damaged or something else.
_DAMAGE: tuple[type[Exception], ...] = (
    *(OSError, ValueError, LookupError, EOFError, ArithmeticError, TypeError, AttributeError, RuntimeError),
    *(zlib.error, struct.error, zipfile.BadZipFile, msgspec.DecodeError, tokenize.TokenError),
)


class NumberMeta(msgspec.Struct, tag="number"):
    """The plain values of NumberCells, and the lengths of its parts in the joined arrays. NaN is None."""

    name: str
    kind: FieldKind
    center: float
    scale: float
    narrow: bool
    minimum: float | None
    maximum: float | None
    median: float | None
    points: int
    fine: int


class LevelMeta(msgspec.Struct, tag="category"):
    """The plain values of CategoryCells, and the length of its hashes in the joined array."""

    name: str
    levels: tuple[str, ...]
    complete: bool
    hashes: int


class LayoutMeta(msgspec.Struct, omit_defaults=True):
    """The plain values of a Layout."""

    features: list[NumberMeta | LevelMeta]
    task: Task
    classes: tuple[str, ...]
    threshold: float
    scored: bool
    answer_center: float
    answer_scale: float
    lists: tuple[str, ...] = ()
    cluster_levels: tuple[int, ...] = ()
    joint_inputs: int = 0


def write(meta: msgspec.Struct, arrays: Arrays) -> bytes:
    """Write a Struct and arrays as npz."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **{_META: np.frombuffer(msgspec.json.encode(meta), np.uint8)}, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def read(data: bytes, kind: type[T]) -> tuple[T, Arrays]:
    """Read what `write` wrote.

    Raises
    ------
    Invalid
        If the bytes are no such file.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays: Arrays = {name: archive[name] for name in archive.files}
        return msgspec.json.decode(arrays.pop(_META).tobytes(), type=kind), arrays
    except _DAMAGE as error:
        raise unreadable(error) from None


def unreadable(reason: object) -> Invalid:
    """Return the error for bytes that hold no reference."""
    return Invalid(
        f"these bytes are no reference: {reason}",
        code="reference.unreadable",
        hint="it was damaged, or made by another release of perenne",
    )


def layout_parts(layout: Layout) -> tuple[LayoutMeta, Arrays]:
    """Take a layout apart."""
    number_cells = [cells for cells in layout.features if isinstance(cells, NumberCells)]
    level_cells = [cells for cells in layout.features if isinstance(cells, CategoryCells)]
    fine = [np.flatnonzero(cells.fine) for cells in number_cells]
    meta = LayoutMeta(
        features=[_number_meta(cells) if isinstance(cells, NumberCells) else _level_meta(cells) for cells in layout.features],
        task=layout.task,
        classes=layout.classes,
        threshold=layout.threshold,
        scored=layout.scored,
        answer_center=layout.answer_center,
        answer_scale=layout.answer_scale,
        lists=layout.lists,
        cluster_levels=() if layout.clusters is None else layout.clusters.levels,
        joint_inputs=0 if layout.joint is None else layout.joint.inputs,
    )
    beside: Arrays = {} if layout.clusters is None else {"cluster_centres": layout.clusters.centres}
    if layout.joint is not None:
        beside |= {f"joint_{name}": getattr(layout.joint, name) for name in _JOINT}
    return meta, beside | {
        "points": _join([cells.points for cells in number_cells], np.float64),
        "atoms": _join([cells.atoms for cells in number_cells], np.bool_),
        "tables": _stack([cells.table for cells in number_cells], bits.CODES, np.uint8),
        "fine_codes": _join(fine, np.int64).astype(np.uint16),
        "fine_counts": _join([cells.fine[used] for cells, used in zip(number_cells, fine, strict=True)], np.int64),
        "hashes": _join([cells.hashes for cells in level_cells], np.uint64),
        "groups": _stack([cells.groups for cells in layout.features], 64, np.uint8),
        "tests": _stack([cells.tests for cells in layout.features], 64, np.uint8),
    }


def layout_of(meta: LayoutMeta, arrays: Arrays) -> Layout:
    """Put a layout together again."""
    number_metas = [feature for feature in meta.features if isinstance(feature, NumberMeta)]
    level_metas = [feature for feature in meta.features if isinstance(feature, LevelMeta)]
    points = _split(arrays["points"], [feature.points for feature in number_metas])
    atoms = _split(arrays["atoms"], [feature.points for feature in number_metas])
    fine = [_split(arrays[name], [feature.fine for feature in number_metas]) for name in ("fine_codes", "fine_counts")]
    hashes = _split(arrays["hashes"], [feature.hashes for feature in level_metas])
    features: list[FeatureCells] = []
    number, level = 0, 0
    for place, feature in enumerate(meta.features):
        groups, tests = arrays["groups"][place], arrays["tests"][place]
        if isinstance(feature, NumberMeta):
            counts = np.zeros(bits.CODES, np.int64)
            counts[fine[0][number].astype(np.int64)] = fine[1][number]
            plain = {name: getattr(feature, name) for name in ("name", "kind", "center", "scale", "narrow")}
            plain |= {name: _number(getattr(feature, name)) for name in ("minimum", "maximum", "median")}
            features.append(
                NumberCells(
                    **plain,
                    points=points[number],
                    atoms=atoms[number],
                    table=arrays["tables"][number],
                    groups=groups,
                    tests=tests,
                    fine=counts,
                )
            )
            number += 1
        else:
            features.append(CategoryCells(feature.name, feature.levels, hashes[level], feature.complete, groups, tests))
            level += 1
    clusters = Clusters(meta.cluster_levels, arrays["cluster_centres"].astype(np.float32)) if meta.cluster_levels else None
    axes: list[NDArray[Any]] = [arrays[f"joint_{name}"] for name in _JOINT] if meta.joint_inputs else []
    joint = Joint(meta.joint_inputs, *axes) if axes else None
    return Layout(
        tuple(features), meta.task, meta.classes, meta.threshold, meta.scored, meta.answer_center, meta.answer_scale, clusters,
        meta.lists, joint,
    )  # fmt: skip


def _number_meta(cells: NumberCells) -> NumberMeta:
    return NumberMeta(
        name=cells.name,
        kind=cells.kind,
        center=cells.center,
        scale=cells.scale,
        narrow=cells.narrow,
        minimum=_known(cells.minimum),
        maximum=_known(cells.maximum),
        median=_known(cells.median),
        points=len(cells.points),
        fine=int((cells.fine > 0).sum()),
    )


def _level_meta(cells: CategoryCells) -> LevelMeta:
    return LevelMeta(name=cells.name, levels=cells.levels, complete=cells.complete, hashes=len(cells.hashes))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _join(parts: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts])


def _stack(parts: list[NDArray[Any]], width: int, dtype: type) -> NDArray[Any]:
    return np.array(parts, dtype).reshape(len(parts), width)


def _split(joined: NDArray[Any], lengths: list[int]) -> list[NDArray[Any]]:
    return np.split(joined, np.cumsum(lengths))[:-1]
