"""A checker of modules for OpenTofu: whatever is referred to is declared, and whatever is said is documented by the provider.

Names come from the documentation of the providers (`schemas/README.md`); whether a value is one that a cloud takes, only a plan
against that cloud would tell.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

_DOCUMENTED: dict[str, dict[str, list[str]]] = json.loads((Path(__file__).parent / "schemas" / "providers.json").read_text())
_REFERENCE = re.compile(r"(?<![\w.\"])([a-z][a-z0-9_]*)\.([a-zA-Z_][\w-]*)(?:\[\d+\])?(?:\.([a-z_]\w*))?")
_INTERPOLATED = re.compile(r"\$\{((?:[^{}]|\{[^{}]*\})*)\}")
_META = {"depends_on", "for_each", "count", "lifecycle", "provider", "dynamic", "content", "provisioner"}
_LIFECYCLE = {"ignore_changes", "prevent_destroy", "create_before_destroy"}
_RANDOM = {"random_id": {"byte_length", "hex"}, "random_password": {"length", "special", "result"}}
_ALWAYS = {"id", "name"}
_BLOCK = "__is_block__"


class Module:
    """The files of a folder as one module."""

    def __init__(self, folder: Path) -> None:
        self.parts: dict[str, list[dict[str, Any]]] = {}
        for path in sorted(folder.glob("*.tf")):
            for kind, blocks in hcl2.loads(path.read_text()).items():
                if isinstance(blocks, list):
                    self.parts.setdefault(kind, []).extend(blocks)
        self.variables = self._named("variable")
        self.outputs = self._named("output")
        self.resources = {
            (_bare(kind), _bare(name)): body
            for block in self.parts.get("resource", [])
            for kind, named in block.items()
            for name, body in named.items()
        }

    def providers(self) -> dict[str, dict[str, str]]:
        """Return what is required of providers."""
        found = self.parts["terraform"][0]["required_providers"][0]
        return {name: {key: _bare(value) for key, value in said.items()} for name, said in found.items() if name != _BLOCK}

    def problems(self) -> list[str]:
        """Say what does not resolve, is not documented, or is declared and never used."""
        used = {reference for _, text in texts(self.parts) for reference in references(text)}
        found = [problem for reference in sorted(used, key=str) if (problem := self._unresolved(*reference))]
        found += [f"variable {name} is never used" for name in self.variables if not any(r[:2] == ("var", name) for r in used)]
        for kind, said in (("variable", self.variables), ("output", self.outputs)):
            found += [f"{kind} {name} has no description" for name, body in said.items() if "description" not in body]
        found += [f"variable {name} has no type" for name, body in self.variables.items() if "type" not in body]
        for (kind, name), body in self.resources.items():
            found += [f"{kind}.{name}: {problem}" for problem in undocumented(kind, body)]
            required = _DOCUMENTED.get(kind, {}).get("required", [])
            found += [f"{kind}.{name} lacks {argument}" for argument in required if argument not in body]
        return found

    def _named(self, kind: str) -> dict[str, Any]:
        return {_bare(name): body for block in self.parts.get(kind, []) for name, body in block.items()}

    def _unresolved(self, kind: str, name: str, attribute: str | None) -> str:
        if kind == "var":
            return "" if name in self.variables else f"var.{name} is not declared"
        if kind == "local" or kind == "module" or kind == "data":
            return f"{kind}.{name} is not declared"
        if kind.partition("_")[0] not in self.providers():
            return ""  # an iterator of a dynamic block, or a function's argument
        if (kind, name) not in self.resources:
            return f"{kind}.{name} is not declared"
        known = documented(kind) | _ALWAYS
        return "" if attribute is None or attribute in known else f"{kind}.{name}.{attribute} is not documented"


def documented(kind: str) -> set[str]:
    """Return the names of arguments and attributes of a resource, wherever in it they stand."""
    return set(_DOCUMENTED.get(kind, {}).get("known", ())) | _RANDOM.get(kind, set())


def undocumented(kind: str, body: dict[str, Any], inside: str = "") -> Iterator[str]:
    """Go through the arguments of a resource that its provider does not document."""
    known = documented(kind)
    if not known:
        yield "the provider does not document this resource"
    for key, value in body.items():
        if key == _BLOCK:
            continue
        if key == "lifecycle":
            yield from (f"lifecycle.{name}" for block in value for name in block if name not in _LIFECYCLE | {_BLOCK})
            continue
        if _bare(key) not in known | _META:
            yield f"{inside}{key}"
        if key == "dynamic":
            for block in value:
                for name, said in block.items():
                    yield from undocumented(kind, {_bare(name): list(said["content"])}, inside)
            continue
        for block in value if isinstance(value, list) else ():
            if isinstance(block, dict) and _BLOCK in block:
                yield from undocumented(kind, block, f"{inside}{key}.")


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Go through every text in parsed HCL, with the key it stands at."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from texts(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item, key)
    elif isinstance(value, str):
        yield key, value


def references(text: str) -> Iterator[tuple[str, str, str | None]]:
    """Go through what a text refers to: kind, name, and attribute if there is one."""
    expressions = _INTERPOLATED.findall(text) if "${" in text else [] if text.startswith('"') else [text]
    for expression in expressions:
        for kind, name, attribute in _REFERENCE.findall(re.sub(r'"[^"]*"', "", expression)):
            yield kind, name, attribute or None


def _bare(text: str) -> str:
    return text.strip('"')
