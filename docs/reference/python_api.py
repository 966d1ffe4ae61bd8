"""The page of the Python names a `project.py` uses: signatures and docstrings of what `perenne` offers."""

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from docs.reference.markdown import docstring

import perenne
from perenne.projects import RetrainPolicy

HEAD = """# Python

What `import perenne as pn` offers: the words of a `project.py`. The page about [projects](../projects.md) shows them at work.
"""


def page() -> str:
    """Write the page."""
    names = [name for name in perenne.__all__ if not name.startswith("_")]
    parts = [HEAD]
    for name in sorted(names, key=str.lower):
        parts += _described(f"pn.{name}", getattr(perenne, name))
    return "\n".join(
        [
            *parts,
            "## The retraining policy\n",
            "What `project.retrain(…)` takes.\n",
            *_text(RetrainPolicy),
            *_text(RetrainPolicy.of),
        ]
    )


def _described(path: str, thing: Any, level: str = "##") -> Iterator[str]:
    yield f"{level} {path}\n"
    if not isinstance(thing, ModuleType):
        yield f"```python\n{path}{_signature(thing)}\n```\n"
    yield from _text(thing)
    for name, member in _members(thing):
        yield from _described(f"{path}.{name}", member, "###")


def _text(thing: Any) -> Iterator[str]:
    text = inspect.getdoc(thing)
    if text:
        yield docstring(text) + "\n"


def _signature(thing: Any) -> str:
    if isinstance(thing, property):
        return ""
    signature = inspect.signature(thing)
    kept = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    return str(signature.replace(parameters=kept, return_annotation=inspect.Signature.empty))


def _members(thing: Any) -> list[tuple[str, Any]]:
    if isinstance(thing, ModuleType):
        own = inspect.getmembers(thing, lambda member: inspect.isfunction(member) and member.__module__ == thing.__name__)
        return [(name, member) for name, member in own if not name.startswith("_")]
    if not inspect.isclass(thing):
        return []
    own = [(name, member) for name, member in vars(thing).items() if inspect.isfunction(member) or isinstance(member, property)]
    return [(name, member) for name, member in own if not name.startswith("_")]
