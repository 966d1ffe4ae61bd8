"""Ask the real DVC to do the scenarios, and write down what it left behind: run it by the Python of DVC's environment.

DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR=/tmp/site /path/to/dvc/bin/python tests/protocols/dvc/record_scenarios.py
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.resolve() / "golden"
DVC = str(Path(sys.executable).with_name("dvc"))


def main() -> None:
    from dvc.utils.serialize import load_yaml

    scenarios = load_yaml(FOLDER / "scenarios.yaml")
    answers = {name: recorded(steps) for name, steps in scenarios.items()}
    text = json.dumps(answers, indent=1, ensure_ascii=False)
    (FOLDER / "scenarios.json").write_text(text + "\n", encoding="utf-8")


def recorded(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for command in (["git", "init", "-q"], [DVC, "init", "-q"]):
            subprocess.run(command, check=True)
        for step in steps:
            if "repro" in step:
                answers.append(repro(step["repro"]))
            else:
                prepare(step)
        os.chdir("/")
    return answers


def prepare(step: dict[str, Any]) -> None:
    for path, text in step.get("write", {}).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    for path in step.get("remove", []):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def repro(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run([DVC, "repro", *arguments], capture_output=True, text=True, check=False)
    status = subprocess.run([DVC, "status", "--json"], capture_output=True, text=True, check=True)
    said = done.stdout.partition("\nTo track the changes with git")[0]
    last = ("Use `dvc push`", "Data and pipelines")
    said = "".join(line for line in said.splitlines(keepends=True) if not line.startswith(last))
    return {"code": done.returncode, "said": said.strip("\n"), "status": json.loads(status.stdout), "files": files()}


def files() -> dict[str, str]:
    """Every file but Git's and what DVC keeps for itself; objects are known by their names."""
    found = {}
    for base, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if name not in (".git", "tmp"))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(base, name))
            found[path] = "" if "/files/md5/" in path else Path(path).read_text(encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
