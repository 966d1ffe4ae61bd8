"""The graph of stages as text: a tree of what takes what, Graphviz's dot, or Mermaid."""

import os
from collections.abc import Iterable

from perenne.protocols.dvc.choosing import chosen
from perenne.protocols.dvc.stages import Stage, Stages

Graph = dict[str, list[str]]
"""By name, the names of what it takes."""


def graph_of(
    stages: Stages, target: str | None = None, *, outs: bool = False, full: bool = False, collapse: bool = False
) -> Graph:
    """Return names and arrows.

    Parameters
    ----------
    target : str, optional
        A stage: what it needs, or with `full` everything that hangs together with it.
    outs : bool
        Show outputs in place of stages.
    collapse : bool
        Show the stages of a `foreach` or `matrix` as one.
    """
    graph, here = stages.graph, os.getcwd()
    kept = list(stages.all)
    if target:
        wanted = chosen(stages, [target])
        kept = graph.connected(wanted) if full else graph.order(wanted, frozen_apart=False)
    if outs:
        return _of_outputs(stages, kept)
    names = {stage: stage.definition.group if collapse and stage.definition.group else stage.said(here) for stage in kept}
    found: Graph = {names[stage]: [] for stage in kept}
    for stage in kept:
        for source in graph.sources[stage]:
            if source in names and names[source] not in found[names[stage]]:
                found[names[stage]].append(names[source])
    return found


def _of_outputs(stages: Stages, kept: Iterable[Stage]) -> Graph:
    found: Graph = {}
    for stage in kept:
        sources = [
            os.path.relpath(product.place)
            for maker in stages.graph.sources[stage]
            for product in maker.products
            if any(_touches(product.place, place) for place in stage.needs)
        ]
        found.update({os.path.relpath(product.place): sources for product in stage.products})
    return found


def _touches(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def parts(graph: Graph) -> list[list[str]]:
    """Return the names that hang together, group by group."""
    beside: dict[str, set[str]] = {name: set(sources) for name, sources in graph.items()}
    for name, sources in graph.items():
        for source in sources:
            beside[source].add(name)
    found, seen = [], set()
    for name in graph:
        if name in seen:
            continue
        group, pending = [], [name]
        while pending:
            here = pending.pop()
            if here not in seen:
                seen.add(here)
                group.append(here)
                pending += beside[here]
        found.append(group)
    return found


def mermaid(graph: Graph, *, markdown: bool = False) -> str:
    """Return the graph in Mermaid's language, as DVC numbers it."""
    lines, number = ["flowchart TD"], 0
    for group in parts(graph):
        ids = {}
        for name in sorted(group):
            number += 1
            ids[name] = f"node{number}"
            lines.append(f'\tnode{number}["{name}"]')
        arrows = sorted((source, name) for name in group for source in graph[name])
        lines += [f"\t{ids[source]}-->{ids[name]}" for source, name in arrows]
    text = "\n".join(lines)
    return f"```mermaid\n{text}\n```" if markdown else text


def dot(graph: Graph) -> str:
    """Return the graph in Graphviz's language."""
    lines = ["strict digraph  {", *(f"{_quoted(name)};" for name in graph)]
    lines += [f"{_quoted(source)} -> {_quoted(name)};" for name, sources in graph.items() for source in sources]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'


def tree(graph: Graph) -> str:
    """Return the graph for people: what nobody takes, below it what it takes; what was drawn already is not opened again."""
    taken = {source for sources in graph.values() for source in sources}
    lines: list[str] = []
    drawn: set[str] = set()
    for name in graph:
        if name not in taken:
            _branch(graph, name, "", "", lines, drawn)
    return "\n".join(lines)


def _branch(graph: Graph, name: str, lead: str, below: str, lines: list[str], drawn: set[str]) -> None:
    pending = [(name, lead, below)]
    while pending:
        here, first, rest = pending.pop()
        sources = graph[here]
        lines.append(f"{first}{here}" + (" …" if here in drawn and sources else ""))
        if here in drawn:
            continue
        drawn.add(here)
        for place, source in reversed(list(enumerate(sources))):
            last = place == len(sources) - 1
            pending.append((source, f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}"))
