"""Models, versions, evidence, decisions, and the gate: a pure function of them."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from perenne.core import json
from perenne.core.hashing import digest_bytes

OWN_POLICY = "project"
"""How a decision names what the version itself asks for, beside the digests of the review policies it counts for."""


class VersionState(StrEnum):
    """Where a version stands."""

    CANDIDATE = "candidate"
    APPROVED = "approved"
    REJECTED = "rejected"
    BARRED = "barred"


class Verdict(StrEnum):
    """What a check says. Unknown is not pass."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNKNOWN = "unknown"


class GatePolicy(msgspec.Struct, frozen=True):
    """What a version needs before it may answer anybody, fixed when it is registered.

    Attributes
    ----------
    required : tuple of str
        Checks whose newest evidence must pass.
    approve_by : str
        Who must approve, or an empty text if the evidence alone decides.
    """

    required: tuple[str, ...] = ()
    approve_by: str = ""


class VersionForm(StrEnum):
    """What a version is made of: a package of a round, a model that a client logged, or the text of a prompt."""

    PACKAGE = "package"
    LOGGED = "logged"
    PROMPT = "prompt"


STAGES = ("None", "Staging", "Production", "Archived")


class RegisteredModel(msgspec.Struct, frozen=True):
    """A name that versions share.

    Attributes
    ----------
    project : str
        Whose it is: decides who may see and change it.
    description : str or None
        As somebody wrote it; None if nobody did.
    created, updated, created_by : int, int, str
        When and by whom it was made, and when anything about it or its versions changed.
    prompt : bool
        Whether its versions are texts of prompts.
    """

    name: str
    project: str
    description: str | None
    created: int
    updated: int
    created_by: str
    prompt: bool = False


class Version(msgspec.Struct, frozen=True):
    """A version of a model: as it was packaged by a round, or as a client registered it.

    Attributes
    ----------
    id : str
        `name@number`.
    model, number : str, int
        The name it shares with its siblings, and its place among them.
    project, run : str
        What it is for, and the run that made it.
    tree : str
        Digest of its files: what is approved is what runs. Empty if they do not lie in this installation's store.
    reference : str
        Digest of the monitoring reference inside the package.
    snapshot : str
        Digest of the data it was trained on.
    state : VersionState
        Where it stands.
    policy : GatePolicy
        What it needs.
    fallback : label, number or None
        What is answered while the version is stopped and no earlier one can answer.
    created, created_by : int, str
        When and by whom it was registered.
    form : VersionForm
        What it is made of.
    source, storage, root : str
        What it was registered from, where clients read its files, and where in the artifact store these are; empty if elsewhere.
    run_link, description : str or None
        As the client gave them.
    stage : str
        None, Staging, Production or Archived.
    updated : int
        When it was changed last.
    author : str
        Who made it, beside who registered it: the person of its run. Neither counts as somebody else's eyes.
    logged_model : str
        The logged model it is of, if it is of one.
    deleted : int or None
        When it was deleted; its number stays taken.
    """

    id: str
    model: str
    number: int
    project: str
    run: str
    tree: str
    reference: str
    snapshot: str
    state: VersionState
    policy: GatePolicy
    fallback: str | int | float | bool | None
    created: int
    created_by: str
    form: VersionForm = VersionForm.PACKAGE
    source: str = ""
    storage: str = ""
    root: str = ""
    run_link: str | None = None
    description: str | None = None
    stage: str = STAGES[0]
    updated: int = 0
    author: str = ""
    logged_model: str = ""
    deleted: int | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One fact about a version.

    Attributes
    ----------
    check : str
        What was checked, such as ``objective: roc_auc ≥ 0.64``.
    verdict : Verdict
        Pass, fail, or unknown.
    value, low, high : float, optional
        The figure, and its interval.
    limit : float, optional
        What it was held against.
    detail : str
        One sentence for people.
    unit : str
        Of value and limit, such as ms; may be empty.
    digest : str
        Of the object that holds all that was found, if there is one.
    terms : str
        Digest of what it was held against and how: the same files under the same terms need not be looked at again.
    started, seconds : int, float, optional
        When it was begun, and how long it took.
    required : bool
        Whether it holds the version back unless it passes, though the version itself does not ask for it.
    waived, until : str, int, optional
        Why it may stay unknown, and up to which instant.
    """

    check: str
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    detail: str = ""
    unit: str = ""
    digest: str = ""
    terms: str = ""
    started: int | None = None
    seconds: float | None = None
    required: bool = False
    waived: str = ""
    until: int | None = None

    def lets_through(self, now: int | None = None) -> bool:
        """Tell whether it stands in nobody's way: it passed, or is unknown and may be so now. A failure is never let go."""
        if self.verdict is Verdict.PASS:
            return True
        return self.verdict is Verdict.UNKNOWN and bool(self.waived) and None not in (now, self.until) and now < self.until  # type: ignore[operator]


class Decision(msgspec.Struct, frozen=True):
    """What a person decided about exactly one tree.

    Attributes
    ----------
    solo : bool
        Whether there was nobody else to decide.
    policies : tuple of str
        What an approval counts for: ``project`` for what the version itself asks for, and digests of review policies.
    roles : tuple of str
        Those the approver had at that time.
    review : str
        The review it was made in, if in one.
    """

    version: str
    tree: str
    approved: bool
    approver: str
    solo: bool
    reason: str
    time: int
    policies: tuple[str, ...] = (OWN_POLICY,)
    roles: tuple[str, ...] = ()
    review: str = ""


class Target(msgspec.Struct, frozen=True):
    """A place that a version may take: an alias or a stage of its model."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Return how people call it."""
        return f"{self.kind} {self.name}"


CHAMPION = Target("alias", "champion")
PRODUCTION = Target("stage", "Production")


class MetricBound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a metric of the version's run must reach."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        """Return it as people read it."""
        parts = [f"{sign} {limit:g}" for sign, limit in (("≥", self.at_least), ("≤", self.at_most)) if limit is not None]
        return f"{self.metric} {' and '.join(parts)}"


class ReviewPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version needs before it may take a place; where several hold, all of them must be met.

    Attributes
    ----------
    name : str
        How people call it.
    models : tuple of str
        Patterns of model names, such as ``fraud-*``.
    aliases, stages : tuple of str
        The places it guards: patterns of aliases, and stages.
    checks : tuple of str
        Patterns of evidence: each must be met by a check, and the newest of every check it meets must have passed.
    objectives : bool
        Whether every objective and guardrail of the evidence must be met, and one at least be measured.
    metrics : tuple of MetricBound
        What the metrics of its run must reach.
    approvals : int
        How many people must approve.
    approvers : tuple of str
        Roles or names, one of which each of them has; anybody who may approve if empty.
    own : bool
        Whether who made the version or its run may approve it.
    outside : bool
        Whether files outside this installation's store will do, whose content nobody can vouch for.
    """

    name: str
    models: tuple[str, ...] = ("*",)
    aliases: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    objectives: bool = False
    metrics: tuple[MetricBound, ...] = ()
    approvals: int = 0
    approvers: tuple[str, ...] = ()
    own: bool = False
    outside: bool = False

    @property
    def digest(self) -> str:
        """What approvals under it are bound to: an approval under another text of it counts no more."""
        return digest_bytes(json.canonical(self))

    def guards(self, model: str, target: Target) -> bool:
        """Tell whether it has a say when a version of a model is to take a place."""
        if not self.speaks_of(model):
            return False
        if target.kind == "stage":
            return target.name in self.stages
        return any(fnmatchcase(target.name, pattern) for pattern in self.aliases)

    def speaks_of(self, model: str) -> bool:
        """Tell whether a model is among those it is about."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)


class GateState(StrEnum):
    """Whether a version may go through."""

    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


class Gate(msgspec.Struct, frozen=True):
    """The gate's answer, and why it is not open."""

    state: GateState
    reasons: tuple[str, ...] = ()


def gate(
    version: Version,
    evidence: Sequence[Evidence],
    decisions: Sequence[Decision],
    demands: Sequence[ReviewPolicy] = (),
    measured: Mapping[str, float | None] | None = None,
    now: int | None = None,
) -> Gate:
    """Decide whether a version may go through.

    Parameters
    ----------
    version : Version
        With its policy and its tree.
    evidence : sequence of Evidence
        Oldest first; the newest of a check counts.
    decisions : sequence of Decision
        Oldest first; only those on this very tree count, and one rejection closes for good.
    demands : sequence of ReviewPolicy
        The review policies of the place it is to take.
    measured : mapping, optional
        The metrics of its run, for bounds of policies.
    now : int, optional
        For checks that may stay unknown until some time; without it none may.

    Returns
    -------
    Gate
        Closed by a failed or missing check, a rejection or a bar; waiting if only approvals are missing.
    """
    if version.state is VersionState.BARRED:
        return Gate(GateState.CLOSED, ("barred after it was rolled back or stopped",))
    newest = {item.check: item for item in evidence}
    asked = dict.fromkeys((*version.policy.required, *(check for check, item in newest.items() if item.required)))
    reasons = [_reason(check, newest.get(check), now) for check in asked]
    for policy in demands:
        unmet = _unmet(version, newest, policy, measured or {})
        reasons += [f"{reason} (policy {policy.name})" for reason in unmet if reason]
    closed = tuple(dict.fromkeys(reason for reason in reasons if reason))
    mine = [decision for decision in decisions if decision.tree == version.tree]
    closed += tuple(f"rejected by {d.approver}: {d.reason or 'no reason given'}" for d in mine if not d.approved)[:1]
    if closed:
        return Gate(GateState.CLOSED, closed)
    waits = tuple(_waits(version, mine, demands))
    return Gate(GateState.WAITING, waits) if waits else Gate(GateState.OPEN)


def _reason(check: str, item: Evidence | None, now: int | None = None) -> str:
    if item is None:
        return f"{check}: no evidence"
    if item.lets_through(now):
        return ""
    return f"{check}: {item.verdict.value}" + (f" ({item.detail})" if item.detail else "")


def _unmet(
    version: Version, newest: Mapping[str, Evidence], policy: ReviewPolicy, measured: Mapping[str, float | None]
) -> Iterable[str]:
    """Say what a policy asks for beside approvals and does not find."""
    if not version.tree and not policy.outside:
        yield "its files do not lie in this installation's store, so that nobody can say what would be approved"
    for pattern in policy.checks:
        met = [item for check, item in newest.items() if check == pattern or fnmatchcase(check, pattern)]
        yield from (_reason(item.check, item) for item in met if item.verdict is not Verdict.PASS)
        if not met:
            yield _reason(pattern, None)
    if policy.objectives:
        bounds = [item for check, item in newest.items() if check.startswith(("objective:", "guardrail:"))]
        yield from (_reason(item.check, item) for item in bounds if item.verdict is not Verdict.PASS)
        if not any(item.check.startswith("objective:") for item in bounds):
            yield "objectives: none was measured"
    yield from (_missed(bound, measured.get(bound.metric)) for bound in policy.metrics)


def _missed(bound: MetricBound, value: float | None) -> str:
    if value is None or value != value:
        return f"metric {bound}: not measured"
    low = bound.at_least is not None and value < bound.at_least
    high = bound.at_most is not None and value > bound.at_most
    return f"metric {bound}: it is {value:.4g}" if low or high else ""


def _waits(version: Version, mine: Sequence[Decision], demands: Sequence[ReviewPolicy]) -> Iterable[str]:
    if version.policy.approve_by and not any(OWN_POLICY in decision.policies for decision in mine):
        yield f"approval by {version.policy.approve_by}"
    for policy in demands:
        people = {decision.approver for decision in mine if policy.digest in decision.policies}
        if len(people) < policy.approvals:
            whose = ", ".join(policy.approvers) or "who may approve"
            yield f"approval {len(people) + 1} of {policy.approvals} by {whose} (policy {policy.name})"


class Dossier(msgspec.Struct, frozen=True):
    """A version with everything known about it."""

    version: Version
    gate: Gate
    evidence: tuple[Evidence, ...]
    decisions: tuple[Decision, ...]
    aliases: tuple[str, ...]
