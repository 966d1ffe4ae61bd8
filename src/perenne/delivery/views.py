"""The screens of delivery: versions on their way, and one version with its gates."""

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import registry
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, sees
from perenne.core.errors import NotFound
from perenne.delivery.gates.jobs import open_job
from perenne.delivery.gates.model import GateRow, combine, not_checked
from perenne.delivery.gates.order import all_gates
from perenne.delivery.gates.running import known_rows
from perenne.delivery.images import Image, images_of
from perenne.registry import Dossier, Verdict, VersionForm
from perenne.storage.transaction import Transaction

ROWS = 200


class VersionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A version on its way.

    Attributes
    ----------
    passed, failed, unknown, required_unknown : int
        Gates by what they said; the last are those that hold it back.
    verdict : str
        What they come to; empty if nobody ran them.
    gate, reasons : str, tuple of str
        Whether the registry lets it through, and why not.
    looked : int or None
        When they were run last.
    """

    version: str
    model: str
    number: int
    project: str
    created: int
    created_by: str
    aliases: tuple[str, ...]
    gate: str
    reasons: tuple[str, ...]
    verdict: str
    passed: int
    failed: int
    unknown: int
    required_unknown: int
    looked: int | None


class VersionsView(msgspec.Struct, frozen=True):
    """The newest versions, newest first."""

    rows: tuple[VersionLine, ...]


class UnderWay(msgspec.Struct, frozen=True):
    """A job that runs the gates, and how far it is."""

    job: str
    state: str
    share: float | None
    message: str


class ImageLine(msgspec.Struct, frozen=True, kw_only=True):
    """An image of a version: where it was pushed to, what it stands on, and how many libraries are in it."""

    digest: str
    build: int
    reference: str
    platforms: tuple[str, ...]
    base: str
    components: int
    size: int
    created: int
    created_by: str


class GateView(msgspec.Struct, frozen=True, kw_only=True):
    """A version and its gates in order of cost; those nobody ran are unknown.

    Attributes
    ----------
    line : VersionLine
        The version.
    rows : tuple of GateRow
        Every gate.
    not_checked : tuple of str
        What nobody looked at, and why.
    images : tuple of ImageLine
        The images that were made of it, the newest first.
    under_way : UnderWay or None
        The job that runs them now.
    may_run : bool
        Whether the caller may run them.
    """

    line: VersionLine
    rows: tuple[GateRow, ...]
    not_checked: tuple[str, ...]
    images: tuple[ImageLine, ...]
    under_way: UnderWay | None
    may_run: bool


def versions_view(tx: Transaction, actor: Principal) -> VersionsView:
    """Read the newest versions that somebody may see, with what their gates found last."""
    shown = [version for version in registry.versions(tx, limit=ROWS) if version.form is not VersionForm.PROMPT]
    ids = [version.id for version in shown if sees(actor, version.project)]
    known, gates = registry.summary.known(tx, ids), all_gates()
    return VersionsView(tuple(_line(known[identity], known_rows(known[identity], gates)) for identity in ids))


def gate_view(tx: Transaction, actor: Principal, identity: str) -> GateView:
    """Read a version with every gate. Raises NotFound if there is none, or none the actor may see."""
    dossier = registry.dossier(tx, identity)
    if not sees(actor, dossier.version.project):
        raise NotFound(f"version {identity[:100]!r} does not exist", code="model.not_found", hint="it may lie elsewhere")
    found = known_rows(dossier)
    job = open_job(tx, identity)
    return GateView(
        line=_line(dossier, found),
        rows=(*found, *_never_run(found)),
        not_checked=not_checked(found),
        images=tuple(_image(made) for made in images_of(tx, [identity])),
        under_way=None if job is None else UnderWay(job.id, job.state, job.share, job.message or ""),
        may_run=allowed(actor, Action.LOG) and dossier.version.form is not VersionForm.PROMPT,
    )


def _image(made: Image) -> ImageLine:
    return ImageLine(
        digest=made.digest, build=made.build, reference=made.reference, platforms=made.platforms, base=made.base,
        components=len(made.components), size=made.size, created=made.created, created_by=made.created_by,
    )  # fmt: skip


def _never_run(found: Sequence[GateRow]) -> tuple[GateRow, ...]:
    seen = {row.gate for row in found}
    return tuple(
        GateRow(gate=gate.name, title=gate.title, verdict=Verdict.UNKNOWN, required=False, detail="nobody has looked")
        for gate in all_gates()
        if gate.name not in seen
    )


def _line(dossier: Dossier, rows: Sequence[GateRow]) -> VersionLine:
    version = dossier.version
    verdicts = [row.verdict for row in rows]
    return VersionLine(
        version=version.id,
        model=version.model,
        number=version.number,
        project=version.project,
        created=version.created,
        created_by=version.created_by,
        aliases=dossier.aliases,
        gate=dossier.gate.state.value,
        reasons=dossier.gate.reasons,
        verdict=combine(rows).value if rows else "",
        passed=verdicts.count(Verdict.PASS),
        failed=verdicts.count(Verdict.FAIL),
        unknown=verdicts.count(Verdict.UNKNOWN),
        required_unknown=sum(row.holds_back and row.verdict is Verdict.UNKNOWN for row in rows),
        looked=max((row.started for row in rows if row.started is not None), default=None),
    )


@needs(Action.READ, filters=True, returns=VersionsView)
async def get_versions(request: Request) -> Response:
    """Give the newest versions with what their gates found."""
    return await answers.view(request, versions_view)


@needs(Action.READ, filters=True, returns=GateView)
async def get_gate(request: Request) -> Response:
    """Give a version with its gates."""
    return await answers.view(request, lambda tx, actor: gate_view(tx, actor, request.path_params["version"]))


routes = [
    Route("/api/view/gate", get_versions, methods=["GET"]),
    Route("/api/view/gate/{version}", get_gate, methods=["GET"]),
]
