"""What is handed out over HTTP: a profile as a page, a notebook or JSON; a comparison; rows that came and went; tracked files.

A page is a document of its own: its policy lets it run nothing but its own script, in an origin of its own, and load nothing.
Values of personal data are hidden in everything that leaves as a file.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.core import json
from perenne.core.errors import Invalid, NotFound
from perenne.data import store
from perenne.data.examinations import read_profile, remembered
from perenne.data.explore.rows import RowChanges, compare_rows, key_of
from perenne.data.explore.tracked import Tracked, Use, tracked_files, with_uses
from perenne.data.model import DataProfile, Snapshot
from perenne.data.personal import masked
from perenne.data.snapshots import get_snapshot, read_snapshot
from perenne.data.versions.lineage import digests_in
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

MOST_ROWS = 5_000_000
"""Tables with more rows are compared by `perenne data compare --rows`, on a machine of one's own."""


def _visible(tx: Transaction, actor: Principal, identity: str) -> Snapshot:
    """Find a snapshot; one of a project that the actor does not see is not found."""
    found = get_snapshot(tx, identity)
    if actor.projects and not any(sees(actor, project) for project in store.projects_of(tx, [found.id]).get(found.id, ())):
        raise NotFound(
            f"snapshot {identity[:100]!r} is not known here",
            code="data.snapshot_not_found",
            hint="`perenne data list` shows them",
        )
    return found


def _profiled(request: Request, *identities: str) -> list[DataProfile]:
    """Read the kept profiles of snapshots."""
    workspace: Workspace = request.app.state.workspace
    with workspace.database.read() as tx:
        taken = [_visible(tx, request.state.actor, identity) for identity in identities]
        examined = [store.examinations(tx, [item.id], item.dataset).get(item.id) for item in taken]
    for item, found in zip(taken, examined, strict=True):
        if found is None:
            hint = f"`perenne data profile {item.id[:12]}` does"
            raise NotFound("nobody has looked into these rows yet", code="data.no_profile", hint=hint)
    return [read_profile(workspace.objects, found.profile) for found in examined if found is not None]


def _file(profile: DataProfile, ending: str, *, attached: bool) -> dict[str, str]:
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", profile.dataset)[:80] or "data"
    kind = "attachment" if attached else "inline"
    return {"content-disposition": f'{kind}; filename="{plain}-{profile.digest[:12]}{ending}"', "cache-control": "no-cache"}


def _html(page: str, headers: dict[str, str]) -> Response:
    from perenne.data.explore.style import POLICY

    policy = f"{POLICY}; frame-ancestors 'none'; sandbox allow-scripts"
    return Response(page, media_type="text/html", headers={**headers, "content-security-policy": policy})


async def _made(request: Request, make: Callable[[], Response]) -> Response:
    return await asyncio.to_thread(make)


@needs(Action.READ, filters=True)
async def get_page(request: Request) -> Response:
    """Give a snapshot's profile as a page; with `?download=1` as a file."""

    def make() -> Response:
        from perenne.data.explore.page import profile_page

        (found,) = _profiled(request, request.path_params["snapshot"])
        return _html(profile_page(masked(found)), _file(found, ".html", attached="download" in request.query_params))

    return await _made(request, make)


@needs(Action.READ, filters=True)
async def get_notebook(request: Request) -> Response:
    """Give a snapshot's profile as a notebook, a file."""

    def make() -> Response:
        from perenne.data.explore.notebook import write_notebook

        (found,) = _profiled(request, request.path_params["snapshot"])
        headers = _file(found, ".ipynb", attached=True)
        return Response(write_notebook(masked(found)), media_type="application/x-ipynb+json", headers=headers)

    return await _made(request, make)


@needs(Action.READ, filters=True, returns=DataProfile)
async def get_json(request: Request) -> Response:
    """Give a snapshot's profile as JSON, a file."""

    def make() -> Response:
        (found,) = _profiled(request, request.path_params["snapshot"])
        return Response(json.encode(masked(found)), media_type="application/json", headers=_file(found, ".json", attached=True))

    return await _made(request, make)


@needs(Action.READ, filters=True)
async def get_comparison(request: Request) -> Response:
    """Give a snapshot beside another one, `?against=`, as a page; with `download=1` as a file."""

    def make() -> Response:
        from perenne.data.explore.comparison import comparison_page

        current, reference = _profiled(request, request.path_params["snapshot"], request.query_params.get("against", ""))
        labels = (f"{reference.dataset} {reference.digest[:12]}", f"{current.dataset} {current.digest[:12]}")
        headers = _file(current, "-compared.html", attached="download" in request.query_params)
        return _html(comparison_page(reference, current, labels=labels), headers)

    return await _made(request, make)


@needs(Action.READ, filters=True, returns=RowChanges)
async def get_changes(request: Request) -> Response:
    """Tell which rows came and went since another snapshot, `?against=`, by a `key` (more than one if given several times)."""
    identity, asked = request.path_params["snapshot"], request.query_params

    def make() -> Response:
        workspace: Workspace = request.app.state.workspace
        with workspace.database.read() as tx:
            after, before = (_visible(tx, request.state.actor, name) for name in (identity, asked.get("against", "")))
            examined = [store.examinations(tx, [item.id], item.dataset).get(item.id) for item in (before, after)]
        if max(before.rows, after.rows) > MOST_ROWS:
            hint = f"`perenne data compare {after.id[:12]} {before.id[:12]} --rows` does, on your own machine"
            raise Invalid(f"more than {MOST_ROWS:,} rows are not compared here", code="data.too_large", hint=hint)
        key = tuple(asked.getlist("key"))
        if not key and all(examined):
            key = key_of(*(read_profile(workspace.objects, found.profile) for found in examined if found is not None))
        objects = workspace.objects
        found = remembered(
            ("rows", before.id, after.id, *key),
            lambda: compare_rows(read_snapshot(objects, before.id), read_snapshot(objects, after.id), key),
        )
        return answers.answer(found)

    return await _made(request, make)


@needs(Action.READ, returns=Tracked)
async def get_tracked(request: Request) -> Response:
    """Tell which files the repository of this installation tracks, and their versions."""

    def make() -> Response:
        workspace: Workspace = request.app.state.workspace
        with workspace.database.read() as tx:
            links = store.made_of_versions(tx)
        uses: dict[str, list[Use]] = {}
        for kind, source, version in links:
            for digest in digests_in(version):
                uses.setdefault(digest, []).append(Use(kind, source))
        return answers.answer(with_uses(tracked_files(workspace.settings.home.parent), uses))

    return await _made(request, make)


_SNAPSHOT = "/api/data/snapshot/{snapshot}"
routes: list[Any] = [
    Route(f"{_SNAPSHOT}/profile.html", get_page, methods=["GET"]),
    Route(f"{_SNAPSHOT}/profile.ipynb", get_notebook, methods=["GET"]),
    Route(f"{_SNAPSHOT}/profile.json", get_json, methods=["GET"]),
    Route(f"{_SNAPSHOT}/compare.html", get_comparison, methods=["GET"]),
    Route(f"{_SNAPSHOT}/changes", get_changes, methods=["GET"]),
    Route("/api/data/tracked", get_tracked, methods=["GET"]),
]
