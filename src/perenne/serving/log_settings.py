"""Changing what is kept of a deployment's predictions: an audited change like any other, in force within a second."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Invalid, PerenneError
from perenne.serving import log_rules
from perenne.serving.keeping import changeable, keep
from perenne.serving.model import Deployment
from perenne.storage.database import Transaction


def change_log(
    tx: Transaction,
    actor: Principal,
    name: str,
    changes: dict[str, Any],
    *,
    releases: Path,
    reason: str = "",
    generation: int | None = None,
) -> Deployment:
    """Change some of a deployment's log rules; those that are not named stay.

    Parameters
    ----------
    changes : dict
        By the names of `LogRules`.
    releases : Path
        Where release folders lie: what the champion takes is known there.
    generation : int, optional
        The one that the change is meant for.

    Raises
    ------
    Invalid
        If a rule cannot be carried out; the message names it.
    Conflict
        If nothing would change.
    """
    before = changeable(tx, actor, name, generation)
    rules = log_rules.check(replace(before.log, **changes))
    if rules.redact != before.log.redact:
        from perenne import data

        read = data.privacy.read_rules(rules.redact)
        _check_inputs(releases / name, before.champion.tree, [rule.column for rule in read])
        rules = replace(rules, redact=tuple(map(str, read)))
    if rules == before.log:
        raise Conflict(f"the log of {name} is kept so already", code="deployment.log_unchanged", hint="nothing is left to do")
    after = replace(before, log=rules, generation=before.generation + 1)
    return keep(tx, actor, before, after, "log_changed", after.champion.version, reason)


def _check_inputs(folder: Path, tree: str, names: list[str]) -> None:
    """Refuse a rule for what is no input: a slip of the pen would hide nothing."""
    from perenne.serving.challengers import open_package

    try:
        known = open_package(folder, tree).signature.names
    except (OSError, PerenneError):
        return
    if unknown := [name for name in names if name not in known]:
        hint = f"the champion takes {', '.join(known[:20])}"
        raise Invalid(f"redact: there is no input {unknown[0][:100]!r}", code="deployment.log", hint=hint)
