"""`.dvc/tmp/rwlock`: which process reads and writes which paths, as DVC notes it while stages run, so that both see each other.

While a command of a stage runs, its own process is noted: if we are killed, nobody touches its outputs before it has ended.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Waiting = Callable[[int, str], None]
"""Hears whom is waited for: process and command."""

FIRST, LAST = 0.05, 1.0
_mutex = threading.Lock()


class Claimed:
    """Paths that are ours for a while."""

    def __init__(self, folder: Path, reads: list[str], writes: list[str]) -> None:
        self._folder = folder
        self._reads = reads
        self._writes = writes
        self._infos: list[dict[str, Any]] = [{"pid": os.getpid(), "cmd": " ".join(sys.argv)}]

    def take(self, waiting: Waiting | None = None, stopped: Callable[[], bool] = lambda: False) -> None:
        """Note them, as soon as nobody alive has noted one that gets in the way."""
        pause, told = FIRST, 0
        while True:
            with _edited(self._folder) as noted:
                blocker = _blocker(noted, self._reads, self._writes)
                if blocker is None:
                    self._note(noted)
                    return
            if waiting is not None and told != blocker["pid"]:
                told = blocker["pid"]
                waiting(told, str(blocker.get("cmd", "")))
            if stopped():
                raise KeyboardInterrupt
            time.sleep(pause)
            pause = min(pause * 1.5, LAST)

    def hand_to(self, pid: int) -> None:
        """Note another process in our place: the command that is running."""
        self._infos.append({**self._infos[0], "pid": pid})
        with _edited(self._folder) as noted:
            self._forget(noted)
            self._note(noted)

    def release(self) -> None:
        """Strike them out, under whichever of our names they stand: an interrupt may have come at any moment."""
        with _edited(self._folder) as noted:
            self._forget(noted)

    def _note(self, noted: dict[str, Any]) -> None:
        for path in self._reads:
            readers = noted.setdefault("read", {}).setdefault(path, [])
            if self._infos[-1] not in readers:
                readers.append(self._infos[-1])
        for path in self._writes:
            noted.setdefault("write", {})[path] = self._infos[-1]

    def _forget(self, noted: dict[str, Any]) -> None:
        reading, writing = noted.get("read", {}), noted.get("write", {})
        for path in self._reads:
            left = [info for info in reading.get(path, []) if info not in self._infos]
            if left:
                reading[path] = left
            else:
                reading.pop(path, None)
        for path in self._writes:
            if writing.get(path) in self._infos:
                del writing[path]


@contextmanager
def _edited(folder: Path) -> Iterator[dict[str, Any]]:
    """Read the file, and write it anew if what it says was changed; nobody else does so meanwhile."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with _mutex, open(folder / "rwlock.lock", "a+") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        file = folder / "rwlock"
        noted = _read(file)
        before = json.dumps(noted)
        yield noted
        after = json.dumps({mode: paths for mode, paths in noted.items() if paths})
        if after != before:
            temporary = file.with_name(f".rwlock-{os.getpid()}")
            temporary.write_text(after, encoding="utf-8")
            os.replace(temporary, file)


def _read(file: Path) -> dict[str, Any]:
    """Read the file; one that is broken says nothing: who wrote it is dead, or writes it again."""
    with suppress(FileNotFoundError, ValueError):
        noted = json.loads(file.read_bytes())
        if isinstance(noted, dict) and all(isinstance(paths, dict) for paths in noted.values()):
            return noted
    return {}


def _blocker(noted: dict[str, Any], reads: list[str], writes: list[str]) -> dict[str, Any] | None:
    """Return who gets in the way, and strike out those who are dead."""
    for mode, asked in (("write", [*reads, *writes]), ("read", writes)):
        paths = noted.get(mode, {})
        for path in list(paths):
            infos = paths[path] if isinstance(paths[path], list) else [paths[path]]
            alive = [info for info in infos if isinstance(info, dict) and _is_alive(info.get("pid"))]
            if not alive:
                del paths[path]
                continue
            if isinstance(paths[path], list):
                paths[path] = alive
            others = [info for info in alive if info["pid"] != os.getpid()]
            if others and any(_overlap(path, mine) for mine in asked):
                return others[0]
    return None


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _is_alive(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
