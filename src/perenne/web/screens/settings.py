"""The settings screen: tokens, processes, and what this installation is; one tab at a time."""

import asyncio
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import perenne
from perenne.auth import answers, tokens
from perenne.auth.access import needs
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, Role, allowed, require
from perenne.auth.tokens import Token
from perenne.core.errors import Invalid
from perenne.net.processes import Process, processes
from perenne.storage import migrations
from perenne.storage.objects import describe_objects
from perenne.storage.retention import EVENTS_KEPT, JOBS_KEPT, KEYS_KEPT
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

TABS = ("tokens", "processes", "about")
VENDORED = Path(__file__).parent.parent / "static" / "vendor" / "vendor.json"


class TokenRow(msgspec.Struct, frozen=True):
    """A token, its secret apart. `state` is valid, expired or revoked; `made_by` is who made it, `person` whom it stands for."""

    id: str
    name: str
    made_by: str
    person: str
    kind: PrincipalKind
    roles: tuple[Role, ...]
    projects: tuple[str, ...]
    state: str
    created: int
    expires: int
    last_used: int | None
    revoked: int | None
    two_until: int | None


class TokensTab(msgspec.Struct, frozen=True):
    """Tokens, newest first, and what whoever looks may put into a new one: `others` if also for other people and services."""

    rows: tuple[TokenRow, ...]
    roles: tuple[Role, ...]
    projects: tuple[str, ...]
    others: bool


class Kept(msgspec.Struct, frozen=True):
    """How long something is kept after its end, in microseconds."""

    what: str
    length: int


class Vendored(msgspec.Struct, frozen=True):
    """A part of the page that others wrote."""

    package: str
    version: str
    licence: str


class AboutTab(msgspec.Struct, frozen=True, kw_only=True):
    """What this installation is. Places are told to administrators only."""

    version: str
    python: str
    system: str
    database: str
    schema: str
    objects: str
    home: str | None
    database_place: str | None
    objects_place: str | None
    executor: str
    asks: bool
    kept: tuple[Kept, ...]
    vendored: tuple[Vendored, ...]


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """The screen: the tab that was asked for, the others None."""

    tab: str
    tokens: TokensTab | None = None
    processes: tuple[Process, ...] | None = None
    about: AboutTab | None = None


def tokens_tab(tx: Transaction, actor: Principal, now: int) -> TokensTab:
    """List the tokens that whoever looks may see."""
    rows = tuple(_token_row(item, now) for item in tokens.tokens(tx, actor))
    others = allowed(actor, Action.ADMINISTER)
    return TokensTab(rows, tuple(Role) if others else tuple(sorted(actor.roles)), tuple(sorted(actor.projects)), others)


def _token_row(item: Token, now: int) -> TokenRow:
    two = item.previous_until if item.previous_until is not None and item.previous_until > now else None
    return TokenRow(
        item.id, item.name, item.owner, item.principal, item.kind, item.roles, item.projects, item.state(now), item.created,
        item.expires, item.last_used, item.revoked, two,
    )  # fmt: skip


def about_tab(tx: Transaction, actor: Principal, workspace: Workspace, *, asks: bool) -> AboutTab:
    """Say what this installation is."""
    require(actor, Action.READ)
    settings, backend = workspace.settings, workspace.database.backend
    told = allowed(actor, Action.ADMINISTER)
    return AboutTab(
        version=perenne.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        database=backend.describe(tx),
        schema=migrations.current(tx.connection) or "",
        objects=describe_objects(settings.objects).partition(" ")[0],
        home=str(settings.home) if told else None,
        database_place=str(backend.place) if told else None,
        objects_place=describe_objects(settings.objects).partition(" ")[2] if told else None,
        executor=settings.executor.partition(":")[0],
        asks=asks,
        kept=(
            Kept("delivered events", EVENTS_KEPT),
            Kept("jobs that are done", JOBS_KEPT),
            Kept("jobs that failed, were cancelled, or have a key", KEYS_KEPT),
        ),
        vendored=vendored(),
    )


def vendored() -> tuple[Vendored, ...]:
    """List the packages that the page brings along."""
    found: Sequence[dict[str, Any]] = msgspec.json.decode(VENDORED.read_bytes())
    rows = {Vendored(item["package"], item["version"], item["licence"]) for item in found}
    return tuple(sorted(rows, key=lambda row: (row.package, row.version)))


@needs(Action.READ, filters=True, returns=SettingsView)
async def get_settings(request: Request) -> Response:
    """Give one tab of the settings: `?tab=` tokens, processes or about."""
    tab = request.query_params.get("tab") or TABS[0]
    if tab not in TABS:
        raise Invalid(f"tab is {tab[:40]!r}", code="settings.tab", hint=f"one of: {', '.join(TABS)}")
    workspace: Workspace = request.app.state.workspace
    if tab == "tokens":
        now = workspace.clock.now()
        return await answers.view(request, lambda tx, actor: SettingsView(tab=tab, tokens=tokens_tab(tx, actor, now)))
    if tab == "about":
        asks = request.app.state.entrance is not None
        return await answers.view(
            request, lambda tx, actor: SettingsView(tab=tab, about=about_tab(tx, actor, workspace, asks=asks))
        )
    require(request.state.actor, Action.READ)
    found = await asyncio.to_thread(processes, workspace.settings.home)
    return await answers.view(request, lambda tx, actor: SettingsView(tab=tab, processes=tuple(found)))


routes = [Route("/api/view/settings", get_settings, methods=["GET"])]
