"""Which images that answer people are out of date: older libraries or another base than there are, or something known wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from perenne import serving
from perenne.auth.principals import Principal
from perenne.auth.roles import sees
from perenne.core.errors import Invalid, PerenneError
from perenne.delivery.images import bases, host, libraries, records
from perenne.delivery.images.model import Change, Component, Image, changes
from perenne.delivery.images.registries import Registry, Way
from perenne.formats import oci
from perenne.registry import Evidence, Verdict
from perenne.storage.transaction import Transaction

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

NEWER, SAME, UNKNOWN = "newer", "same", "unknown"


class Age(msgspec.Struct, frozen=True):
    """How an image that answers people stands.

    Attributes
    ----------
    version, deployment, digest : str
        Which.
    base : str
        `newer` if there is a newer base of that name, `same`, or `unknown` with the reason in `problem`.
    older : list of Change
        Libraries that are older in the image than they could be.
    vulnerabilities : Evidence
        What is known to be wrong with what is in it.
    problem : str
        Why something is not known.
    """

    version: str
    deployment: str
    digest: str
    base: str
    older: list[Change]
    vulnerabilities: Evidence
    problem: str = ""

    @property
    def outdated(self) -> bool:
        """Whether it is to be made again."""
        return self.base == NEWER or bool(self.older) or self.vulnerabilities.verdict is Verdict.FAIL


def look(workspace: "Workspace", actor: Principal, than: Mapping[str, str], way: Way = Way()) -> list[Age]:  # noqa: B008
    """Look at the images that deployments run: those rolled out, or else the newest of their champions.

    Parameters
    ----------
    than : mapping
        Versions of libraries that there are; those that are installed here if empty.
    way : Way
        How registries are asked for newer bases.
    """
    with workspace.database.read() as tx:
        answering = running(tx, actor)
    known = dict(than) or installed()
    now = workspace.clock.now()
    runtime = tuple(host.runtime().components) if any(one.base == bases.HOST for _, one in answering) else ()
    found = []
    for deployment, image in answering:
        base, problem = _base(image, runtime, way)
        found.append(
            Age(image.version, deployment, image.digest, base, older(image, known), vulnerabilities(image, now), problem)
        )
    return found


def running(tx: Transaction, actor: Principal) -> list[tuple[str, Image]]:
    """Return the image of each deployment that the actor may see, if it has one."""
    chosen = {one.deployment: one for one in records.rolled_out(tx)}
    served = [one for one in serving.service.deployments(tx) if sees(actor, one.project)]
    others = [one.champion.version for one in served if one.name not in chosen]
    newest: dict[str, Image] = {}
    for image in records.images_of(tx, others):
        newest.setdefault(image.version, image)
    pairs = [(one.name, chosen.get(one.name) or newest.get(one.champion.version)) for one in served]
    return [(name, image) for name, image in pairs if image is not None]


def installed() -> dict[str, str]:
    """Return the versions of the libraries that are installed here: what an image made now would hold."""
    from importlib.metadata import distributions

    places = [str(path) for path in libraries.here().folders]
    return {str(canonicalize_name(one.name)): one.version for one in reversed(list(distributions(path=places)))}


def read_lock(path: Path) -> dict[str, str]:
    """Read versions from a lock or a list of requirements: lines such as `numpy==2.4.6`. Raises Invalid if there is none."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        name, exact, rest = line.partition("==")
        if exact and not line[:1].isspace() and not line.startswith("#"):
            found[canonicalize_name(name.partition("[")[0].strip())] = rest.split()[0].rstrip("\\;").strip()
    if not found:
        raise Invalid(f"{path.name} names no library with its version", code="image.lock", hint="lines such as numpy==2.4.6")
    return found


def older(image: Image, known: Mapping[str, str]) -> list[Change]:
    """Return the libraries of an image that are older than those known."""
    mine = [one for one in image.components if one.kind == "pypi" and one.name in known]
    return [Change(one.name, one.kind, one.version, known[one.name]) for one in mine if is_older(one.version, known[one.name])]


def is_older(one: str, other: str) -> bool:
    """Tell whether a version is older than another one; False if one of them is none.

    >>> is_older("2.9", "2.10"), is_older("2.10", "2.10"), is_older("x", "2")
    (True, False, False)
    """
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return False


def _base(image: Image, runtime: tuple[Component, ...], way: Way) -> tuple[str, str]:
    """Tell whether there is a newer base of the same name."""
    if image.base == bases.HOST:
        before = tuple(one for one in image.components if one.kind != "pypi")
        return (NEWER if changes(before, runtime) else SAME), ""
    try:
        reference = oci.parse_reference(image.base)
    except Invalid:
        return UNKNOWN, "the base is a folder or a file: name it to `perenne package --rebuild` if there is a newer one"
    if reference.digest:
        return SAME, ""
    try:
        headers = {"Accept": ", ".join(oci.ACCEPTED)}
        answer = Registry(reference, way).ask("HEAD", f"manifests/{reference.tag}", (200,), headers=headers)
    except PerenneError as error:
        return UNKNOWN, error.message
    return (SAME if answer.headers.get("docker-content-digest") == image.base_digest else NEWER), ""


def vulnerabilities(image: Image, now: int) -> Evidence:
    """Tell what is known to be wrong with the libraries of an image."""
    from perenne.delivery.bill import checking
    from perenne.delivery.bill.model import Materials, Part

    parts = tuple(Part(name=one.name, version=one.version) for one in image.components if one.kind == "pypi")
    python = next((one.version for one in image.components if one.name == "python"), "")
    return checking.vulnerabilities(Materials(python=python, parts=parts), checking.settings(), now)


def exit_code(found: list[Age]) -> int:
    """Return 6 if an image is out of date, 7 if a source of advisories could not tell, 0 otherwise."""
    from perenne.delivery.bill import checking

    if any(age.outdated for age in found):
        return 6
    asked = bool(checking.settings().advisories)
    return 7 if asked and any(age.vulnerabilities.verdict is Verdict.UNKNOWN for age in found) else 0
