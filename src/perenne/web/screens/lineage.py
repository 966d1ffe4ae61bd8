"""Where something comes from and what came of it: a part of the graph of links around one thing, each node named in words."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import automation, data, labels, monitoring, registry, serving, tracking
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.queries import whole_number
from perenne.auth.roles import Action, sees
from perenne.core.addresses import address_of
from perenne.core.clock import format_time
from perenne.core.errors import NotFound
from perenne.data.views import datasets_view
from perenne.projects import list_projects
from perenne.storage.database import Transaction
from perenne.storage.links import TAKEN_FOR, Kind, Link, near

DEPTH, DEEPEST = 3, 8
EACH = 5
MOST = 120
OFFERED = 8
SHORT = 12
_MADE = "made"

Id = tuple[Kind, str]


# How a relation reads from what was before to what came of it; all but `made` are recorded from the later thing.
_RELATIONS = {
    "made_by": "made",
    "trained_on": "trained",
    "used": "was used by",
    "of": "has",
    TAKEN_FOR: "has",
    "watches": "is watched in",
    "serves": "serves in",
    "shadows": "shadows in",
    "answered_by": "answered in",
    "found_in": "raised",
    "about": "has",
    "for": "has",
    "labels": "is labelled in",
    "version_of": "has",
    "labelled_by": "labelled",
    "made_of": "became",
    _MADE: "made",
}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A thing: what it is called, a few words, where it is shown, how it stands; `more` counts what is left out."""

    id: str
    kind: str
    title: str
    note: str = ""
    path: str = ""
    state: str = "none"
    more: int = 0


class Edge(msgspec.Struct, frozen=True):
    """What came of what, and how."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    label: str


class Lineage(msgspec.Struct, frozen=True):
    """A part of the graph; edges lead from what was before to what came of it. `cut` tells whether there was too much to show."""

    focus: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    depth: int
    cut: bool


class LineageStart(msgspec.Struct, frozen=True):
    """What lineage can start from: the newest of each kind."""

    versions: tuple[Node, ...]
    deployments: tuple[Node, ...]
    snapshots: tuple[Node, ...]


def lineage_view(tx: Transaction, actor: Principal, kind: str, identity: str, *, depth: int = DEPTH) -> Lineage:
    """Show what a thing comes from and what came of it, so many links away.

    Raises
    ------
    NotFound
        If there is no such thing, or it is of a project that whoever asks does not see, which sounds the same.
    """
    if kind not in set(Kind):
        raise _unknown()
    focus = (Kind(kind), identity)
    depth = max(1, min(depth, DEEPEST))
    graph = _Graph(tx, focus)
    graph.grow(depth, causes=True)
    graph.grow(depth, causes=False)
    named = named_nodes(tx, graph.things)
    visible = {thing: named[thing] for thing in _seen(tx, actor, named)}
    if focus not in visible or not (visible[focus].known or len(graph.things) > 1):
        raise _unknown()
    kept = [visible[thing] for thing in graph.things if thing in visible]
    more = () if actor.projects else graph.more
    nodes = (*(found.node for found in kept), *more)
    ids = {node.id for node in nodes}
    edges = tuple(edge for edge in graph.edges if edge.source in ids and edge.target in ids)
    return Lineage(_key(focus), visible[focus].node.title, nodes, edges, depth, graph.cut)


def _unknown() -> NotFound:
    return NotFound(
        "there is nothing of that name", code="lineage.not_found", hint="start from a version or a snapshot at /lineage"
    )


def _key(thing: Id) -> str:
    return f"{thing[0].value}:{thing[1]}"


class _Graph:
    """The things around one, level by level: one statement per kind, direction and level."""

    def __init__(self, tx: Transaction, focus: Id) -> None:
        self._tx = tx
        self._focus = focus
        self.things: dict[Id, None] = {focus: None}
        self._edges: dict[tuple[str, str], list[str]] = {}
        self._more: dict[str, Node] = {}
        self.cut = False

    @property
    def edges(self) -> list[Edge]:
        """What came of what; several relations of two things are one edge."""
        return [Edge(before, after, ", ".join(dict.fromkeys(labels))) for (before, after), labels in self._edges.items()]

    @property
    def more(self) -> tuple[Node, ...]:
        """What is left out, beside what it belongs to."""
        return tuple(self._more.values())

    def grow(self, depth: int, *, causes: bool) -> None:
        """Add what the focus comes from, or what came of it."""
        level = [self._focus]
        for _ in range(depth):
            following: dict[Id, None] = {}
            for here, there, label, left_out in self._around(level, causes):
                if there not in self.things and len(self.things) >= MOST:
                    self.cut = True
                    continue
                if there not in self.things:
                    following[there] = None
                    self.things[there] = None
                self._join(here, there, label, causes)
                if left_out:
                    self._leave_out(here, there[0], label, left_out, causes)
            level = list(following)

    def _join(self, here: Id, there: Id, label: str, causes: bool) -> None:
        ends = (_key(there), _key(here)) if causes else (_key(here), _key(there))
        self._edges.setdefault(ends, []).append(label)

    def _leave_out(self, here: Id, kind: Kind, label: str, count: int, causes: bool) -> None:
        key = f"more:{_key(here)}:{label}:{kind.value}:{causes}"
        word = kind.value if count == 1 else f"{kind.value}s"
        self._more[key] = Node(id=key, kind="more", title=f"{count:,} more {word}", more=count, path=_open(here))
        ends = (key, _key(here)) if causes else (_key(here), key)
        self._edges[ends] = [label]

    def _around(self, level: Iterable[Id], causes: bool) -> Iterator[tuple[Id, Id, str, int]]:
        """Go through the links of some things in one direction of time; with each group, how many are left out."""
        by_kind: dict[Kind, list[str]] = {}
        for kind, identity in level:
            by_kind.setdefault(kind, []).append(identity)
        for kind, identities in by_kind.items():
            for forwards in (True, False):
                for link, of in near(self._tx, kind, identities, forwards=forwards, each=EACH):
                    if (forwards == causes) == (link.relation != _MADE):
                        here, there = _ends(link, forwards)
                        yield (
                            here,
                            there,
                            _RELATIONS.get(link.relation, link.relation.replace("_", " ")),
                            of - EACH if of > EACH else 0,
                        )


def _ends(link: Link, forwards: bool) -> tuple[Id, Id]:
    source, target = (Kind(link.source_kind), link.source), (Kind(link.target_kind), link.target)
    return (source, target) if forwards else (target, source)


def _open(thing: Id) -> str:
    return f"/lineage/{thing[0].value}/{thing[1]}"


class Named(NamedTuple):
    """A node, the project it belongs to (empty if its links must tell), and whether its domain knows of it."""

    node: Node
    project: str
    known: bool = True


def named_nodes(tx: Transaction, things: Iterable[Id]) -> dict[Id, Named]:
    """Name things in words, asking each domain once; what does not exist any more is called by its id."""
    by_kind: dict[Kind, list[str]] = {}
    for kind, identity in things:
        by_kind.setdefault(kind, []).append(identity)
    found: dict[Id, Named] = {}
    for kind, identities in by_kind.items():
        known: Mapping[str, Named] = _NAMERS[kind](tx, identities) if kind in _NAMERS else {}
        for identity in identities:
            plain = Node(id=_key((kind, identity)), kind=kind.value, title=identity[:60], note=kind.value)
            found[kind, identity] = known.get(identity) or Named(plain, "", known=False)
    return found


def _node(kind: Kind, identity: str, title: str, note: str, state: str = "none", path: str | None = None) -> Node:
    shown = address_of(kind.value, identity) if path is None else path
    return Node(id=_key((kind, identity)), kind=kind.value, title=title, note=note, path=shown, state=state)


def _projects(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    return {item.name: Named(_node(Kind.PROJECT, item.name, item.name, "project"), item.name) for item in list_projects(tx, ids)}


def _snapshots(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    return {
        item.id: Named(_node(Kind.SNAPSHOT, item.id, item.dataset, f"{item.rows:,} rows, {item.id[:SHORT]}"), "")
        for item in data.summary.some(tx, ids).values()
    }


def _label_sets(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    return {
        name: Named(_node(Kind.LABEL_SET, name, name, f"{item.definition.kind.value} labels"), item.project)
        for name, item in labels.sets.some(tx, ids).items()
    }


def _label_versions(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    found = labels.versions.some(tx, ids)
    homes = labels.sets.some(tx, {item.label_set for item in found.values()})
    return {
        identity: Named(
            _node(
                Kind.LABEL_VERSION, identity, f"{item.label_set} {identity[:SHORT]}", f"{item.labels:,} labels",
                path=address_of("label set", item.label_set),
            ),
            homes[item.label_set].project,
        )
        for identity, item in found.items()
    }  # fmt: skip


_RUN_STATES = {"finished": "ok", "failed": "crit", "running": "info"}


def _runs(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    return {
        run.id: Named(
            _node(
                Kind.RUN, run.id, f"{run.kind} {run.id[-SHORT:]}", run.outcome or run.state.value, _RUN_STATES[run.state.value]
            ),
            run.project,
        )
        for run in tracking.summary.some(tx, ids).values()
    }


_GATES = {"open": "ok", "waiting": "warn", "closed": "crit"}


def _versions(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    found = {}
    for identity, dossier in registry.summary.known(tx, ids).items():
        state = dossier.gate.state.value
        note = ", ".join([*dossier.aliases, f"gate {state}"])
        found[identity] = Named(_node(Kind.VERSION, identity, identity, note, _GATES[state]), dossier.version.project)
    return found


def _deployments(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    found = {}
    for name, item in serving.service.named(tx, ids).items():
        note = "stopped" if item.stop is not None else f"serves {item.champion.version}"
        state = "warn" if item.stop is not None else "ok"
        found[name] = Named(_node(Kind.DEPLOYMENT, name, name, note, state), item.project)
    return found


def _episodes(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    return {
        item.id: Named(
            _node(Kind.EPISODE, item.id, f"retraining of {item.project}", item.state.value.replace("_", " ")), item.project
        )
        for item in automation.episodes.some(tx, ids).values()
    }


_WINDOW = re.compile(r"(?P<deployment>[^/]+)/[^/]+/[^/]+/(?P<start>\d{1,16})\+\d+")
_SEVERITIES = {"critical": "crit", "warning": "warn", "info": "info"}


def _alerts(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    lines = monitoring.summary.some(tx, ids)
    homes = serving.service.named(tx, {line.deployment for line in lines.values()})
    return {
        line.id: Named(
            _node(Kind.ALERT, line.id, line.rule.replace(":", " "), line.summary, _SEVERITIES[line.severity.value]),
            homes[line.deployment].project if line.deployment in homes else "",
        )
        for line in lines.values()
    }


def _windows(tx: Transaction, ids: Iterable[str]) -> Mapping[str, Named]:
    """Name windows by what their ids say: deployment, variant, version, start and length."""
    parts = {identity: found for identity in ids if (found := _WINDOW.fullmatch(identity))}
    homes = serving.service.named(tx, {part["deployment"] for part in parts.values()})
    named = {}
    for identity, part in parts.items():
        deployment, begin = part["deployment"], format_time(int(part["start"]))[:16].replace("T", " ")
        home = homes[deployment].project if deployment in homes else ""
        node = _node(Kind.WINDOW, identity, f"window {begin}", f"answers of {deployment}", path=address_of("monitor", deployment))
        named[identity] = Named(node, home)
    return named


_NAMERS: dict[Kind, Callable[[Transaction, Iterable[str]], Mapping[str, Named]]] = {
    Kind.PROJECT: _projects,
    Kind.SNAPSHOT: _snapshots,
    Kind.LABEL_SET: _label_sets,
    Kind.LABEL_VERSION: _label_versions,
    Kind.RUN: _runs,
    Kind.VERSION: _versions,
    Kind.DEPLOYMENT: _deployments,
    Kind.EPISODE: _episodes,
    Kind.ALERT: _alerts,
    Kind.WINDOW: _windows,
}


def _seen(tx: Transaction, actor: Principal, named: Mapping[Id, Named]) -> list[Id]:
    """Return the things that whoever asks may see: those of a project of theirs."""
    if not actor.projects:
        return list(named)
    homeless: dict[Kind, list[str]] = {}
    for (kind, identity), found in named.items():
        if not found.project:
            homeless.setdefault(kind, []).append(identity)
    linked = {
        (kind, item.link.source)
        for kind, ids in homeless.items()
        for item in near(tx, kind, ids, forwards=True, each=MOST)
        if item.link.target_kind == Kind.PROJECT and sees(actor, item.link.target)
    }
    return [thing for thing, found in named.items() if thing in linked or (found.project and sees(actor, found.project))]


def start_view(tx: Transaction, actor: Principal) -> LineageStart:
    """Offer the newest versions, deployments and snapshots."""
    versions = [item.id for item in registry.versions(tx, limit=200) if sees(actor, item.project)][:OFFERED]
    deployments = [item.name for item in serving.service.deployments(tx) if sees(actor, item.project)][:OFFERED]
    snapshots = [line.snapshot for line in datasets_view(tx, actor, limit=OFFERED).rows]
    offered = ((Kind.VERSION, versions), (Kind.DEPLOYMENT, deployments), (Kind.SNAPSHOT, snapshots))
    return LineageStart(*(_offered(tx, kind, ids) for kind, ids in offered))


def _offered(tx: Transaction, kind: Kind, ids: list[str]) -> tuple[Node, ...]:
    named = named_nodes(tx, [(kind, identity) for identity in ids])
    return tuple(found.node for found in named.values())


@needs(Action.READ, filters=True, returns=LineageStart)
async def get_start(request: Request) -> Response:
    """Give what lineage can start from."""
    return await answers.view(request, start_view)


@needs(Action.READ, filters=True, returns=Lineage)
async def get_lineage(request: Request) -> Response:
    """Give the graph around a thing, `depth` links deep."""
    kind, identity, depth = request.path_params["kind"], request.path_params["id"], whole_number(request, "depth", DEPTH)
    return await answers.view(request, lambda tx, actor: lineage_view(tx, actor, kind, identity, depth=depth))


routes = [
    Route("/api/view/lineage", get_start, methods=["GET"]),
    Route("/api/view/lineage/{kind}/{id:path}", get_lineage, methods=["GET"]),
]
