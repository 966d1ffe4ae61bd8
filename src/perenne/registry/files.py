"""The files of a version: what they are when it is registered, and whether they are still the same."""

from perenne.registry.model import Version, VersionForm
from perenne.storage.transaction import Transaction


def digest_at(tx: Transaction, root: str) -> str:
    """Return the digest of the files below a place of this installation's store; empty if they do not lie there."""
    return ""


def unchanged(tx: Transaction, version: Version) -> bool:
    """Tell whether a version's files are those that were registered, as far as that can be known."""
    return version.form is not VersionForm.LOGGED or not version.tree or digest_at(tx, version.root) == version.tree
