"""One story told by DVC and by perenne: the same steps in the same folders; after each, everything that the other could see.

``python -m tests.data.versions.scenario DVC`` lets the real DVC tell it and writes ``golden/story.json`` for the tests.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

Step = tuple[str, Callable[[], None], list[str]]
"""A name, what is done to the files before, and the command."""

NAMES = {
    "plain.csv": "a\n",
    "file name #1.txt": "b\n",
    "[br]*.txt": "c\n",
    'it\'s "quoted".txt': "d\n",
    "-dash": "e\n",
    "ünï 😀.txt": "f\n",
    "123": "g\n",
    "true": "h\n",
    "empty": "",
    "new\nline": "i\n",
    "trailing ": "j\n",
    "back\\slash": "k\n",
    "colon: x": "l\n",
    "crlf.txt": "m\r\n",
}
"""Names that are hard to write down, each with a content."""

NOT_ALONE = ("new\nline", "-dash", "trailing ")
"""No line of `.gitignore` has a line break; DVC forgets to escape a blank at the end, and takes a dash for an option."""


def write(name: str, text: str, mode: int = 0o644) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    path.chmod(mode)


def first_tree() -> None:
    """Make what the story begins with."""
    for name, text in NAMES.items():
        write(f"names/{name}", text)
    for name in ("sub-/x", "sub.d/x", "sub/x", "sub/deep/er/x", "Case", "case"):
        write(f"tree/{name}", name)
    write("tree/run.sh", "#!/bin/sh\n", 0o755)
    Path("tree/void").mkdir()
    write("exec.sh", "#!/bin/sh\n", 0o755)
    for name, text in NAMES.items():
        if name not in NOT_ALONE:
            write(f"single/{name}", text)


def change() -> None:
    write("tree/sub/x", "changed")
    Path("tree/Case").unlink()
    write("tree/new/file", "new")
    Path("tree/case").rename("tree/lower")


def swap() -> None:
    """Let a file become a folder, and a folder a file."""
    shutil.rmtree("tree/sub")
    write("tree/sub", "a file now")
    Path("tree/lower").unlink()
    write("tree/lower/inner", "a folder now")


def lose() -> None:
    shutil.rmtree("tree")
    Path("exec.sh").unlink()


STEPS: list[Step] = [
    ("nothing", lambda: None, ["status"]),
    ("folders", first_tree, ["add", "tree", "names"]),
    ("an executable", lambda: None, ["add", "exec.sh"]),
    ("hard names", lambda: None, ["add", *(f"single/{name}" for name in NAMES if name not in NOT_ALONE)]),
    ("again", lambda: None, ["add", "tree"]),
    ("changes", change, ["commit"]),
    ("an empty folder", lambda: Path("hollow").mkdir(), ["add", "hollow"]),
    ("one file of a folder", lambda: write("tree/sub/one", "one"), ["add", "tree/sub/one"]),
    ("files and folders swapped", swap, ["add", "tree"]),
    ("back", lose, ["checkout"]),
    ("another name", lambda: None, ["move", "exec.sh", "run.sh"]),
    ("into a folder", lambda: Path("inner").mkdir(), ["move", "run.sh", "inner"]),
    ("no longer", lambda: None, ["remove", "single/123.dvc"]),
]


def tell(folder: Path, command: Callable[[list[str]], None]) -> dict[str, Any]:
    """Do the steps in a folder and return what was to be seen after each."""
    before = Path.cwd()
    seen: dict[str, Any] = {}
    try:
        os.chdir(folder)
        subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
        command(["init"])
        for name, prepare, words in STEPS:
            prepare()
            command(words)
            seen[name] = look(folder)
    finally:
        os.chdir(before)
    return seen


def look(folder: Path) -> dict[str, Any]:
    """Return every metafile with its text, every object with its mode, and what lies in the workspace."""
    found: dict[str, Any] = {"metafiles": {}, "objects": {}, "workspace": {}}
    for place in sorted(folder.rglob("*")):
        name = place.relative_to(folder).as_posix()
        if name.startswith((".git/", ".dvc/tmp", ".dvc/folders")) or place.is_dir():
            continue
        if name.startswith(".dvc/cache/"):
            found["objects"][name.removeprefix(".dvc/cache/")] = f"{place.stat().st_mode & 0o777:o}"
        elif name.endswith(".dvc") or place.name == ".gitignore" or name.startswith(".dvc"):
            found["metafiles"][name] = place.read_bytes().decode()
        else:
            found["workspace"][name] = md5(place.read_bytes()).hexdigest()
    return found


def by_dvc(executable: str, room: Path) -> Callable[[list[str]], None]:
    """Return what runs DVC; `-f` where it would ask."""
    environment = os.environ | {"DVC_SITE_CACHE_DIR": str(room / "site"), "DVC_NO_ANALYTICS": "1"}

    def run(words: list[str]) -> None:
        forced = ["-f"] if words[0] == "commit" else []
        subprocess.run([executable, words[0], "-q", *forced, *words[1:]], check=True, env=environment, capture_output=True)

    return run


def by_perenne(words: list[str]) -> None:
    """Run a command of ours in this process."""
    from perenne.data.commands import data

    data.main(words, standalone_mode=False)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        made = Path(place, "work")
        made.mkdir()
        told = tell(made, by_dvc(sys.argv[1], Path(place)))
    Path(__file__).with_name("golden").joinpath("story.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
