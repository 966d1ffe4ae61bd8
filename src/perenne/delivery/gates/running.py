"""Running the gates of a version: each in its order, each with an end, and one row of evidence for each."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from perenne import __version__, registry, serving
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.core.hashing import digest_bytes
from perenne.delivery.events import GatesPassed
from perenne.delivery.gates.model import PREFIX, Finding, GateReport, GateRow, combine, not_checked, unknown
from perenne.delivery.gates.order import all_gates
from perenne.delivery.gates.port import GateCheck, Untold
from perenne.delivery.gates.subject import Rules, Subject
from perenne.projects import Gate, LoadedProject, ProjectRecord, get_project
from perenne.registry import Dossier, Evidence, Verdict, Version, VersionForm
from perenne.storage.outbox import emit
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

TIMEOUT = 900
"""Seconds after which a gate is unknown, where the project says nothing else by the setting `timeout`."""

_CODE = ("*.py", "*.toml", "*.yaml", "*.yml", "*.cfg", "*.ini", "*.sql")

Listener = Callable[[GateRow, int, int], None]


@dataclass(frozen=True)
class Wish:
    """What is asked of a run.

    Attributes
    ----------
    against : str
        The alias or version that it is compared with.
    only, skip : collection of str
        Gates that alone are looked at, and such that are not: these are unknown, unless it was found before.
    fresh : bool
        Whether to look again at what was found before for the same files and limits.
    just : collection of str
        The only gates there are for this run: nothing is said of the others.
    """

    against: str = "champion"
    only: Collection[str] = ()
    skip: Collection[str] = ()
    fresh: bool = False
    just: Collection[str] = ()

    def skips(self, name: str) -> bool:
        """Tell whether a gate is not to be looked at."""
        return name in self.skip or (bool(self.only) and name not in self.only)


def run_gates(
    workspace: Workspace,
    actor: Principal,
    identity: str,
    wish: Wish = Wish(),
    *,
    project: LoadedProject | None = None,
    hear: Listener | None = None,
    fence: Callable[[Transaction], None] | None = None,
) -> GateReport:
    """Run the gates of a version and leave a row of evidence for each.

    Parameters
    ----------
    identity : str
        `name@number`, or `name@alias`.
    project : LoadedProject, optional
        The project's folder, if it is at hand: its words count, and its code is looked at.
    hear : callable, optional
        Hears of each row as it comes, which it is, and of how many.
    fence : callable, optional
        Called in the transaction that keeps the evidence; raises if it no longer counts.

    Raises
    ------
    NotFound
        If there is no such version, or none the actor may see.
    Invalid
        If the project speaks of a gate or a setting that there is not; or a gate is named that there is not.
    """
    gates = all_gates()
    began = time.monotonic()
    with workspace.database.read() as tx:
        version = find_version(tx, actor, identity)
    _prepare(workspace, actor, version)
    with workspace.database.read() as tx:
        dossier = registry.dossier(tx, version.id)
        champion = _champion(tx, dossier.version, wish.against)
        rules = rules_of(project, _record(tx, dossier.version))
    require(actor, Action.LOG, dossier.version.project)
    _check(gates, rules, wish)
    gates = tuple(gate for gate in gates if not wish.just or gate.name in wish.just)
    with TemporaryDirectory(prefix="perenne-gate-", ignore_cleanup_errors=True) as scratch:
        subject = Subject(workspace, dossier, rules, Path(scratch), champion, project, SystemClock().now())
        rows: list[GateRow] = []
        for number, gate in enumerate(gates, 1):
            rows.append(_row(subject, gate, wish))
            if hear is not None:
                hear(rows[-1], number, len(gates))
    _keep(workspace, actor, dossier.version, rows, fence)
    return report_of(dossier.version, champion, rows, time.monotonic() - began)


def _prepare(workspace: Workspace, actor: Principal, version: Version) -> None:
    """Package what a client registered, as it would be to serve it; where that cannot be, the gates say what is missing."""
    if version.form is VersionForm.LOGGED:
        with suppress(PerenneError):
            serving.service.prepare(workspace, actor, version.id, reason="its gates are run")


def report_of(version: Version, champion: Version | None, rows: Sequence[GateRow], seconds: float) -> GateReport:
    """Put rows together."""
    return GateReport(
        version=version.id,
        tree=version.tree,
        against=champion.id if champion and champion.id != version.id else "",
        verdict=combine(rows),
        rows=tuple(rows),
        not_checked=not_checked(rows),
        seconds=seconds,
    )


def find_version(tx: Transaction, actor: Principal, identity: str) -> Version:
    """Read a version by `name@number` or `name@alias`. Raises NotFound, or Invalid if it is a prompt or names none."""
    model, at, place = identity.rpartition("@")
    if not at or not model:
        raise Invalid(f"{identity[:100]!r} names no version", code="gate.version", hint="write churn@3, or churn@champion")
    if place.isdecimal():
        version = registry.get_version(tx, identity)
    else:
        named = registry.placing.aliased(tx, model, place)
        if named is None:
            raise NotFound(
                f"{model[:100]} has no alias {place[:60]!r}", code="model.not_found", hint="`perenne model list` shows versions"
            )
        version = named
    if not sees(actor, version.project):
        raise NotFound(f"version {identity[:100]!r} does not exist", code="model.not_found", hint="it may lie elsewhere")
    if version.form is VersionForm.PROMPT:
        raise Invalid(f"{version.id} is a prompt", code="gate.version", hint="gates look at models")
    return version


def rules_of(project: LoadedProject | None, record: ProjectRecord | None) -> Rules:
    """Read what the project says: its folder if that is at hand, else what was recorded of it last."""
    if project is not None:
        said = project.project
        metric = said.policy.promote.metric if said.policy else ""
        return Rules(said.objectives, said.guardrails, said.gates, metric)
    if record is None:
        return Rules()
    return Rules(record.objectives, record.guardrails, record.gates, record.policy.promote.metric if record.policy else "")


def _record(tx: Transaction, version: Version) -> ProjectRecord | None:
    try:
        return get_project(tx, version.project)
    except NotFound:
        return None


def _champion(tx: Transaction, version: Version, against: str) -> Version | None:
    if "@" in against:
        return registry.get_version(tx, against)
    found = registry.placing.aliased(tx, version.model, against)
    if found is None and against != "champion":
        raise NotFound(
            f"{version.model} has no alias {against[:60]!r}",
            code="model.not_found",
            hint="leave --against out, or name a version",
        )
    return found


def check_stated(stated: Sequence[Gate]) -> None:
    """Refuse words on gates or settings that there are not. Raises Invalid."""
    if stated:
        _check(all_gates(), Rules(gates=tuple(stated)), Wish())


def _check(gates: Iterable[GateCheck], rules: Rules, wish: Wish) -> None:
    """Refuse words on gates that there are not: a gate that is misspelt would be one that nobody looks at."""
    known = {gate.name: gate for gate in gates}
    for name in (*wish.only, *wish.skip, *(said.name for said in rules.gates)):
        if name not in known:
            raise Invalid(f"there is no gate {name[:60]!r}", code="gate.unknown", hint=f"there are {', '.join(known)}")
    for said in rules.gates:
        settings = known[said.name].settings
        for setting in said.settings:
            if setting not in settings and setting != "timeout":
                has = ", ".join([*settings, "timeout"])
                raise Invalid(f"gate {said.name!r} has no setting {setting[:60]!r}", code="gate.setting", hint=f"it has {has}")


def _row(subject: Subject, gate: GateCheck, wish: Wish) -> GateRow:
    said, terms, unasked = subject.rules.of(gate.name), terms_of(subject, gate), _unasked(subject, gate)
    skipped = wish.skips(gate.name)
    before = _before(subject, gate, terms, failures=skipped) if skipped or not wish.fresh else None
    started, began, seconds = SystemClock().now(), time.monotonic(), None
    if before is not None:
        finding, seconds = _finding(before), before.seconds
    elif skipped:
        finding = unknown("skipped")
    elif unasked and gate.name not in wish.only and not _stated(said):
        finding = unknown(unasked)
    else:
        finding = look(subject, gate, _timeout(subject, gate))
        seconds = time.monotonic() - began
    waived = finding.verdict is Verdict.UNKNOWN and said.waived(subject.now)
    return GateRow(
        gate=gate.name,
        title=gate.title,
        verdict=finding.verdict,
        required=said.required if said.required is not None else not unasked,
        value=finding.value,
        limit=finding.limit,
        low=finding.low,
        high=finding.high,
        unit=finding.unit,
        detail=finding.detail,
        waived=said.waive if waived else "",
        until=said.ends if waived else None,
        digest=_kept(subject, gate, finding, terms) if before is None else before.digest,
        terms=terms,
        started=started if before is None else before.started,
        seconds=seconds,
        taken_over=before is not None,
    )


def _stated(said: Gate) -> bool:
    """Tell whether a project says something of a gate beside letting it go: then it is looked at, required or not."""
    return said.required is not None or not (said.at_least is None and said.at_most is None and not said.settings)


def _unasked(subject: Subject, gate: GateCheck) -> str:
    """Ask a gate whether it is asked for; one that cannot tell is."""
    try:
        return gate.unasked(subject)
    except Exception:
        return ""


def _timeout(subject: Subject, gate: GateCheck) -> float:
    found = subject.rules.of(gate.name).settings.get("timeout", TIMEOUT)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 86_400:
        raise Invalid(f"gate {gate.name!r}: timeout is {found!r}", code="gate.setting", hint="seconds, such as 600")
    return float(found)


def look(subject: Subject, gate: GateCheck, seconds: float) -> Finding:
    """Let a gate look, for some seconds at most. Whatever goes wrong, it is unknown then; never passed."""
    found: list[Finding] = []
    told: list[str] = []

    def work() -> None:
        try:
            found.append(gate.look(subject))
        except Untold as words:
            told.append(str(words))
        except PerenneError as error:
            told.append(f"it could not be run: {error.message}")
        except BaseException as error:
            told.append(f"it could not be run: {type(error).__name__}: {error}")

    thread = threading.Thread(target=work, name=f"gate-{gate.name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return unknown(f"it did not end within {seconds:g} s")
    if not found or not isinstance(found[0], Finding):
        return unknown(told[0] if told else "it ended without a finding")
    return found[0]


def terms_of(subject: Subject, gate: GateCheck) -> str:
    """Return the digest of what a gate's finding rests on; an empty text if it rests on the moment."""
    if "moment" in gate.rests_on:
        return ""
    said, rules = subject.rules.of(gate.name), subject.rules
    rests: dict[str, object] = {
        "perenne": __version__, "gate": gate.name, "tree": subject.version.tree, "snapshot": subject.version.snapshot,
        "at_least": said.at_least, "at_most": said.at_most, "settings": {**gate.settings, **said.settings},
    }  # fmt: skip
    if "bounds" in gate.rests_on:
        rests["bounds"] = [str(bound) for bound in (*rules.objectives, *rules.guardrails)] + [rules.metric]
    if "champion" in gate.rests_on:
        rests["champion"] = subject.champion.tree if subject.champion else ""
    if "project" in gate.rests_on:
        rests["project"] = _code(subject.project.root) if subject.project else ""
    return digest_bytes(json.canonical(rests))


def _code(root: Path) -> str:
    """Return the digest of a project's code, apart from what lies in hidden folders."""
    files = {path.relative_to(root) for pattern in _CODE for path in root.rglob(pattern) if path.is_file()}
    seen = sorted(path for path in files if not any(part.startswith((".", "__pycache__")) for part in path.parts))
    return digest_bytes(json.canonical([(path.as_posix(), digest_bytes((root / path).read_bytes())) for path in seen]))


def _before(subject: Subject, gate: GateCheck, terms: str, *, failures: bool) -> Evidence | None:
    """Return what was found before on the same terms, if that settled it; a failure is looked at again, unless nobody is to."""
    check = PREFIX + gate.name
    for item in reversed(subject.dossier.evidence):
        if terms and item.check == check and item.terms == terms and item.verdict is not Verdict.UNKNOWN:
            return item if failures or item.verdict is Verdict.PASS else None
    return None


def _finding(item: Evidence) -> Finding:
    return Finding(
        verdict=item.verdict, value=item.value, limit=item.limit, low=item.low, high=item.high, unit=item.unit, detail=item.detail
    )


def _kept(subject: Subject, gate: GateCheck, finding: Finding, terms: str) -> str:
    """Keep all that was found as an object; return its digest."""
    said = {"gate": gate.name, "version": subject.version.id, "tree": subject.version.tree, "terms": terms}
    return subject.workspace.objects.put(json.canonical({**said, **msgspec.structs.asdict(finding)}))


def evidence_of(row: GateRow) -> Evidence:
    """Write a row as the registry keeps it. The registry asks for approvals itself: a review that is missing closes nothing."""
    return Evidence(
        check=PREFIX + row.gate, verdict=row.verdict, value=row.value, low=row.low, high=row.high, limit=row.limit,
        detail=row.detail, unit=row.unit, digest=row.digest, terms=row.terms, started=row.started, seconds=row.seconds,
        required=(row.required or row.verdict is Verdict.FAIL) and row.gate != "review", waived=row.waived, until=row.until,
    )  # fmt: skip


def _keep(
    workspace: Workspace, actor: Principal, version: Version, rows: Sequence[GateRow], fence: Callable[[Transaction], None] | None
) -> None:
    items = [evidence_of(row) for row in rows]

    def keep(tx: Transaction) -> None:
        if fence is not None:
            fence(tx)
        registry.approvals.add_evidence(tx, actor, version.id, items, produced_by="gate")
        if not any(row.holds_back for row in rows):
            emit(tx, GatesPassed(version=version.id, model=version.model))

    workspace.database.write(keep)


def known_rows(dossier: Dossier, gates: Sequence[GateCheck] = ()) -> list[GateRow]:
    """Read back what the gates of a version found last, in their order; those nobody ran are left out."""
    newest = {item.check: item for item in dossier.evidence if item.check.startswith(PREFIX)}
    titles = {gate.name: gate.title for gate in gates or all_gates()}
    names = [*titles, *(check[len(PREFIX) :] for check in newest if check[len(PREFIX) :] not in titles)]
    return [_known(name, titles.get(name, ""), newest[PREFIX + name]) for name in names if PREFIX + name in newest]


def _known(name: str, title: str, item: Evidence) -> GateRow:
    return GateRow(
        gate=name, title=title, verdict=item.verdict, required=item.required, value=item.value, limit=item.limit, low=item.low,
        high=item.high, unit=item.unit, detail=item.detail, waived=item.waived, until=item.until, digest=item.digest,
        terms=item.terms, started=item.started, seconds=item.seconds,
    )  # fmt: skip


def known_report(tx: Transaction, identity: str) -> GateReport:
    """Read what the gates of a version found last. Raises NotFound."""
    dossier = registry.dossier(tx, identity)
    rows = known_rows(dossier)
    return report_of(dossier.version, None, rows, sum(row.seconds or 0.0 for row in rows))
