"""From the libraries that a package records to all they need, by what the installed distributions say of themselves."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from perenne.core.hashing import digest_bytes
from perenne.delivery.bill import licences
from perenne.delivery.bill.model import Materials, Part

RUNTIME = {"linear": ("numpy", "msgspec"), "onnx": ("numpy", "msgspec", "onnxruntime")}
"""What answers, by compiled form; other forms need whatever the package records."""


def canonical_name(name: str) -> str:
    """Return a distribution's name as it is compared (PEP 503).

    >>> canonical_name("Scikit_Learn")
    'scikit-learn'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def gather(libraries: Mapping[str, str], form: str = "") -> Materials:
    """Find all parts of a package.

    Parameters
    ----------
    libraries : mapping
        Versions by name, as the package records them; `python` among them.
    form : str
        What answers; by it parts are told apart that are needed for that only to make the package again.

    Returns
    -------
    Materials
        With a gap for each part that is not installed here, or in another version than the recorded one: what it needs, and
        under which licence it is, cannot be told then.
    """
    recorded = {canonical_name(name): version for name, version in libraries.items() if canonical_name(name) != "python"}
    needed = {canonical_name(name) for name in RUNTIME.get(form, recorded)}
    installed = _closure(set(recorded) | (needed & set(RUNTIME.get(form, ()))))
    answering = _reach(needed, installed)
    names = sorted(set(installed) | set(recorded))
    parts = [_part(name, recorded.get(name, ""), installed.get(name), name in answering) for name in names]
    gaps = tuple(f"{part.name}: {part.gap}" for part in parts if part.gap)
    return Materials(python=libraries.get("python", ""), parts=tuple(parts), gaps=gaps)


def _closure(names: set[str]) -> dict[str, Distribution]:
    """Return the installed distributions that some need, they themselves included."""
    found: dict[str, Distribution] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in found or (known := _installed(name)) is None:
            continue
        found[name] = known
        waiting += _required(known)
    return found


def _reach(names: set[str], installed: Mapping[str, Distribution]) -> set[str]:
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _required(installed[name]) if name in installed else []
    return reached


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _required(known: Distribution) -> list[str]:
    return sorted(set(_requirements(known)))


def _requirements(known: Distribution) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for text in known.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonical_name(requirement.name)


def _by_file(known: Distribution) -> str:
    """Tell a licence by the one file that a distribution has of it; of several, nobody knows which is of what."""
    names = known.metadata.get_all("License-File") or []
    if len(names) != 1:
        return ""
    return licences.by_words(known.read_text(f"licenses/{names[0]}") or known.read_text(names[0]) or "")


def _part(name: str, recorded: str, known: Distribution | None, runtime: bool) -> Part:
    if known is None:
        return Part(name=name, version=recorded, runtime=runtime, gap="it is not installed here")
    if recorded and recorded != known.version:
        return Part(name=name, version=recorded, runtime=runtime, gap=f"installed here is {known.version}")
    metadata: Any = known.metadata
    licence, said = licences.expression(metadata, metadata.get_all("Classifier") or [])
    if not licence:
        licence, said = _by_file(known), said or "a file of its own"
    record = known.read_text("RECORD")
    return Part(
        name=name,
        version=known.version,
        licence=licence,
        said=said,
        digest=digest_bytes(record.encode()) if record else "",
        requires=tuple(_required(known)),
        runtime=runtime,
    )
