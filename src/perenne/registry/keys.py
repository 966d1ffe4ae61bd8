"""The private key with which this installation signs: made when it is first needed, in a file that only its owner reads."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from perenne import inference
from perenne.core.errors import Conflict, Unavailable
from perenne.storage.files import sync_file, sync_folder, temporary_file

if TYPE_CHECKING:
    from perenne.inference.signing import SigningKey

VARIABLE = "PERENNE_SIGNING_KEY"
PASSWORD = "PERENNE_SIGNING_KEY_PASSWORD"  # noqa: S105
FILE = "signing.pem"
_BEGIN = "-----BEGIN"


def signing_key(home: Path, environment: Mapping[str, str] = os.environ) -> "SigningKey":
    """Return the key of this installation: the setting's (a file, or the PEM text itself), or its own, made if there is none.

    Raises
    ------
    Invalid
        If it is no key that can sign.
    Unavailable
        If it cannot be read or made, or the library is missing.
    """
    given, password = environment.get(VARIABLE, ""), environment.get(PASSWORD, "")
    if given.lstrip().startswith(_BEGIN):
        return inference.signing.SigningKey.read(given.encode(), password)
    path = Path(given) if given else home / FILE
    try:
        if given or path.exists():
            return inference.signing.SigningKey.read(path.read_bytes(), password if given else "")
        return inference.signing.SigningKey.read(_put(path, inference.signing.SigningKey.make().to_pem(), replace=False))
    except OSError as error:
        hint = f"may this process read it? {VARIABLE} names another one"
        raise Unavailable(f"the signing key cannot be used: {error.strerror}", code="signature.key_file", hint=hint) from error


def make_another(home: Path, environment: Mapping[str, str] = os.environ) -> "SigningKey":
    """Make a new key in place of the present one.

    Raises
    ------
    Conflict
        If the key is given by the setting.
    """
    if environment.get(VARIABLE):
        raise Conflict(
            f"the signing key is given by {VARIABLE}",
            code="signature.key_given",
            hint="give another key there: it is taken over when something is signed next",
        )
    made = inference.signing.SigningKey.make()
    try:
        _put(home / FILE, made.to_pem(), replace=True)
    except OSError as error:
        raise Unavailable(
            f"the signing key cannot be written: {error.strerror}", code="signature.key_file", hint="is the disk full?"
        ) from error
    return made


def _put(path: Path, data: bytes, *, replace: bool) -> bytes:
    """Write a key whole; unless it is to be replaced, one that another process was quicker with stays."""
    with temporary_file(path.parent) as beside:
        beside.chmod(0o600)
        beside.write_bytes(data)
        sync_file(beside)
        if replace:
            beside.replace(path)
        else:
            try:
                os.link(beside, path)
            except FileExistsError:
                return path.read_bytes()
    sync_folder(path.parent)
    return data
