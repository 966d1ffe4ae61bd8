"""What one process has: its runs that are open, the innermost last, and a sender for all of them.

A process that was forked off has none of its parent's files: it begins spools of its own when it first logs.
"""

import atexit
import contextlib
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

from perenne.core.config import Settings, load_settings
from perenne.core.errors import Conflict
from perenne.tracking.client.sender import Sender

if TYPE_CHECKING:
    from perenne.tracking.client.run import ActiveRun

log = logging.getLogger("perenne.client")

EXIT_SECONDS = 10.0


class Session:
    """The open runs of this process, and what delivers them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open: list[ActiveRun] = []
        self.senders: dict[Settings, Sender] = {}

    def the_sender(self) -> Sender:
        """Return the sender of the workspace that the environment names now, made when it is first asked for."""
        settings = load_settings()
        with self.lock:
            if settings not in self.senders:
                self.senders[settings] = Sender(settings)
            return self.senders[settings]

    def flush(self, seconds: float) -> bool:
        """Wait until everything is delivered, and tell whether it is."""
        delivered = [sender.flush(seconds) for sender in list(self.senders.values())]
        return all(delivered)

    def at_exit(self) -> None:
        """End what is open, as failed if an exception ends the program, and deliver what can be within seconds."""
        if not self.senders:
            return
        failed = getattr(sys, "last_type", None) is not None
        for run in reversed(self.open.copy()):
            with contextlib.suppress(Exception):
                run.end("failed" if failed else "finished", wait=0)
        for sender in self.senders.values():
            if not sender.flush(EXIT_SECONDS):
                log.warning("%d runs wait in %s; `perenne runs flush` delivers them", sender.waiting, sender.folder)
            sender.close()
        self.senders.clear()

    def in_child(self) -> None:
        """Forget the parent's sender and locks; a run that is open goes on in a spool of its own."""
        self.lock = threading.Lock()
        if self.senders:
            for sender in self.senders.values():
                sender.let_go()
            self.senders.clear()
            util = sys.modules.get("multiprocessing.util")
            if util is not None:  # its processes end without `atexit`
                util.register_after_fork(self, _finish_at_end)
        for run in self.open:
            run.let_go()


def _finish_at_end(session: Session) -> None:
    """Deliver when a process of `multiprocessing` ends; called once it has forgotten what its parent had to do at its end."""
    from multiprocessing import util

    util.Finalize(None, session.at_exit, exitpriority=0)


_OWN = Session()
atexit.register(_OWN.at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_OWN.in_child)


def sender() -> Sender:
    """Return this process's sender."""
    return _OWN.the_sender()


def enter(run: "ActiveRun") -> None:
    """Make a run the active one."""
    with _OWN.lock:
        _OWN.open.append(run)


def leave(run: "ActiveRun") -> None:
    """Take a run from the active ones."""
    with _OWN.lock:
        if run in _OWN.open:
            _OWN.open.remove(run)


def active_run() -> "ActiveRun | None":
    """Return the run that was started last and is open; None if there is none."""
    return _OWN.open[-1] if _OWN.open else None


def the_active_run() -> "ActiveRun":
    """Return the active run. Raises Conflict if there is none."""
    run = active_run()
    if run is None:
        raise Conflict("no run is active", code="client.no_run", hint="`with perenne.start_run(): …`")
    return run


def close() -> None:
    """End the active runs and let go of everything, as the end of the program does; the next run begins afresh."""
    _OWN.at_exit()


def flush(seconds: float = 60.0) -> bool:
    """Wait until everything logged is delivered, and tell whether it is; give up at once where nobody can be reached."""
    return _OWN.flush(seconds)
