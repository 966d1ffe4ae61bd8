"""The project's code: lint by ruff, and its unit tests by pytest; each as the project itself has set it up."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.delivery.gates.model import Finding, passed, unknown
from perenne.delivery.gates.port import Setting, Untold
from perenne.delivery.gates.subject import Subject, whole
from perenne.registry import Verdict

SHOWN = 10
"""Findings that are named; all of them are counted."""

_RUFF = ("ruff.toml", ".ruff.toml")


def _folder(subject: Subject) -> Path:
    if subject.project is None:
        raise Untold("the project's folder is not at hand")
    return subject.project.root


def _run(module: str, arguments: Sequence[str], folder: Path, seconds: int) -> "subprocess.CompletedProcess[str]":
    """Run a tool of this environment in a folder. Raises Untold if it is not installed, or does not end in time."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise Untold(f"{module} is not installed here")
    try:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise Untold(f"{module} did not end within {seconds} s") from None


class Lint:
    """Ruff finds nothing in the project's code."""

    name = "lint"
    title = "the code has no finding of ruff"
    rests_on: tuple[str, ...] = ("project",)
    settings: Mapping[str, Setting] = {"seconds": 120}

    def unasked(self, subject: Subject) -> str:
        """It is asked where the project has a configuration of ruff."""
        if subject.project is None:
            return "the project's folder is not at hand"
        root = subject.project.root
        said = root / "pyproject.toml"
        if any((root / name).is_file() for name in _RUFF) or (said.is_file() and "[tool.ruff" in said.read_text()):
            return ""
        return "the project has no configuration of ruff"

    def look(self, subject: Subject) -> Finding:
        """Count what ruff finds."""
        seconds = whole(subject.setting(self, "seconds"), "seconds", self.name)
        done = _run("ruff", ["check", "--output-format", "json", "--no-cache", "."], _folder(subject), seconds)
        if done.returncode not in (0, 1):
            return unknown(f"ruff failed: {_last(done.stderr)}")
        found = json.decode(done.stdout, list[dict[str, Any]], what="ruff's answer")
        named = [f"{Path(item['filename']).name}:{item['location']['row']} {item['code']}" for item in found]
        detail = (", ".join(named[:SHOWN]) + (", …" if len(named) > SHOWN else "")) or "nothing was found"
        return passed(float(len(found)), at_most=0.0, unit="findings", detail=detail, facts={"findings": named})


class Tests:
    """The project's unit tests pass."""

    name = "tests"
    title = "the project's own tests pass"
    rests_on: tuple[str, ...] = ("project",)
    settings: Mapping[str, Setting] = {"seconds": 600}

    def unasked(self, subject: Subject) -> str:
        """It is asked where the project has tests."""
        if subject.project is None:
            return "the project's folder is not at hand"
        root = subject.project.root
        there = [
            *root.glob("test_*.py"),
            *root.glob("*_test.py"),
            *root.glob("tests/**/test_*.py"),
            *root.glob("tests/**/*_test.py"),
        ]
        return "" if there else "the project has no tests"

    def look(self, subject: Subject) -> Finding:
        """Read what pytest reports as JUnit; tests left out, or none at all, leave it unknown."""
        folder, seconds = _folder(subject), whole(subject.setting(self, "seconds"), "seconds", self.name)
        with TemporaryDirectory(prefix="perenne-tests-") as beside:
            report = Path(beside) / "junit.xml"
            done = _run("pytest", ["-q", "-p", "no:cacheprovider", f"--junit-xml={report}"], folder, seconds)
            if not report.is_file():
                return unknown(f"pytest failed: {_last(done.stderr or done.stdout)}")
            return read_junit(report.read_text())


def read_junit(text: str) -> Finding:
    """Say what a JUnit report says: fail if a test failed, unknown if one was left out or there is none.

    Raises
    ------
    Invalid
        If it is no such report.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Invalid("the report declares entities", code="gate.junit", hint="pytest writes none")
    try:
        suites = list(ElementTree.fromstring(text).iter("testsuite"))  # noqa: S314 - without entities nothing expands
    except ElementTree.ParseError as error:
        raise Invalid(f"the report is no XML: {error}", code="gate.junit", hint="pytest --junit-xml writes one") from None
    counts = {word: sum(int(suite.get(word, 0)) for suite in suites) for word in ("tests", "failures", "errors", "skipped")}
    bad = counts["failures"] + counts["errors"]
    named = [
        f"{case.get('classname', '')}.{case.get('name', '')}"
        for suite in suites
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    detail = f"{counts['tests']} tests" + (f", {bad} failed: {', '.join(named[:SHOWN])}" if bad else "")
    detail += f", {counts['skipped']} left out" if counts["skipped"] else ""
    found = passed(float(bad), at_most=0.0, unit="failed", detail=detail, facts={**counts, "failed": named})
    if found.verdict is Verdict.PASS and (counts["skipped"] or not counts["tests"]):
        return unknown(detail if counts["tests"] else "there is no test", found.facts)
    return found


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
