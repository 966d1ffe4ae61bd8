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

GOLDEN = Path(__file__).parent / "golden"
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
    "dvc list . --json #sizes",
    "dvc list . -R --json --dvc-only #sizes",
    "dvc list . -R",
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

IMPORTS: list[str] = [
    "sh git init -q -b main ../src",
    "dvc --cd ../src init #quiet",
    "write ../src/a.txt hi",
    "write ../src/d/1 one",
    "write ../src/d/2 two",
    "write ../src/code.py pass",
    "dvc --cd ../src add a.txt d #quiet",
    "sh git -C ../src add -A",
    "sh git -C ../src commit -qm one",
    "sh git -C ../src tag v1",
    "write ../src/d/3 three",
    "dvc --cd ../src add d #quiet",
    "sh git -C ../src commit -aqm two",
    "sh git init -q -b main",
    "dvc init #quiet",
    "dvc list ../src --json #sizes",
    "dvc list ../src d --rev v1 --json #sizes",
    "dvc list ../src nope #code",
    "dvc get ../src a.txt",
    "dvc get ../src a.txt #code",
    "dvc get ../src d -o e --rev v1",
    "dvc get-url ../src/code.py got.py",
    "dvc import ../src d --rev v1 #quiet",
    "dvc import ../src a.txt -o b.txt #quiet",
    "dvc import-url ../src/code.py code.py #quiet",
    "dvc import-url ../src/d far --no-download #quiet",
    "dvc status --json",
    "dvc update d.dvc",
    "dvc update d.dvc --rev main",
    "write ../src/code.py changed",
    "dvc update code.py.dvc #quiet",
    "dvc update nope.dvc #code",
    "sh mkdir sub",
    "dvc move code.py sub/moved.py #quiet",
    "write dvc.yaml '# note' 'stages:' '  one: {cmd: echo 1 > one, outs: [one]}' '  two: {cmd: echo 2 > two, outs: [two]}'",
    "dvc repro -q one",
    "dvc repro -q two",
    "dvc remove one",
    "dvc remove nope #code",
    "dvc remove two --outs",
    "sh rm -rf d",
    "dvc checkout d",
    "dvc gc #code",
    "dvc gc -w #code",
]


ALL = {"working": SERIES, "importing": IMPORTS}


def play(run: Run, root: Path, series: list[str]) -> list[dict[str, Any]]:
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
    when = "2020-01-01T00:00:00Z"
    told = {"NAME": "a", "EMAIL": "a@b", "DATE": when}
    who = {f"GIT_{role}_{what}": said for role in ("AUTHOR", "COMMITTER") for what, said in told.items()}
    return {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}


def _plain(out: str, step: str, root: Path) -> Any:
    if step.endswith(("#quiet", "#code")):
        return None
    out = out.replace(os.fspath(root.parent), "ABOVE").replace(root.name, "ROOT")
    if "--json" in step:
        answer = json.loads(out or "null")
        return _without_sizes(answer) if step.endswith("#sizes") else _ordered(answer) if step.endswith("#sorted") else answer
    lines = [re.sub(r" {2,}", "  ", line.rstrip()).replace("  (default)", " (default)") for line in out.splitlines()]
    return sorted(lines) if step.endswith("#sorted") else lines


def _ordered(answer: Any) -> Any:
    """Sort the paths of each group: DVC has them in the order of a set."""
    if isinstance(answer, dict):
        return {key: _ordered(value) for key, value in answer.items()}
    return sorted(answer, key=str) if isinstance(answer, list) else answer


def _without_sizes(answer: Any) -> Any:
    """Leave out what depends on the disk, or what DVC does not know of every file: sizes and exec bits."""
    return [{key: value for key, value in line.items() if key not in ("size", "isexec")} for line in answer]


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

    for name, series in ALL.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "project"
            root.mkdir()
            seen = play(by_executable(os.environ["PERENNE_DVC"], root, Path(folder) / "site"), root, series)
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"{name}.json").write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
