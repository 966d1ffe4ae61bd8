"""What a version is made of, what is known to be wrong with it, and what is said about both."""

import msgspec

from perenne.core.clock import DAY
from perenne.inference import Signature

SEVERITIES = ("low", "medium", "high", "critical")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A library that a version needs.

    Attributes
    ----------
    name, version : str
        As the package index writes them.
    licence : str
        An SPDX expression; empty if what the library says of itself is none.
    said : str
        What the library says of its licence, as it stands there.
    digest : str
        SHA-256 of the record of its installed files, which has a digest of each; empty if it is not installed so.
    requires : tuple of str
        The names of the parts it needs itself.
    runtime : bool
        Whether it is needed to answer, and not only to make the package again.
    gap : str
        What could not be found out about it; empty if nothing.
    """

    name: str
    version: str
    licence: str = ""
    said: str = ""
    digest: str = ""
    requires: tuple[str, ...] = ()
    runtime: bool = True
    gap: str = ""

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose bill is written.

    Attributes
    ----------
    name, number, tree : str
        What it is, and the digest of its package.
    form, estimator : str
        What answers, and what it was made from.
    signature : Signature
        What it takes and answers.
    created : int
        When it was registered, microseconds since 1970.
    snapshot, dataset, rows : str, str, int
        The data it was trained on; empty if that is not known.
    parameters : dict
        Those of its training.
    files : dict
        SHA-256 of its files, by path.
    licence : str
        Under which it may be used itself; empty if nobody said.
    """

    name: str
    number: str
    tree: str
    form: str
    estimator: str
    signature: Signature
    created: int
    snapshot: str = ""
    dataset: str = ""
    rows: int = 0
    parameters: dict[str, str] = {}
    files: dict[str, str] = {}
    licence: str = ""


class Materials(msgspec.Struct, frozen=True, kw_only=True):
    """What a package needs: its parts by name, Python's version, and what could not be told."""

    python: str
    parts: tuple[Part, ...]
    gaps: tuple[str, ...] = ()


class Advisory(msgspec.Struct, frozen=True, kw_only=True):
    """Something known to be wrong with a part.

    Attributes
    ----------
    aliases : tuple of str
        Other ids of the same.
    severity : str
        low, medium, high or critical; empty if nobody said.
    fixed : tuple of str
        Versions without it.
    """

    id: str
    part: str
    version: str
    aliases: tuple[str, ...] = ()
    severity: str = ""
    score: float | None = None
    summary: str = ""
    fixed: tuple[str, ...] = ()

    def weighs(self, least: str) -> bool:
        """Tell whether it counts where advisories count from a severity on; one whose severity nobody said always does."""
        return not self.severity or SEVERITIES.index(self.severity) >= SEVERITIES.index(least)


class Ignored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An advisory that does not count for a while: its id, why, and the last day, such as 2027-03-31."""

    id: str
    reason: str
    until: str

    def holds(self, advisory: Advisory, now: int) -> bool:
        """Tell whether an advisory is ignored now."""
        from perenne.core.clock import parse_time

        return self.id in (advisory.id, *advisory.aliases) and now < parse_time(self.until) + DAY


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a source of advisories told: what it found, what it could not tell, and where it looked; empty if nowhere."""

    found: tuple[Advisory, ...] = ()
    gaps: tuple[str, ...] = ()
    source: str = ""


class LicencePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which licences parts may have: those allowed, if any are named, and none of those denied. Names as SPDX writes them.

    `*` stands for anything, as in ``GPL-*``. `spare` names what is allowed though it is denied otherwise, such as a compiler's
    runtime library under the exception made for it. `stated` says under which licence a part is whose own words do not tell.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ("AGPL-*", "GPL-*", "SSPL-*", "BUSL-*")
    spare: tuple[str, ...] = ("* WITH GCC-exception-*",)
    stated: dict[str, str] = {}


class BillSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the parts of versions are judged.

    Attributes
    ----------
    advisories : str
        A folder or a zip of OSV files, or the URL of an API that answers like OSV's; empty if there is none.
    hosts : tuple of str
        Each `host:port` of an API that may be private and without TLS.
    least : str
        The severity from which an advisory counts.
    ignored : tuple of Ignored
        What does not count for a while.
    licences : LicencePolicy
        Which licences parts may have.
    """

    advisories: str = ""
    hosts: tuple[str, ...] = ()
    least: str = "low"
    ignored: tuple[Ignored, ...] = ()
    licences: LicencePolicy = LicencePolicy()
