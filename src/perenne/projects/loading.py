"""Reading a project from its folder: `project.py` is run as a module of its own, with the folder on the import path."""

import hashlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.projects.declarations import Project
from perenne.projects.gates import FILE as GATES
from perenne.projects.gates import merged, read_gates

FILE = "project.py"


@dataclass(frozen=True)
class LoadedProject:
    """A project and where it was read from; `origin` is its own folder, if it was read from a copy."""

    project: Project
    root: Path
    origin: str = ""

    @property
    def home(self) -> str:
        """The folder the project belongs to."""
        return self.origin or str(self.root)

    @property
    def file(self) -> Path:
        """The file that declares it."""
        return self.root / FILE


def load_project(folder: Path, *, origin: str = "") -> LoadedProject:
    """Run a folder's `project.py` and return what it declares; `origin` is the folder it is a copy of.

    Raises
    ------
    NotFound
        If there is no such file.
    Invalid
        If it fails, or declares no project or several; the message names the line.
    """
    file = folder / FILE
    if not file.is_file():
        raise NotFound(
            f"no {FILE} in {folder}",
            code="project.not_found",
            hint="`perenne init --data FILE --target COLUMN` writes one; or go to the project's folder",
        )
    root = file.parent.resolve()
    name = f"perenne_project_{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        spec.loader.exec_module(module)
    except PerenneError as error:
        error.message = f"{FILE} line {_line(error, file)}: {error.message}"
        raise
    except Exception as error:
        raise Invalid(
            f"{FILE} line {_line(error, file)}: {type(error).__name__}: {error}",
            code="project.broken",
            hint="run it by hand with `python project.py` to see the whole traceback",
        ) from error
    found = [value for value in vars(module).values() if isinstance(value, Project)]
    if len(found) != 1:
        raise Invalid(f"{FILE} makes {len(found)} projects", code="project.count", hint="one: project = perenne.Project(…)")
    if (root / GATES).is_file():
        found[0].gates = merged(found[0].gates, read_gates((root / GATES).read_text()))
    return LoadedProject(found[0], root, origin)


def _line(error: BaseException, file: Path) -> int | str:
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return frames[-1].lineno or "?" if frames else "?"
