"""Thin pipelines for forges: a few lines that call `perenne`; whatever is decided is decided by the command."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from perenne.core.errors import Conflict, Invalid, NotFound

LONGEST = 30
"""Lines a pipeline may have: what does not fit belongs into the command."""

DEPENDENCIES = ("requirements.txt", "requirements.lock", "pyproject.toml")
"""Files that may name a project's dependencies; the first that is there counts."""

_GITHUB = """\
# Written by `perenne ci init --github`. What is asked of a version stands in project.py or gates.yaml, not here.
name: gates
on: [push, pull_request]
permissions: {contents: read, id-token: write, packages: write}
env:
  PERENNE_DATABASE: ${{ secrets.PERENNE_DATABASE }}
  PERENNE_OBJECTS: ${{ secrets.PERENNE_OBJECTS }}
jobs:
  gates:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12", cache: pip, cache-dependency-path: "%(dependencies)s"}
      - run: %(install)s
      - run: perenne run
      - run: perenne gate --junit gates.xml --markdown gates.md
        id: gates
      - uses: actions/upload-artifact@v4
        if: always()
        with: {name: gates, path: "gates.*"}
      - run: perenne package "${{ steps.gates.outputs.version }}" --to "${{ vars.PERENNE_IMAGE }}:${{ github.sha }}"
        if: github.ref_name == github.event.repository.default_branch && vars.PERENNE_IMAGE != ''
"""

_GITLAB = """\
# Written by `perenne ci init --gitlab`. What is asked of a version stands in project.py or gates.yaml, not here.
gates:
  image: python:3.12-slim
  timeout: 1h
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  variables: {PIP_CACHE_DIR: $CI_PROJECT_DIR/.cache/pip}
  cache:
    key: {files: ["%(dependencies)s"]}
    paths: [.cache/pip]
  id_tokens:
    PERENNE_ID_TOKEN: {aud: $CI_SERVER_URL}
  script:
    - %(install)s
    - perenne run
    - perenne gate --junit gates.xml --markdown gates.md --output gates.env
    - . ./gates.env
    - test -z "$PERENNE_IMAGE" || perenne package "$version" --to "$PERENNE_IMAGE:$CI_COMMIT_SHORT_SHA"
  artifacts:
    when: always
    paths: [gates.xml, gates.md]
    reports: {junit: gates.xml}
"""


class Forge(msgspec.Struct, frozen=True):
    """A forge: where its pipeline lies within a repository, and how it reads."""

    path: str
    template: str


FORGES: Mapping[str, Forge] = {
    "github": Forge(".github/workflows/gates.yml", _GITHUB),
    "gitlab": Forge(".gitlab-ci.yml", _GITLAB),
}


class Written(msgspec.Struct, frozen=True):
    """A pipeline: its file, what became of it (written, unchanged), and what its cache is keyed on."""

    file: str
    state: str
    dependencies: str


def write_workflow(folder: Path, forge: str, *, dependencies: str = "", force: bool = False) -> Written:
    """Write the pipeline of a forge into a repository; doing it again changes nothing.

    Parameters
    ----------
    dependencies : str
        The file that names the project's dependencies; the first of `DEPENDENCIES` that is there if not given.

    Raises
    ------
    NotFound
        If no file names the dependencies.
    Conflict
        If another pipeline lies there, and it is not to be replaced.
    """
    file, found = folder / FORGES[forge].path, find_dependencies(folder, dependencies)
    text = FORGES[forge].template % {"dependencies": found, "install": install_command(found)}
    if file.is_file() and file.read_text() == text:
        return Written(FORGES[forge].path, "unchanged", found)
    if file.exists() and not force:
        raise Conflict(
            f"{FORGES[forge].path} is there already, and reads otherwise", code="ci.exists", hint="--force replaces it"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return Written(FORGES[forge].path, "written", found)


def find_dependencies(folder: Path, named: str) -> str:
    """Return the file that names the dependencies, relative to the repository."""
    if named:
        plain = named.replace("/", "").replace(".", "").replace("-", "").replace("_", "")
        if not plain.isalnum() or named.startswith(("/", "-")) or ".." in named.split("/"):
            raise Invalid(f"{named[:100]!r} cannot stand in a pipeline", code="ci.dependencies", hint="a path in the repository")
        wanted: tuple[str, ...] = (named,)
    else:
        wanted = DEPENDENCIES
    for name in wanted:
        if (folder / name).is_file():
            return name
    raise NotFound(
        f"no {' or '.join(wanted)} in {folder}: nothing says what is to be installed",
        code="ci.dependencies",
        hint="write requirements.txt with perenne in it, or name another file by --dependencies",
    )


def install_command(dependencies: str) -> str:
    """Return what installs a project's dependencies.

    >>> install_command("requirements.txt"), install_command("pyproject.toml")
    ('pip install -r requirements.txt', 'pip install .')
    """
    return "pip install ." if Path(dependencies).name == "pyproject.toml" else f"pip install -r {dependencies}"
