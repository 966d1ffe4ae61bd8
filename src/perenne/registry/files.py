"""The files of a version that a client registered: what they were then, and whether they are still the same."""

from perenne import tracking
from perenne.registry.model import Version, VersionForm
from perenne.storage.transaction import Transaction


def digest_at(tx: Transaction, root: str) -> str:
    """Return the digest of the files at a place of the artifact store; empty if none lie there."""
    return tracking.artifacts.fingerprint(tx, root) if root else ""


def unchanged(tx: Transaction, version: Version) -> bool:
    """Tell whether a version's files are those that were registered, as far as that can be known."""
    return version.form is not VersionForm.LOGGED or not version.tree or digest_at(tx, version.root) == version.tree
