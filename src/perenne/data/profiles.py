"""The profile of a table: every column exactly, its relation to the target and the pairs worth a look on a sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import perenne
from perenne.data.aspects import Missing, MissingPattern, Repeated
from perenne.data.associations import associate
from perenne.data.column_profiles import profile_column
from perenne.data.fields import missing_column
from perenne.data.model import ColumnProfile, DataProfile, PairProfile, TargetRelation
from perenne.data.pairs import pairs_of
from perenne.data.personal import kind_of
from perenne.data.relations import LEAK, relations_to
from perenne.data.tables import Values, canonical, pc, whole

SAMPLE = 20_000
SEED = 20_130_101
ENGINE = f"pyarrow {pa.__version__}, numpy {np.__version__}"
_BLOCKS = 48
_MISSING_COLUMNS = 60
_PATTERNS = 12
_REPEATED = 5


def profile_table(
    table: pa.Table, *, target: str | None = None, dataset: str = "", digest: str = "", created: int = 0
) -> DataProfile:
    """Describe a table.

    Parameters
    ----------
    table : pyarrow.Table
        As from `read_source` or `read_snapshot`.
    target : str, optional
        The column to predict.
    dataset, digest : str
        What the rows are called, and the snapshot they are.
    created : int
        The time of the profile, in microseconds since 1970; not given, it holds no time and no time counts as future.

    Raises
    ------
    Invalid
        If there is no such target, or a column holds lists or structs.

    >>> profile = profile_table(pa.table({"x": [1.0, 2.0, 4.0, None]}))
    >>> profile.column("x").nulls, profile.column("x").numbers.max
    (1, 4.0)
    """
    nans = nans_of(table)
    table = canonical(table)
    if target is not None and target not in table.column_names:
        raise missing_column("target", target, table.column_names)
    columns = dict(zip(table.column_names, map(whole, table.columns), strict=True))
    rows = sample_rows(table.num_rows)
    sample = {name: values if rows is None else values.take(pa.array(rows)) for name, values in columns.items()}
    profiles = [profile_column(name, values, nans=nans.get(name, 0), now=created) for name, values in columns.items()]
    duplicates, repeated = _duplicates(list(columns.values()))
    return DataProfile(
        dataset=dataset,
        digest=digest,
        rows=table.num_rows,
        duplicate_rows=duplicates,
        bytes=table.nbytes,
        created=created,
        engine=ENGINE,
        version=perenne.__version__,
        seed=SEED,
        missing=_missing(columns),
        repeated=repeated,
        **together(sample, profiles, target),
    )


def together(sample: Mapping[str, Values], profiles: Sequence[ColumnProfile], target: str | None) -> dict[str, Any]:
    """Return the parts of a profile that say how its columns hang together, computed on a sample of rows."""
    relations = relations_to(sample, target) if target is not None else {}
    naming = {profile.name for profile in profiles if "id" in profile.flags}
    telling = {name: values for name, values in sample.items() if name not in naming}
    associations = associate(telling)
    pairs: tuple[PairProfile, ...] = pairs_of(telling, associations)
    columns = tuple(_related(_personal(profile, sample[profile.name]), relations) for profile in profiles)
    rows = len(next(iter(sample.values())))
    return {"columns": columns, "target": target, "sample": rows, "pairs": pairs, "associations": associations}


def sample_rows(rows: int) -> NDArray[np.int64] | None:
    """Return the rows of the sample in order; None for all of them."""
    if rows <= SAMPLE:
        return None
    return np.sort(np.random.default_rng(SEED).choice(rows, SAMPLE, replace=False))


def nans_of(table: pa.Table) -> dict[str, int]:
    """Count the values that are written as not-a-number, which are missing values afterwards."""
    found = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_floating(column.type):
            found[name] = pc.sum(pc.is_nan(column)).as_py() or 0
    return found


def _related(profile: ColumnProfile, relations: Mapping[str, TargetRelation]) -> ColumnProfile:
    relation = relations.get(profile.name)
    if relation is None:
        return profile
    flags = (*profile.flags, "leak") if relation.value > LEAK else profile.flags
    return msgspec.structs.replace(profile, target=relation, flags=flags)


def _personal(profile: ColumnProfile, sample: Values) -> ColumnProfile:
    kind = kind_of(profile, sample)
    return msgspec.structs.replace(profile, personal=kind, flags=(*profile.flags, "personal")) if kind else profile


def _duplicates(columns: Sequence[Values]) -> tuple[int, tuple[Repeated, ...]]:
    """Count the rows that repeat an earlier one, by a 64-bit hash of each row, and find those that come most often."""
    rows = len(columns[0])
    state = np.zeros(rows, np.uint64)
    for column in columns:
        state = (state ^ _bits(column)) * np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(29)
    different = len(np.unique(state))
    if different == rows:
        return 0, ()
    _, first, counts = np.unique(state, return_index=True, return_counts=True)
    most = sorted(np.flatnonzero(counts > 1), key=lambda at: (-counts[at], first[at]))[:_REPEATED]
    return rows - different, tuple(Repeated(int(first[at]) + 1, int(counts[at])) for at in most)


def _bits(column: Values) -> NDArray[np.uint64]:
    """Return 64 bits that are equal where values are; a missing one has bits that hardly any value has."""
    if pa.types.is_string(column.type) or pa.types.is_boolean(column.type):
        return np.asarray(column.dictionary_encode().indices.fill_null(-1)).astype(np.uint64)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    filled = np.asarray(column.fill_null(0)) + 0  # -0.0 + 0 is 0.0
    return filled.view(np.uint64) ^ (~np.asarray(column.is_valid())).astype(np.uint64) * np.uint64(0x5851F42D4C957F2D)


def _missing(columns: Mapping[str, Values]) -> Missing | None:
    """Tell where values are missing, and which are missing together; None if none is."""
    lacking = [name for name, values in columns.items() if values.null_count]
    most = set(sorted(lacking, key=lambda name: -columns[name].null_count)[:_MISSING_COLUMNS])
    names = [name for name in lacking if name in most]
    if not names:
        return None
    masks = [np.asarray(columns[name].is_null()) for name in names]
    return missing_of(names, masks)


def missing_of(names: Sequence[str], masks: Sequence[NDArray[np.bool_]]) -> Missing:
    """Describe what is missing, by a mask for each column: at most 60 of them, over all rows or a sample."""
    rows = len(masks[0])
    starts = np.unique(np.linspace(0, rows, min(_BLOCKS, rows) + 1).astype(np.int64)[:-1])
    packed = np.zeros(rows, np.int64)
    for place, mask in enumerate(masks):
        packed |= mask.astype(np.int64) << place
    found, counts = np.unique(packed, return_counts=True)
    order = sorted(range(len(found)), key=lambda at: (-int(counts[at]), int(found[at])))
    patterns = [(int(found[at]), int(counts[at])) for at in order]
    return Missing(
        columns=tuple(names),
        rows=tuple(np.diff(np.append(starts, rows)).tolist()),
        counts=tuple(tuple(np.add.reduceat(mask.astype(np.int64), starts).tolist()) for mask in masks),
        patterns=tuple(
            MissingPattern(tuple(name for place, name in enumerate(names) if bits >> place & 1), count)
            for bits, count in patterns if bits
        )[:_PATTERNS],
        complete=next((count for bits, count in patterns if not bits), 0),
    )  # fmt: skip
