"""The dictionary of names: metrics, parameters and tags are numbers inside.

A name keeps its number for ever, so whoever has seen it committed may remember it: in most calls the database is not asked.
"""

import weakref
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from perenne.storage.database import Transaction
from perenne.storage.names import chosen, chosen_numbers
from perenne.tracking.tables import key

MOST_REMEMBERED = 100_000

_INSERT = sa.text("insert into key (name) values (:name) on conflict (name) do nothing")


class _Memory:
    """Names and numbers that are known to be kept."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.names: dict[int, str] = {}

    def add(self, found: dict[str, int]) -> None:
        if len(self.numbers) + len(found) > MOST_REMEMBERED:
            self.numbers, self.names = {}, {}
        self.names.update((number, name) for name, number in found.items())
        self.numbers.update(found)


_memories: "weakref.WeakKeyDictionary[Engine, _Memory]" = weakref.WeakKeyDictionary()


def known_keys(tx: Transaction, names: Iterable[str]) -> dict[str, int]:
    """Return the numbers of those names that have one."""
    wanted = list(names)
    memory = _memory(tx).numbers
    found = {name: memory[name] for name in wanted if name in memory}
    missing = [name for name in wanted if name not in found]
    return found | _look(tx, missing) if missing else found


def keys_of(tx: Transaction, names: Iterable[str]) -> dict[str, int]:
    """Return the number of each name; a new name gets one."""
    wanted = names if isinstance(names, list | tuple | dict | set) else list(names)
    memory = _memory(tx).numbers
    try:
        return {name: memory[name] for name in wanted}
    except KeyError:
        return _made(tx, wanted)


def names_of(tx: Transaction, numbers: Iterable[int]) -> dict[int, str]:
    """Return the names of some numbers."""
    wanted = set(numbers)
    memory = _memory(tx).names
    found = {number: memory[number] for number in wanted if number in memory}
    missing = sorted(wanted - found.keys())
    if missing:
        query = sa.select(key.c.name, key.c.id).where(key.c.id.in_(chosen_numbers(missing)))
        read = {row.name: row.id for row in tx.execute(query)}
        _remember(tx, read)
        found |= {number: name for name, number in read.items()}
    return found


def _made(tx: Transaction, names: Iterable[str]) -> dict[str, int]:
    found = known_keys(tx, sorted(set(names)))  # sorted: who adds names beside us waits for us in the same order
    missing = [name for name in sorted(set(names)) if name not in found]
    if missing:
        tx.execute(_INSERT, [{"name": name} for name in missing])
        found |= _look(tx, missing)
    return found


def _look(tx: Transaction, names: list[str]) -> dict[str, int]:
    found = {row.name: row.id for row in tx.execute(sa.select(key.c.name, key.c.id).where(key.c.name.in_(chosen(names))))}
    _remember(tx, found)
    return found


def _remember(tx: Transaction, found: dict[str, int]) -> None:
    memory = _memory(tx)
    if tx.snapshot:
        memory.add(found)
    else:  # what a change sees may still be undone, and its numbers given to other names
        tx.after_commit(lambda: memory.add(found))


def _memory(tx: Transaction) -> _Memory:
    engine = tx.connection.engine
    memory = _memories.get(engine)
    if memory is None:
        memory = _memories.setdefault(engine, _Memory())
    return memory
