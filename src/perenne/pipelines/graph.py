"""The graph that a pipeline's calls build: nodes, and lazy references to what they will return."""

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import msgspec

from perenne.core.errors import Invalid

if TYPE_CHECKING:
    from perenne.pipelines.steps import Step


class Node:
    """One call of a step: its arguments by parameter name; they may hold references at any depth.

    Attributes
    ----------
    over : str or None
        For a map: the parameter that takes the items of the list that is passed for it.
    """

    __slots__ = ("arguments", "label", "ordinal", "over", "step")

    def __init__(self, step: "Step[..., Any]", arguments: dict[str, Any], ordinal: int, over: str | None = None) -> None:
        self.step = step
        self.arguments = arguments
        self.ordinal = ordinal
        self.over = over
        self.label = step.name


class Reference:
    """Stands for what a step will return, or a part of it: ``split(x)[0]``, ``split(x).train``, ``train, test = split(x)``.

    Parameters
    ----------
    kind : type
        What the annotation of the step's return says it will be.
    path : tuple
        Which part: positions, keys, and names of fields with a dot in front.
    """

    __slots__ = ("_kind", "_node", "_path")

    def __init__(self, node: Node, kind: Any, path: tuple[str | int, ...] = ()) -> None:
        self._node = node
        self._kind = kind
        self._path = path

    def __getitem__(self, part: str | int) -> "Reference":
        return Reference(self._node, _kind_of_item(self._kind, part), (*self._path, part))

    def __getattr__(self, name: str) -> "Reference":
        if isinstance(self._kind, type) and issubclass(self._kind, msgspec.Struct) and name in self._kind.__struct_fields__:
            return Reference(self._node, get_type_hints(self._kind).get(name), (*self._path, f".{name}"))
        raise AttributeError(f"what step {self._node.step.name!r} returns is not known to have a field {name!r}")

    def __iter__(self) -> Iterator["Reference"]:
        kinds = get_args(self._kind)
        if get_origin(self._kind) is not tuple or Ellipsis in kinds:
            raise Invalid(
                f"how many items step {self._node.step.name!r} returns is known only when it has run",
                code="pipelines.lazy",
                hint="use another_step.map(reference), or annotate the step's return as tuple[A, B]",
            )
        return iter([self[position] for position in range(len(kinds))])

    def __bool__(self) -> bool:
        raise Invalid(
            f"what step {self._node.step.name!r} returns is known only when it has run",
            code="pipelines.lazy",
            hint="decide inside a step, not in the pipeline",
        )

    def __repr__(self) -> str:
        return f"<what {self._node.label} returns{''.join(f'[{part!r}]' for part in self._path)}>"


def _kind_of_item(kind: Any, part: str | int) -> Any:
    arguments, origin = get_args(kind), get_origin(kind)
    if origin is tuple and Ellipsis not in arguments and isinstance(part, int):
        return arguments[part] if -len(arguments) <= part < len(arguments) else None
    return arguments[-1 if origin is dict else 0] if arguments and origin in (list, tuple, dict) else None


def node_of(reference: Reference) -> Node:
    """Return the node whose result a reference stands for."""
    return reference._node


def select(reference: Reference, value: Any) -> Any:
    """Take the part of a node's result that a reference stands for."""
    return select_path(reference._path, value)


def select_path(path: tuple[str | int, ...], value: Any) -> Any:
    """Take a part of a result."""
    for part in path:
        value = getattr(value, part[1:]) if isinstance(part, str) and part.startswith(".") else value[part]
    return value


def path_of(reference: Reference) -> tuple[str | int, ...]:
    """Return which part of a node's result a reference stands for; empty for the whole."""
    return reference._path


def references(value: Any) -> Iterator[Reference]:
    """Go through the references in a value, in order, also those inside lists, tuples and dictionaries."""
    if isinstance(value, Reference):
        yield value
    elif type(value) in (list, tuple):
        for item in value:
            yield from references(item)
    elif type(value) is dict:
        for item in value.values():
            yield from references(item)


def fill(value: Any, resolve: Callable[[Reference], Any]) -> Any:
    """Replace every reference in a value by what `resolve` makes of it."""
    if isinstance(value, Reference):
        return resolve(value)
    if type(value) is list:
        return [fill(item, resolve) for item in value]
    if type(value) is tuple:
        return tuple([fill(item, resolve) for item in value])
    if type(value) is dict:
        return {name: fill(item, resolve) for name, item in value.items()}
    return value


class Graph:
    """The nodes of a pipeline in the order of its calls, and what it returns: a value that may hold references."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.output: Any = None
        self._seen: dict[str, int] = {}

    def add(self, step: "Step[..., Any]", arguments: dict[str, Any], over: str | None = None) -> Reference:
        """Add a call; return the reference to its result."""
        node = Node(step, arguments, len(self.nodes), over)
        times = self._seen[step.name] = self._seen.get(step.name, 0) + 1
        if times > 1:
            node.label = f"{step.name}#{times}"
        self.nodes.append(node)
        return Reference(node, list[node.step.returns] if over else node.step.returns)  # type: ignore[name-defined]


class _Building(threading.local):
    graph: Graph | None = None


_building = _Building()


def graph_in_progress() -> Graph | None:
    """Return the graph this thread is building, if it is inside a pipeline."""
    return _building.graph


def build(function: Callable[[], Any]) -> Graph:
    """Call a function with every call of a step in it becoming a node."""
    outer, graph = _building.graph, Graph()
    _building.graph = graph
    try:
        graph.output = function()
    finally:
        _building.graph = outer
    return graph
