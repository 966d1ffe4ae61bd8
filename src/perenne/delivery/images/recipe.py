"""A Dockerfile and its context: the same service as our image, for those who build with other tools and on bases of their own.

The libraries are pinned in `requirements.txt` and installed in a stage of their own, from an index or from wheels beside the
file; the last stage has neither pip nor a cache. Both stages run Python directly, so that a base needs no shell.
"""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from perenne import serving
from perenne.core.errors import Conflict
from perenne.core.json import encode
from perenne.delivery.images import application, building, facts, libraries, making
from perenne.delivery.images.making import Choice
from perenne.registry import Version

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

_IGNORE = "**/__pycache__\n**/*.pyc\n"
_TEMPLATE = """\
# {version}, by perenne {perenne}. Build: docker build -t {name} .
# BUILDER needs Python {python} with pip; BASE Python {python} alone. Name both by digest to get the same image each time.
ARG BUILDER={base}
ARG BASE={base}

FROM ${{BUILDER}} AS libraries
COPY requirements.txt {wheels_from}/build/
RUN ["python3", "-m", "pip", "install", "--no-cache-dir", "--no-compile", "--no-deps", {source}"--target", \
"/{libraries}", "-r", "/build/requirements.txt"]

FROM ${{BASE}}
COPY --from=libraries /{libraries} /{libraries}
COPY application /{application}
COPY model /{model}
{environment}
{labels}
USER {user}
WORKDIR /tmp
EXPOSE {port}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
CMD ["python3", "-P", "-m", "perenne.app.container", "health"]
ENTRYPOINT ["python3", "-P", "-m", "perenne.app.container"]
"""


def write(workspace: "Workspace", version: Version, folder: Path, choice: Choice) -> list[str]:
    """Write a Dockerfile with all it copies into a new folder, and return what was written.

    Parameters
    ----------
    choice : Choice
        `bases` names the image that both stages begin with; `wheels` are put beside the file and installed from.

    Raises
    ------
    Conflict
        If the folder holds something.
    Invalid
        If the version cannot be served from an image.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder.name} holds something", code="image.folder", hint="name a new folder")
    making.require_files(version)
    name = choice.name or version.project
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as temporary:
        inside = Path(temporary, "context")
        release = serving.release(workspace, making.deployment_of(version, name), folder=inside / "model")
        _write_parts(inside, release / "versions" / version.tree, choice)
        (inside / "Dockerfile").write_text(dockerfile(version, name, choice, making.commit_of(workspace, version)))
        (inside / ".dockerignore").write_text(_IGNORE)
        _open_to_all(inside)
        if folder.exists():
            folder.rmdir()
        inside.rename(folder)
    return sorted(path.name for path in folder.iterdir())


def _open_to_all(folder: Path) -> None:
    """Let everybody read what is copied: the image keeps the modes, and is not run by whoever wrote the files."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _write_parts(inside: Path, package: Path, choice: Choice) -> None:
    """Write what is copied: perenne, the pinned libraries, and wheels of them if there are."""
    for content in application.contents("application"):
        target = inside / content.entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content.source is not None:
            shutil.copyfile(content.source, target)
    here = libraries.here()
    with tempfile.TemporaryDirectory(prefix="perenne-wheels-") as temporary:
        place = (
            here if choice.wheels is None else libraries.unpack_wheels(choice.wheels, Path(temporary), here.python, here.machine)
        )
        signed = any((inside / "model" / "signatures").glob("*.json"))
        chosen = libraries.of_package(package, place, signed=signed)
        pinned = [f"{one.name}=={one.version}" for one in chosen]
    (inside / "requirements.txt").write_text("\n".join(pinned) + "\n")
    if choice.wheels is not None:
        (inside / "wheels").mkdir()
        for wheel in sorted(choice.wheels.glob("*.whl")):
            if libraries.fits(wheel.name, here.python, here.machine):
                shutil.copyfile(wheel, inside / "wheels" / wheel.name)


def dockerfile(version: Version, name: str, choice: Choice, commit: str) -> str:
    """Return the text of a Dockerfile."""
    import perenne

    python = libraries.here().python
    labels = facts.labels(
        name=name, version=version.id, tree=version.tree, created=version.created, commit=commit, signature="", base="",
        base_digest="", layers=(),
    )  # fmt: skip
    variables = dict(text.split("=", 1) for text in building.environment())
    variables.pop("PATH")  # the base knows where its programs are
    return _TEMPLATE.format(
        version=version.id,
        perenne=perenne.__version__,
        name=name,
        python=python,
        base=choice.bases[0] if choice.bases else f"docker.io/library/python:{python}-slim",
        wheels_from="wheels " if choice.wheels is not None else "",
        source='"--no-index", "--find-links", "/build", ' if choice.wheels is not None else "",
        libraries=building.LIBRARIES,
        application=building.APPLICATION,
        model=building.MODEL,
        environment="\n".join(f"ENV {key}={_quoted(value)}" for key, value in variables.items()),
        labels="\n".join(f"LABEL {key}={_quoted(value)}" for key, value in labels.items()),
        user=building.USER,
        port=building.PORT,
    )


def _quoted(text: str) -> str:
    """Quote a value as Dockerfiles have it: nothing in it is taken for a variable.

    >>> print(_quoted('costs $5 "net"'))
    "costs \\$5 \\"net\\""
    """
    return encode(text).decode().replace("$", "\\$")
