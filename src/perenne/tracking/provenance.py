"""Capturing what a result depends on besides data and parameters: code, environment, machine."""

import functools
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path

from perenne.core.paths import SKIPPED_FOLDERS, looks_secret
from perenne.storage.objects import ObjectStore
from perenne.tracking.model import Provenance

MAX_UNTRACKED_BYTES = 1 << 20


def capture(
    objects: ObjectStore, root: Path, *, seed: int, command: str = "", sources: Iterable[Path] | None = None
) -> Provenance:
    """Keep the project's code state and describe environment and machine.

    Parameters
    ----------
    objects : ObjectStore
        Where patch, untracked files, sources and the package list go.
    root : Path
        The project's folder.
    seed : int
        The seed the run starts from.
    command : str
        What was typed; `sys.argv` if empty.
    sources : iterable of Path, optional
        The Python files to keep; all below the folder if not given.
    """
    commit = _git(root, "rev-parse", "HEAD").strip()
    patch = _git(root, "diff", "HEAD", "--binary", "--", ".") if commit else ""
    untracked, left_out = _untracked(objects, root) if commit else ({}, ())
    kept = _sources(root) if sources is None else sources
    return Provenance(
        commit=commit,
        branch=_git(root, "rev-parse", "--abbrev-ref", "HEAD").strip() if commit else "",
        patch=objects.put(patch.encode()) if patch else "",
        untracked=untracked,
        left_out=left_out,
        source={path.relative_to(root).as_posix(): objects.put_file(path) for path in kept},
        command=command or " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        python=python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        hardware=_hardware(),
        environment=objects.put("\n".join(packages()).encode()),
        seed=seed,
    )


def _git(root: Path, *arguments: str) -> str:
    """Return what Git answers, nothing where there is no Git, no repository or no commit."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, errors="replace", timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _untracked(objects: ObjectStore, root: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    names = [name for name in _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".").split("\0") if name]
    kept, left_out = {}, []
    for name in names:
        path = root / name
        if looks_secret(name) or not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_UNTRACKED_BYTES:
            left_out.append(name)
        else:
            kept[name] = objects.put_file(path)
    return kept, tuple(left_out)


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("."))
        for name in sorted(files):
            if name.endswith(".py"):
                yield Path(folder) / name


@functools.lru_cache(maxsize=1)
def packages() -> list[str]:
    """Return what is installed, `name==version` each."""
    return sorted({f"{item.metadata['Name']}=={item.version}" for item in distributions()}, key=str.lower)


def python_version() -> str:
    """Return the version of Python that runs this."""
    return platform.python_version()


def _hardware() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return f"{_processor()}, {os.cpu_count()} cores, {memory / 2**30:.0f} GiB"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()
