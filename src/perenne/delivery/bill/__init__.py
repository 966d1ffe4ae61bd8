"""What a version is made of: its bill of materials, what is known to be wrong with the parts, and their licences.

============ ===============================================================================================
`model`      Structs: parts, advisories, what is ignored until when, which licences are allowed
`gathering`  from the libraries that a package records to all they need, with hashes and licences
`licences`   what a distribution says of its licence as an SPDX expression, and whether that is allowed
`cyclonedx`  the parts as CycloneDX 1.6, with the model as a component of its own, checked against the schema
`advisories` a source of advisories: OSV files in a folder or a zip, or an API that answers like OSV's
`severity`   CVSS vectors to a score
`subject`    a version of the registry, with what it needs
`checking`   the three of them as evidence: `check`
============ ===============================================================================================

Unknown is not pass: parts whose versions or licences nobody can tell, advisories that cannot be read, a source that is not
configured or does not answer, all make unknown, with a count.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perenne.delivery.bill.checking import check as check
    from perenne.delivery.bill.checking import settings as settings
    from perenne.delivery.bill.cyclonedx import write as write
    from perenne.delivery.bill.gathering import gather as gather
    from perenne.delivery.bill.subject import of_version as of_version

_HOMES = {"check": "checking", "gather": "gathering", "of_version": "subject", "settings": "checking", "write": "cyclonedx"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
