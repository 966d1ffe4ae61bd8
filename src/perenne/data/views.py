"""The screens of the data domain: all datasets, and one of them with its snapshots, columns, findings and comparison."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.core.errors import Invalid, NotFound
from perenne.data import store
from perenne.data.catalogue.describing import describe, described
from perenne.data.catalogue.model import Described
from perenne.data.catalogue.store import says
from perenne.data.columns import ColumnDetail, ColumnLine, ColumnsWanted, column_detail, columns_of
from perenne.data.comparing import ColumnDifference
from perenne.data.examinations import differences, read_findings, read_profile
from perenne.data.explore import endpoints
from perenne.data.model import Anomaly, DataProfile, Examination, PairProfile, Snapshot
from perenne.data.personal import hidden, masked, masked_findings, reveals
from perenne.data.snapshots import get_snapshot
from perenne.storage.links import Kind, Near, near
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

WINDOW = 200
SNAPSHOTS = 50
_USES = 5
_FINDINGS = 100
_PAIRS = 6
_NAMES = 20


class DatasetLine(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset in the list: its newest snapshot, and what its newest validation found; None where nobody has looked."""

    name: str
    projects: tuple[str, ...]
    snapshots: int
    snapshot: str
    rows: int
    columns: int
    bytes: int
    source: str
    first: int | None
    last: int | None
    taken: int
    errors: int | None
    warnings: int | None
    owner: str
    classification: str
    tags: dict[str, str]
    freshness: int | None


class Datasets(msgspec.Struct, frozen=True, kw_only=True):
    """A window of the datasets, and how many there are."""

    rows: tuple[DatasetLine, ...]
    total: int


def datasets_view(
    tx: Transaction, actor: Principal, *, find: str = "", order: str = "newest", offset: int = 0, limit: int = WINDOW
) -> Datasets:
    """List datasets. Raises Invalid for an order that there is not."""
    if order not in store.ORDERS:
        raise Invalid(
            f"order: {order[:50]!r} is none of {', '.join(store.ORDERS)}", code="data.order", hint="choose one of those"
        )
    wanted = store.Wanted(actor.projects or None, find, also=says)
    found = store.newest_of_each(tx, wanted, order, offset, min(limit, WINDOW))
    projects = store.projects_of(tx, [item.snapshot.id for item in found])
    said = described(tx, found, 0)
    lines = tuple(_line(item, _seen(actor, projects.get(item.snapshot.id, ())), said[item.snapshot.dataset]) for item in found)
    return Datasets(rows=lines, total=store.count_datasets(tx, wanted))


def _seen(actor: Principal, projects: Iterable[str]) -> tuple[str, ...]:
    return tuple(project for project in projects if sees(actor, project))


def _line(item: store.Newest, projects: tuple[str, ...], said: Described) -> DatasetLine:
    snapshot, found = item.snapshot, item.examination
    return DatasetLine(
        name=snapshot.dataset,
        projects=projects,
        snapshots=item.taken,
        snapshot=snapshot.id,
        rows=snapshot.rows,
        columns=len(snapshot.columns),
        bytes=snapshot.bytes,
        source=snapshot.source,
        first=found.first if found else None,
        last=found.last if found else None,
        taken=snapshot.created,
        errors=found.errors if found else None,
        warnings=found.warnings if found else None,
        owner=said.owner,
        classification=said.classification,
        tags=said.tags,
        freshness=said.freshness,
    )


class Uses(msgspec.Struct, frozen=True):
    """The newest of those that used a snapshot, and how many there are."""

    newest: tuple[str, ...] = ()
    total: int = 0


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """How a snapshot differs from the one before it, by their records: rows, bytes, columns, and findings if both have any."""

    before: str
    rows: int
    bytes: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[str, ...]
    findings: int | None


class SnapshotLine(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a dataset: what it holds, where it is from, what was found in it, who used it."""

    id: str
    rows: int
    columns: int
    bytes: int
    source: str
    start: int | None
    end: int | None
    first: int | None
    last: int | None
    taken: int
    projects: tuple[str, ...]
    profiled: bool
    errors: int | None
    warnings: int | None
    changed: Changed | None
    runs: Uses
    versions: Uses


class Finding(msgspec.Struct, frozen=True):
    """An anomaly, and the same in words."""

    anomaly: Anomaly
    words: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What validation found: all counts, the first rows of each, and against which snapshot's schema, or which file."""

    errors: int
    warnings: int
    shown: tuple[Finding, ...]
    baseline: str
    examined: int


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset: its snapshots, and the chosen one with its columns; `columns` is None if it was never profiled.

    `against` is the snapshot that it is compared with; `compared` tells whether both have a profile.
    """

    name: str
    total: int
    snapshots: tuple[SnapshotLine, ...]
    snapshot: SnapshotLine
    duplicate_rows: int | None
    target: str | None
    sample: int | None
    columns: tuple[ColumnLine, ...] | None
    total_columns: int
    against: str
    compared: bool
    column: ColumnDetail | None
    pairs: tuple[PairProfile, ...]
    findings: Findings | None
    said: Described


def dataset_view(
    tx: Transaction,
    objects: ObjectStore,
    actor: Principal,
    dataset: str,
    *,
    snapshot: str = "",
    against: str = "",
    wanted: ColumnsWanted | None = None,
) -> Dataset:
    """Show a dataset.

    Parameters
    ----------
    snapshot, against : str
        Ids of snapshots of it, or beginnings of them: which to show (the newest if not given), and which to compare with.
    wanted : ColumnsWanted, optional
        Which columns.

    Raises
    ------
    NotFound
        If there is no such dataset or snapshot of it, or no such column.
    """
    wanted = wanted or ColumnsWanted()
    window, total = store.window_of(tx, dataset, actor.projects or None, 0, SNAPSHOTS + 1)
    found = window[:SNAPSHOTS]
    if not found:
        raise NotFound("there is no dataset of that name", code="data.not_found", hint="`perenne data list` shows those that are")
    chosen = _pick(tx, actor, dataset, snapshot, found) if snapshot else found[0]
    other = _pick(tx, actor, dataset, against, found) if against else None
    asked = {item.id: item for item in (*window, chosen, *([other] if other else []))}
    lines = _snapshot_lines(tx, actor, dataset, asked, window)
    examined = store.examinations(tx, [chosen.id, *([other.id] if other else [])], dataset)
    mine = examined.get(chosen.id)
    profile, reference, changed, findings = _looked_into(objects, actor, mine, examined.get(other.id) if other else None)
    columns, count = columns_of(profile, reference, changed, findings, wanted) if profile else (None, len(chosen.columns))
    return Dataset(
        name=dataset,
        total=total,
        snapshots=tuple(lines[item.id] for item in found),
        snapshot=lines[chosen.id],
        duplicate_rows=profile.duplicate_rows if profile else None,
        target=profile.target if profile else None,
        sample=profile.sample if profile else None,
        columns=columns,
        total_columns=count,
        against=other.id if other else "",
        compared=reference is not None,
        column=_detail(profile, reference, findings, wanted),
        pairs=profile.pairs[:_PAIRS] if profile and wanted.offset == 0 and not wanted.find else (),
        findings=_findings(mine, findings),
        said=describe(tx, actor, dataset, 0),
    )


def _looked_into(
    objects: ObjectStore, actor: Principal, mine: Examination | None, theirs: Examination | None
) -> tuple[DataProfile | None, DataProfile | None, tuple[ColumnDifference, ...], tuple[Anomaly, ...]]:
    """Read what was found in a snapshot and in the one beside it, as the actor may see it."""
    profile = read_profile(objects, mine.profile) if mine else None
    reference = read_profile(objects, theirs.profile) if theirs and mine else None
    changed = differences(objects, theirs.profile, mine.profile) if theirs and mine else ()
    findings = read_findings(objects, mine.findings) if mine and mine.findings else ()
    if profile is None or reveals(actor):
        return profile, reference, changed, findings
    changed = hidden(changed, profile, *([reference] if reference else []))
    return masked(profile), masked(reference) if reference else None, changed, masked_findings(profile, findings)


def _detail(
    profile: DataProfile | None, reference: DataProfile | None, findings: tuple[Anomaly, ...], wanted: ColumnsWanted
) -> ColumnDetail | None:
    return None if profile is None or wanted.column is None else column_detail(profile, reference, findings, wanted.column)


def _pick(tx: Transaction, actor: Principal, dataset: str, identity: str, found: list[Snapshot]) -> Snapshot:
    """Find a snapshot of the dataset by the beginning of its id."""
    near_by = [item for item in found if item.id.startswith(identity)]
    candidates = near_by or [item for item in store.starting_with(tx, identity) if item.dataset == dataset]
    if not near_by and actor.projects:
        mine = store.projects_of(tx, [item.id for item in candidates])
        candidates = [item for item in candidates if _seen(actor, mine.get(item.id, ()))]
    if len(candidates) != 1:
        problem = "is not known" if not candidates else "is the beginning of several"
        raise NotFound(
            f"snapshot {identity[:70]!r} of {dataset[:100]!r} {problem}",
            code="data.snapshot_not_found",
            hint="`perenne data list` shows those that are",
        )
    return candidates[0]


def _snapshot_lines(
    tx: Transaction, actor: Principal, dataset: str, found: Mapping[str, Snapshot], window: Sequence[Snapshot]
) -> dict[str, SnapshotLine]:
    examined = store.examinations(tx, found, dataset)
    projects = store.projects_of(tx, found)
    uses = near(tx, Kind.SNAPSHOT, found, forwards=False, each=_USES)
    changed = {after.id: _changed(before, after, examined) for after, before in pairwise(window)}
    return {
        identity: _snapshot_line(
            item, examined.get(identity), _seen(actor, projects.get(identity, ())), uses, changed.get(identity)
        )
        for identity, item in found.items()
    }


def _changed(before: Snapshot, after: Snapshot, examined: Mapping[str, Examination]) -> Changed:
    """Tell how a snapshot differs from the one before it."""
    old, new = ({column.name: column.type for column in item.columns} for item in (before, after))
    told = [examined[item.id].errors for item in (before, after) if item.id in examined]
    warned = [examined[item.id].warnings for item in (before, after) if item.id in examined]
    counts = [error + warning for error, warning in zip(told, warned, strict=True) if error is not None and warning is not None]
    return Changed(
        before=before.id,
        rows=after.rows - before.rows,
        bytes=after.bytes - before.bytes,
        added=tuple(name for name in new if name not in old)[:_NAMES],
        removed=tuple(name for name in old if name not in new)[:_NAMES],
        retyped=tuple(name for name in new if name in old and new[name] != old[name])[:_NAMES],
        findings=counts[1] - counts[0] if len(counts) == 2 else None,
    )


def _snapshot_line(
    item: Snapshot,
    found: Examination | None,
    projects: tuple[str, ...],
    uses: Collection[Near],
    changed: Changed | None,
) -> SnapshotLine:
    return SnapshotLine(
        id=item.id,
        rows=item.rows,
        columns=len(item.columns),
        bytes=item.bytes,
        source=item.source,
        start=item.start,
        end=item.end,
        first=found.first if found else None,
        last=found.last if found else None,
        taken=item.created,
        projects=projects,
        profiled=found is not None,
        errors=found.errors if found else None,
        warnings=found.warnings if found else None,
        changed=changed,
        runs=_uses(uses, item.id, Kind.RUN),
        versions=_uses(uses, item.id, Kind.VERSION),
    )


def _uses(uses: Collection[Near], snapshot: str, kind: Kind) -> Uses:
    mine = [item for item in uses if item.link.target == snapshot and item.link.source_kind == kind]
    return Uses(tuple(item.link.source for item in mine), mine[0].of) if mine else Uses()


def _findings(found: Examination | None, anomalies: tuple[Anomaly, ...]) -> Findings | None:
    if found is None or found.errors is None or found.warnings is None:
        return None
    shown = tuple(Finding(item, item.sentence) for item in anomalies[:_FINDINGS])
    return Findings(errors=found.errors, warnings=found.warnings, shown=shown, baseline=found.baseline, examined=found.examined)


@needs(Action.READ, filters=True, returns=Datasets)
async def get_datasets(request: Request) -> Response:
    """Give the datasets."""
    asked = request.query_params
    window: dict[str, Any] = {"find": asked.get("find", ""), "order": asked.get("order", "newest"), **_window(asked)}
    return await answers.view(request, lambda tx, actor: datasets_view(tx, actor, **window))


def snapshot_view(tx: Transaction, objects: ObjectStore, actor: Principal, identity: str, wanted: ColumnsWanted) -> Dataset:
    """Show the dataset of a snapshot, with that one chosen; what whoever asks does not see is not found."""
    taken = get_snapshot(tx, identity)
    return dataset_view(tx, objects, actor, taken.dataset, snapshot=taken.id, wanted=wanted)


@needs(Action.READ, filters=True, returns=Dataset)
async def get_by_snapshot(request: Request) -> Response:
    """Give the dataset of a snapshot."""
    objects, identity, wanted = request.app.state.workspace.objects, request.path_params["snapshot"], _columns(request)
    return await answers.view(request, lambda tx, actor: snapshot_view(tx, objects, actor, identity, wanted))


@needs(Action.READ, filters=True, returns=Dataset)
async def get_dataset(request: Request) -> Response:
    """Give a dataset, with the columns of one of its snapshots."""
    asked, objects, wanted = request.query_params, request.app.state.workspace.objects, _columns(request)
    name, snapshot, against = request.path_params["dataset"], asked.get("snapshot", ""), asked.get("against", "")
    return await answers.view(
        request,
        lambda tx, actor: dataset_view(tx, objects, actor, name, snapshot=snapshot, against=against, wanted=wanted),
    )


def _columns(request: Request) -> ColumnsWanted:
    asked = request.query_params
    window = _window(asked)
    return ColumnsWanted(
        column=asked.get("column"), find=asked.get("find", ""), order=asked.get("order", ""),
        offset=window["offset"], limit=window["limit"],
    )  # fmt: skip


def _window(asked: Mapping[str, str]) -> dict[str, int]:
    """Read `offset` and `limit`. Raises Invalid, naming the one that is no whole number from 0 on."""
    found = {}
    for name, default in (("offset", 0), ("limit", WINDOW)):
        text = asked.get(name, str(default))
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise Invalid(f"{name}: {text[:50]!r} is no whole number from 0 on", code="request.window", hint="write it in digits")
        found[name] = int(text)
    return found | {"limit": min(found["limit"], WINDOW)}


routes = [
    *endpoints.routes,
    Route("/api/view/data", get_datasets, methods=["GET"]),
    Route("/api/view/data/snapshot/{snapshot}", get_by_snapshot, methods=["GET"]),
    Route("/api/view/data/{dataset:path}", get_dataset, methods=["GET"]),
]
