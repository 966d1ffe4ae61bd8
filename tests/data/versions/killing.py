"""Run a verb again and again on copies of a repository, killed (SIGKILL) before another step each time, and tell what went wrong.

Called as ``killing.py VERB EVERY``: EVERY is 1 for all steps, 5 for each fifth. A step is a call that changes the file system.
After each kill the verb is run again, in peace, and must come to the end that it comes to when nobody disturbs it.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perenne.data.versions.adding import add
from perenne.data.versions.checkout import check_out
from perenne.data.versions.committing import commit
from perenne.data.versions.moving import move
from perenne.data.versions.removing import remove
from perenne.data.versions.repository import Repository, init_repository, open_repository
from perenne.formats.dvc.metafiles import read_metafile

STEPS = ("open", "write", "rename", "unlink", "mkdir", "rmdir", "link", "symlink", "chmod")
VERBS: dict[str, Callable[[Repository], Any]] = {
    "add": lambda repository: add(repository, ["new", "file"]),
    "commit": commit,
    "checkout": check_out,
    "force": lambda repository: check_out(repository, force=True),
    "move": lambda repository: move(repository, "tree", "moved") if Path("tree.dvc").exists() else None,
    "remove": lambda repository: remove(repository, ["tree.dvc"]) if Path("tree.dvc").exists() else None,
}


def prepare(folder: Path, verb: str) -> None:
    """Make a repository in which the verb has something to do."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    os.chdir(folder)
    init_repository(folder).close()
    for name, text in (
        ("tree/a", "1"),
        ("tree/sub/b", "22"),
        ("tree/gone", "g"),
        ("new/x", "x"),
        ("new/y/z", "z"),
        ("file", "f"),
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    with open_repository() as repository:
        add(repository, ["tree"])
    if verb in ("commit", "checkout", "force"):
        Path("tree/a").write_text("other")
        Path("tree/more").write_text("more")
        Path("tree/gone").unlink()
    if verb == "checkout":  # what is in the workspace can be had again
        before = Path("tree.dvc").read_bytes()
        with open_repository() as repository:
            commit(repository)
        Path("tree.dvc").write_bytes(before)


def die_at(step: int) -> None:
    """Let this process be killed before its so-manieth step."""
    left = [step]

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if call is not REAL["open"] or arguments[1] & (os.O_WRONLY | os.O_RDWR):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return counted

    for name in STEPS:
        setattr(os, name, watched(REAL[name]))


REAL = {name: getattr(os, name) for name in STEPS}


def run(verb: str, step: int = 0) -> bool:
    """Run a verb in a process of its own; tell whether it came to its end."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            if step:
                die_at(step)
            with open_repository() as repository:
                VERBS[verb](repository)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"{verb} failed after a kill"
    return os.WIFEXITED(status)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return every file that matters: not what is remembered, locked or in Git."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_relative_to(folder / ".dvc/tmp") and not path.is_relative_to(folder / ".git")
    }


def whole(folder: Path, before: dict[str, bytes]) -> list[str]:
    """Tell what is wrong right after a kill: lost bytes, a metafile that cannot be read, an object that is not whole."""
    from hashlib import md5

    wrong = []
    now = files_below(folder)
    everywhere = {path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kept = {name: data for name, data in before.items() if name[0] != "." and not name.endswith(".dvc")}
    wrong += [f"{name} is lost" for name, data in kept.items() if data not in everywhere]
    for name, data in now.items():
        if name.endswith(".dvc") and not read_metafile(data, name).outs:
            wrong.append(f"{name} says nothing")
        parts = Path(name).parts
        if parts[:4] == (".dvc", "cache", "files", "md5") and md5(data).hexdigest() != parts[4] + parts[5].removesuffix(".dir"):
            wrong.append(f"{name} is not whole")
    return wrong


def main(verb: str, every: int) -> None:
    """Kill at each step, and print what went wrong and how many steps there were."""
    with tempfile.TemporaryDirectory() as room:
        base, copy = Path(room, "base"), Path(room, "copy")
        prepare(base, verb)
        os.chdir(room)
        shutil.copytree(base, copy, symlinks=True)
        os.chdir(copy)
        assert run(verb)
        wanted, before = files_below(copy), files_below(base)
        wrong, step, ended = [], 1, False
        while not ended:
            os.chdir(room)
            shutil.rmtree(copy)
            shutil.copytree(base, copy, symlinks=True)
            os.chdir(copy)
            ended = run(verb, step)
            wrong += [f"step {step}: {what}" for what in whole(copy, before)]
            run(verb)
            found = files_below(copy)
            if found != wanted:
                differ = {name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)}
                wrong.append(f"step {step}: it ended otherwise: {sorted(differ)}")
            with open_repository() as repository, repository.lock():
                left = [path.name for path in copy.rglob("*.perenne")]
            wrong += [f"step {step}: left behind {name}" for name in left]
            step += every
        print(json.dumps({"wrong": wrong, "steps": step - every}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
