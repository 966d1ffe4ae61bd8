"""Ask the real DVC the questions, and write down its answers: run it by the Python of DVC's environment.

DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR=/tmp/site /path/to/dvc/bin/python tests/protocols/dvc/record_questions.py
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.resolve() / "golden"
DVC = str(Path(sys.executable).with_name("dvc"))


def main() -> None:
    from dvc.utils.serialize import load_yaml

    asked = load_yaml(FOLDER / "questions.yaml")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare(asked)
        answers = {question: answered(question) for question in asked["ask"]}
        os.chdir("/")
    text = json.dumps(answers, indent=1, ensure_ascii=False)
    (FOLDER / "questions.json").write_text(text + "\n", encoding="utf-8")


def write(files: dict[str, str]) -> None:
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments], check=True)


def prepare(asked: dict[str, Any]) -> None:
    git("init", "-q", "-b", "main")
    subprocess.run([DVC, "init", "-q"], check=True)
    write(asked["first"])
    subprocess.run([DVC, "repro", "-P", "-q"], check=True)
    git("add", "-A")
    git("commit", "-qm", "one")
    git("tag", "one")
    write({"params.yaml": asked["second"]["params.yaml"]})
    subprocess.run([DVC, "repro", "-P", "-q"], check=True)
    write(asked["second"])
    git("add", "-A")
    git("commit", "-qm", "two")
    git("tag", "two")
    write({"m.json": '{"acc":0.875,"deep":{"loss":1.2,"n":4}}', "params.yaml": "lr: 0.2\ntrain: {depth: 4, seeds: [1]}\n"})
    os.unlink("x.e")


def answered(question: str) -> dict[str, Any]:
    done = subprocess.run([DVC, *shlex.split(question)], capture_output=True, text=True, check=False)
    return {
        "code": done.returncode,
        "out": done.stdout,
        "error": done.stderr,
        "dvc.yaml": Path("dvc.yaml").read_text("utf-8"),
        ".gitignore": Path(".gitignore").read_text("utf-8"),
    }


if __name__ == "__main__":
    main()
