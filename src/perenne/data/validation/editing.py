"""Changes in the text of a YAML file: a value set, added to, removed, or entries put in another order; everything else stays.

The library that reads YAML tells where each part stands; only those characters are touched, so that comments, quotes, order and
the way of writing stay as whoever wrote them left them.
"""

from collections.abc import Sequence
from typing import Any

import yaml

from perenne.core.errors import Invalid
from perenne.data.validation.schema import dump

Path = Sequence[str]


def set_at(text: str, path: Path, value: Any) -> str:
    r"""Set a value in a mapping, in place of the one that is there if there is any.

    >>> set_at("a: {x: 1}  # one\nb:\n  y: 2 # two\n", ["a", "x"], 5)
    'a: {x: 5}  # one\nb:\n  y: 2 # two\n'
    >>> set_at("a: {x: 1}  # one\nb:\n  y: 2 # two\n", ["b", "z"], [3])
    'a: {x: 1}  # one\nb:\n  y: 2 # two\n  z: [3]\n'
    """
    mapping = _mapping_at(text, path[:-1])
    found = _entry(mapping, path[-1])
    if found is not None:
        key, node = found
        in_lines = isinstance(node, yaml.CollectionNode) and not node.flow_style
        head = f"{text[: key.end_mark.index]}: " if in_lines else text[: node.start_mark.index]
        return head + written(value) + text[_end(node) :]
    entry = f"{written(path[-1])}: {written(value)}"
    return _inserted(text, mapping, [value for _, value in mapping.value], entry)


def extend_at(text: str, path: Path, values: Sequence[Any]) -> str:
    r"""Add values to a list.

    >>> extend_at("a:\n- x  # one\n- y\nb: [x]\n", ["a"], ["z"])
    'a:\n- x  # one\n- y\n- z\nb: [x]\n'
    """
    mapping = _mapping_at(text, path[:-1])
    found = _entry(mapping, path[-1])
    if found is None or not isinstance(found[1], yaml.SequenceNode):
        return set_at(text, path, list(values))
    for value in values:
        node = _entry(_mapping_at(text, path[:-1]), path[-1])
        assert node is not None
        part = written(value) if node[1].flow_style else f"- {written(value)}"
        text = _inserted(text, node[1], node[1].value, part)
    return text


def remove_at(text: str, path: Path) -> str:
    r"""Remove an entry of a mapping; nothing happens if it is not there.

    >>> remove_at("a: {x: 1, y: 2}\nb:\n  y: 2 # two\n  z: 3\n", ["b", "y"])
    'a: {x: 1, y: 2}\nb:\n  z: 3\n'
    >>> remove_at("a: {x: 1, y: 2}\n", ["a", "y"])
    'a: {x: 1}\n'
    """
    mapping = _mapping_at(text, path[:-1])
    found = _entry(mapping, path[-1])
    if found is None:
        return text
    place = next(place for place, (key, _) in enumerate(mapping.value) if key is found[0])
    start, end = found[0].start_mark.index, _end(found[1])
    if not mapping.flow_style:
        return text[: text.rfind("\n", 0, start) + 1] + text[_after_line(text, end) :]
    if place + 1 < len(mapping.value):
        end = mapping.value[place + 1][0].start_mark.index
    elif place:
        start = _end(mapping.value[place - 1][1])
    return text[:start] + text[end:]


def reorder(text: str, path: Path, names: Sequence[str]) -> str:
    r"""Put the entries of a mapping into another order, each with the comments above it.

    >>> reorder("a:\n  # one\n  x: 1\n  y: 2  # two\nb: 1\n", ["a"], ["y", "x"])
    'a:\n  y: 2  # two\n  # one\n  x: 1\nb: 1\n'
    """
    mapping = _mapping_at(text, path)
    place = {name: index for index, name in enumerate(names)}
    if mapping.flow_style:
        parts = {key.value: text[key.start_mark.index : _end(value)] for key, value in mapping.value}
        first, last = mapping.value[0][0].start_mark.index, _end(mapping.value[-1][1])
        return text[:first] + ", ".join(parts[name] for name in sorted(parts, key=place.__getitem__)) + text[last:]
    starts, previous = [], text.rfind("\n", 0, mapping.value[0][0].start_mark.index) + 1
    for _, value in mapping.value:
        starts.append(previous)
        previous = _after_line(text, _end(value))
    starts.append(previous)
    # The comments above the first entry belong to it, too.
    starts[0] = _with_comments(text, starts[0])
    blocks = {key.value: text[start:end] for (key, _), start, end in zip(mapping.value, starts, starts[1:], strict=False)}
    blocks = {name: block if block.endswith("\n") else f"{block}\n" for name, block in blocks.items()}
    return text[: starts[0]] + "".join(blocks[name] for name in sorted(blocks, key=place.__getitem__)) + text[starts[-1] :]


def _with_comments(text: str, start: int) -> int:
    """Return where the comments begin that stand in the lines right above a line."""
    while start:
        above = text.rfind("\n", 0, start - 1) + 1
        if not text[above : start - 1].lstrip().startswith("#"):
            break
        start = above
    return start


def _mapping_at(text: str, path: Path) -> Any:
    node: Any = yaml.compose(text, yaml.SafeLoader)
    for name in path:
        found = _entry(node, name) if isinstance(node, yaml.MappingNode) else None
        node = found[1] if found else None
    if not isinstance(node, yaml.MappingNode):
        where = ": ".join(path) or "the file"
        raise Invalid(f"{where} is no mapping", code="data.schema_edit", hint="change the schema by hand")
    return node


def _entry(mapping: Any, name: str) -> Any:
    return next((entry for entry in mapping.value if entry[0].value == name), None)


def _end(node: Any) -> int:
    """Return where a node ends: one in block style goes on to whatever follows it, as the library sees it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _after_line(text: str, place: int) -> int:
    end = text.find("\n", place - 1 if text[place - 1 : place] == "\n" else place)
    return len(text) if end < 0 else end + 1


def _inserted(text: str, node: Any, parts: Sequence[Any], part: str) -> str:
    """Write another part behind the last one of a node."""
    if node.flow_style:
        place = _end(parts[-1]) if parts else node.end_mark.index - 1
        return f"{text[:place]}{', ' if parts else ''}{part}{text[place:]}"
    place = _after_line(text, _end(parts[-1]))
    head = text[:place] if text[:place].endswith("\n") else f"{text[:place]}\n"
    return f"{head}{' ' * node.start_mark.column}{part}\n{text[place:]}"


def written(value: Any) -> str:
    """Write a value on one line, as it can stand within a flow."""
    return dump([value], flow=True).strip()[1:-1]
