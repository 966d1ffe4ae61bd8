"""Hiding named inputs before anything is written or sent: the rules of `data.privacy`, carried out on the rows of the log.

An input `f_<name>` under a rule becomes `m_<name>`, or is left out: so nobody takes a hash, or a rounded value, for the value.
What cannot be hidden as the rule says is left out.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perenne.core.errors import PerenneError

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("perenne.observer")

KEY = ".redaction.key"
FEATURE, MASKED = "f_", "m_"


def needs_key(rules: Sequence[str]) -> bool:
    """Tell whether one of the rules makes keyed hashes."""
    return any(rule.rpartition("=")[2] == "hash" for rule in rules)


def write_key(folder: Path, key: bytes) -> None:
    """Leave the key of hashes in a release folder, for its owner alone."""
    path = folder / KEY
    if path.exists() and path.read_bytes() == key:
        return
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f"{KEY}.new"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(key)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)


class Redaction:
    """Carries rules out.

    Parameters
    ----------
    rules : sequence of str
        `input=rule`, as in `LogRules`.
    folder : Path
        The release folder, where the key of hashes lies.
    """

    def __init__(self, rules: Sequence[str], folder: Path) -> None:
        from perenne import data

        self._rules = {rule.column: rule for rule in data.privacy.read_rules(rules)}
        try:
            self._key = (folder / KEY).read_bytes()
        except OSError:
            self._key = b""
        self._said: set[str] = set()

    def apply(self, table: "pa.Table") -> "pa.Table":
        """Return rows of the log without what is to be hidden."""
        for name, rule in self._rules.items():
            place = table.schema.get_field_index(FEATURE + name)
            if place < 0:
                continue
            hidden = None if rule.rule == "drop" else self._masked(table.select([FEATURE + name]), name)
            table = table.remove_column(place)
            if hidden is not None:
                table = table.append_column(MASKED + name, hidden)
        return table

    def _masked(self, column: "pa.Table", name: str) -> "pa.ChunkedArray[Any] | None":
        from perenne import data

        rule = self._rules[name]
        if rule.rule == "hash" and not self._key:
            self._say(name, "the key of hashes is not in the release folder")
            return None
        try:
            renamed = column.rename_columns([name])
            return data.privacy.mask_table(renamed, [rule], self._key).column(0)
        except PerenneError as error:
            self._say(name, error.message)
        except Exception as error:
            self._say(name, type(error).__name__)
        return None

    def _say(self, name: str, why: str) -> None:
        if name not in self._said:
            self._said.add(name)
            log.error("input %s is left out of the log, for it cannot be hidden: %s", name, why)
