"""A series of commands that the real DVC and `perenne dvc` are both taken through, and what is looked at after each."""

import json
import os
import re
import shlex
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden" / "side_by_side.json"
LEFT_OUT = (".git/", ".dvc/tmp/", ".dvc/config.local", ".dvc/cache/runs/", ".dvc/perenne")
Run = Callable[[list[str]], tuple[int, str]]

SERIES: list[str] = [
    "sh git init -q",
    "dvc init #quiet",
    "sh git add -A",
    "sh git commit -qm init",
    "write a.txt hi",
    "write data/1 one",
    "write data/2 two",
    "write data/sub/3 three",
    "write 'file name #1.txt' number",
    "write ünï.txt unicode",
    "write empty.txt",
    "write run.sh #!/bin/sh",
    "dvc add a.txt data 'file name #1.txt' ünï.txt empty.txt run.sh #quiet",
    "dvc status",
    "dvc status --json",
    "sh git add -A",
    "sh git commit -qm data",
    "dvc add nope #code",
    "write dvc.yaml 'stages: {}'",
    "dvc add dvc.yaml #code",
    "sh rm dvc.yaml",
    "write data/2 changed",
    "write data/4 four",
    "write a.txt other",
    "dvc status --json",
    "dvc status #sorted",
    "dvc status -q",
    "dvc diff --json",
    "dvc data status --json #sorted",
    "dvc data status --granular --json #sorted",
    "dvc commit #code",
    "dvc commit -f a.txt.dvc",
    "dvc add data/4 #quiet",
    "dvc status --json",
    "dvc commit -f",
    "dvc status --json",
    "dvc diff --json",
    "dvc diff --json --show-hash",
    "dvc data status --granular --json #sorted",
    "sh git add -A",
    "sh git commit -qm changes",
    "dvc diff HEAD~1 HEAD --json",
    "sh rm -rf data a.txt",
    "dvc status --json",
    "dvc checkout #sorted",
    "dvc checkout --summary",
    "dvc checkout nope.dvc #code",
    "sh git checkout -q HEAD~1",
    "dvc checkout #sorted",
    "dvc status --json",
    "sh git checkout -q -",
    "dvc checkout #sorted",
    "dvc remote add -d store ../store",
    "dvc remote add other s3://bucket/prefix",
    "dvc remote modify other endpointurl http://localhost:9",
    "dvc remote add other /x #code",
    "dvc remote list",
    "dvc config -l",
    "dvc config core.remote",
    "dvc config core.nothing x #code",
    "dvc remote rename other third",
    "dvc remote remove third",
    "dvc push",
    "dvc push",
    "sh rm -rf .dvc/cache data",
    "dvc fetch",
    "dvc pull #sorted",
    "dvc move data moved #quiet",
    "dvc move nope x #code",
    "dvc remove a.txt #code",
    "dvc remove a.txt.dvc",
    "dvc config cache.type hardlink",
    "write hard.bin linked",
    "dvc add hard.bin #quiet",
    "dvc unprotect hard.bin",
    "write .dvcignore '*.tmp'",
    "dvc check-ignore -d x.tmp",
    "dvc check-ignore x.txt",
    "dvc root",
    "dvc cache dir",
    "dvc nosuch #code",
    "dvc add #code",
    "dvc destroy #code",
]


def play(run: Run, root: Path, series: list[str] = SERIES) -> list[dict[str, Any]]:
    """Take the steps in a folder, and return what each of DVC's commands answered and left behind."""
    seen: list[dict[str, Any]] = []
    before: dict[str, str] = {}
    for step in series:
        kind, *words = shlex.split(re.sub(r" #[a-z]+$", "", step))
        if kind == "write":
            place = root / words[0]
            place.parent.mkdir(parents=True, exist_ok=True)
            _write(place, "\n".join(words[1:]))
        elif kind == "sh":
            subprocess.run(words, cwd=root, check=True, capture_output=True, env=_environment())
        else:
            code, out = run(words)
            after = files_of(root)
            changed = {name: after.get(name) for name in sorted({*before, *after}) if before.get(name) != after.get(name)}
            seen.append({"step": step, "code": code, "out": _plain(out, step, root), "changed": changed})
            before = after
    return seen


def _write(place: Path, text: str) -> None:
    if place.exists() and not place.stat().st_mode & 0o200:
        place.unlink()
    place.write_text(f"{text}\n" if text else "")
    if text.startswith("#!"):
        place.chmod(0o744)


def _environment() -> dict[str, str]:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    return {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}


def _plain(out: str, step: str, root: Path) -> Any:
    if step.endswith(("#quiet", "#code")):
        return None
    out = out.replace(os.fspath(root.parent), "ABOVE").replace(root.name, "ROOT")
    if "--json" in step:
        answer = json.loads(out or "null")
        return _without_sizes(answer) if step.endswith("#sizes") else _ordered(answer) if step.endswith("#sorted") else answer
    lines = [re.sub(r" {2,}", "  ", line.rstrip()) for line in out.splitlines()]
    return sorted(lines) if step.endswith("#sorted") else lines


def _ordered(answer: Any) -> Any:
    """Sort the paths of each group: DVC has them in the order of a set."""
    if isinstance(answer, dict):
        return {key: _ordered(value) for key, value in answer.items()}
    return sorted(answer, key=str) if isinstance(answer, list) else answer


def _without_sizes(answer: Any) -> Any:
    """Leave out the size of folders and of Git's files, which depend on the disk and on what `init` says."""
    return [
        {key: value for key, value in line.items() if key != "size" or (line["isout"] and not line["isdir"])} for line in answer
    ]


def files_of(root: Path) -> dict[str, str]:
    """Return every file with its mode, and the text of those that Git would keep."""
    found = {}
    for place in sorted([*root.rglob("*"), *(root.parent / "store").rglob("*")]):
        name = os.path.relpath(place, root)
        if place.is_dir() or f"{name}/".startswith(LEFT_OUT) or name.startswith(LEFT_OUT):
            continue
        mode = stat.S_IMODE(place.lstat().st_mode)
        shown = f"{mode:o}" if "cache/files" in name or "run.sh" in name else "-"
        kept = name.endswith((".dvc", ".gitignore", ".dvcignore", "config", ".dir", "dvc.yaml"))
        found[name] = f"{shown} {place.read_text()}" if kept else shown
    return found


def by_executable(executable: str, root: Path, site: Path) -> Run:
    """Return what runs the real DVC."""
    environment = {**_environment(), "DVC_SITE_CACHE_DIR": os.fspath(site), "DVC_NO_ANALYTICS": "1", "COLUMNS": "300"}

    def run(arguments: list[str]) -> tuple[int, str]:
        called = [executable, *arguments]
        done = subprocess.run(
            called, cwd=root, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)

    return run


def main() -> None:
    """Record what the real DVC does; ``PERENNE_DVC`` names it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        root.mkdir()
        seen = play(by_executable(os.environ["PERENNE_DVC"], root, Path(folder) / "site"), root)
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
