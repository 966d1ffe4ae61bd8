"""Some runs side by side: what they were given, what came out, and what they depend on; pure functions."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from perenne.tracking.model import REPRODUCES, RUN_NAME, Provenance, Run

_OWN_TAGS = frozenset({RUN_NAME, "perenne.fingerprint", REPRODUCES, "mlflow.parentRunId"})
"""Tags that differ between any two runs, or say nothing of what they did."""


class Line(msgspec.Struct, frozen=True):
    """One thing of several runs: what kind, its name, and the value of each run, None where it has none."""

    kind: str
    name: str
    values: tuple[str | float | None, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs do not all have the same."""
        return len(set(self.values)) > 1


def compared(runs: Sequence[Run], packages: Callable[[str], Mapping[str, str]] = lambda digest: {}) -> list[Line]:
    """Return everything of some runs, a line for each thing that at least one has.

    Parameters
    ----------
    packages : callable
        Gives the versions of packages by name, of the digest of an environment.
    """
    lines = _lines("parameter", [run.parameters for run in runs]) + _lines("metric", [run.metrics for run in runs])
    lines += _lines("tag", [{name: text for name, text in run.tags.items() if name not in _OWN_TAGS} for run in runs])
    lines.append(Line("data", "data", tuple(", ".join(digest[:12] for digest in run.data) or None for run in runs)))
    lines += _lines("code", [_code(run.provenance) for run in runs])
    lines += _lines("package", [packages(run.provenance.environment) for run in runs])
    return lines + _lines("environment", [_machine(run.provenance) for run in runs])


def packages_in(text: str) -> dict[str, str]:
    """Read a list of packages, `name==version` a line.

    >>> packages_in("numpy==2.1\\npip==25.0")
    {'numpy': '2.1', 'pip': '25.0'}
    """
    parts = (line.partition("==") for line in text.splitlines() if line)
    return {name: version for name, _, version in parts}


def different(before: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    """Return the names under which two mappings have different values, with both.

    >>> different({"a": "1", "b": "2"}, {"a": "1", "c": "3"})
    [('b', '2', None), ('c', None, '3')]
    """
    names = dict.fromkeys([*before, *now])
    return [(name, before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)]


def _code(said: Provenance) -> dict[str, str]:
    found = {"commit": said.commit, "branch": said.branch, "patch": said.patch[:12], "command": said.command}
    found |= {f"source {name}": digest[:12] for name, digest in said.source.items()}
    found |= {f"untracked {name}": digest[:12] for name, digest in said.untracked.items()}
    return {name: text for name, text in found.items() if text}


def _machine(said: Provenance) -> dict[str, str]:
    return {"python": said.python, "system": said.system, "seed": str(said.seed)}


def _lines(kind: str, values: Sequence[Mapping[str, str | float | int | None]]) -> list[Line]:
    names = dict.fromkeys(name for one in values for name in one)
    return [Line(kind, name, tuple(one.get(name) for one in values)) for name in names]
