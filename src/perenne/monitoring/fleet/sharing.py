"""Sharing windows among processes: whoever has a deployment's lease judges its windows, oldest first, many at once."""

import functools
import os
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from perenne.monitoring.fleet import leases
from perenne.monitoring.model import Stream, WindowKey
from perenne.storage.database import Transaction
from perenne.storage.owners import owner_token
from perenne.storage.workspace import Workspace

AT_ONCE = 64
"""Deployments whose verdicts are kept in one transaction."""

A_TURN = 512
"""Deployments that are judged before the loop turns to something else: others wait for a turn, not for a fleet."""

Fence: TypeAlias = Callable[[Transaction], Collection[str]]
"""Tells in a transaction which deployments are still this process's to judge."""

Due: TypeAlias = Callable[[Collection[str]], Sequence[WindowKey]]
Judge: TypeAlias = Callable[[Sequence[WindowKey], Fence], int]


@functools.cache
def _owner(_: int) -> str:
    return owner_token()


def share(workspace: Workspace, names: Sequence[str], due: Due, judge: Judge, *, owner: str = "") -> int:
    """Judge due windows of deployments that nobody else judges now; return how many were.

    Parameters
    ----------
    names : sequence of str
        Deployments with such windows, the first to be judged first.
    due : callable
        Gives the due windows of some deployments: asked once they are this process's, for another may just have judged them.
    judge : callable
        Judges one window each of several streams.
    owner : str
        Who takes the leases; this process if not given.
    """
    owner = owner or _owner(os.getpid())
    waiting, judged = list(names)[:A_TURN], 0
    while waiting:
        some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        mine = workspace.database.write(lambda tx, some=some: leases.take(tx, owner, some, most=AT_ONCE), durable=False)  # type: ignore[misc]
        if mine:
            try:
                judged += _judge(due(mine), mine, judge, owner)
            finally:
                workspace.database.write(lambda tx, mine=mine: leases.give_back(tx, owner, mine), durable=False)  # type: ignore[misc]
    return judged


def _judge(due: Sequence[WindowKey], mine: Collection[str], judge: Judge, owner: str) -> int:
    """Judge windows in rounds: in each the oldest that is left of every stream."""
    left: dict[Stream, list[WindowKey]] = {}
    for key in sorted(due, key=lambda key: (key.start, key)):
        left.setdefault(key.stream, []).append(key)
    judged = 0
    while left:
        keys = [keys.pop(0) for keys in left.values()]
        left = {stream: keys for stream, keys in left.items() if keys}
        judged += judge(keys, lambda tx: leases.renew(tx, owner, mine))
    return judged
