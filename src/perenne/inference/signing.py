"""Signing what is packaged, and telling whose signature it is: elliptic curve keys, and certificates.

Cryptography is that of the `cryptography` library (the extra `sign`; pyOpenSSL of the same extra walks chains of
certificates). It costs 25 ms and 12 MB, so a process that answers imports none of it: whoever starts the process verifies, and
the verdict is bound to the digest of the package's manifest, which the process checks with hashes alone.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from perenne.core.errors import Invalid, PerenneError, Unavailable
from perenne.core.hashing import digest_bytes, digest_file
from perenne.formats.model_signing import Bundle, differences, encoded, read_bundle, read_statement, statement, write_bundle

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

CURVES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
SHORT = 16
_NAMED_FILES = 3


class SignatureState(StrEnum):
    """What is to be said of a signature. Only `valid` is good; `unknown` is what could not be looked at."""

    VALID = "valid"
    UNSIGNED = "unsigned"
    UNTRUSTED = "untrusted"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a package's signature.

    Attributes
    ----------
    state : SignatureState
        Valid, or why not.
    own : bool
        Whether the key is this registry's own.
    key, signer : str
        The key's id, and how it is called here; empty if not known.
    detail : str
        One sentence for people; files that are not as they were signed by their names.
    """

    state: SignatureState
    own: bool = False
    key: str = ""
    signer: str = ""
    detail: str = ""

    @property
    def valid(self) -> bool:
        """Whether files and key are right."""
        return self.state is SignatureState.VALID


class TrustedKey(msgspec.Struct, frozen=True):
    """Whose signatures count: a public key, or the certificate of an authority, in PEM form.

    Attributes
    ----------
    id : str
        SHA-256 of the PEM text, by which bundles name a key.
    kind : str
        `own`, another's `key`, or the `certificate` of an authority.
    """

    id: str
    kind: Literal["own", "key", "certificate"]
    name: str
    pem: str


class SigningKey:
    """A private key that signs packages.

    Parameters
    ----------
    private : EllipticCurvePrivateKey
        On one of the curves P-256, P-384 and P-521.
    """

    def __init__(self, private: "EllipticCurvePrivateKey") -> None:
        self._private = private
        self.pem = public_pem(private.public_key())
        self.id = digest_bytes(self.pem.encode())

    @classmethod
    def make(cls) -> "SigningKey":
        """Draw a key on P-256."""
        _require()
        from cryptography.hazmat.primitives.asymmetric import ec

        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, data: bytes, password: str = "") -> "SigningKey":
        """Read a key in PEM form. Raises Invalid if it is none, or on another curve."""
        _require()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(data, password.encode() or None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise _no_key("it is no private key in PEM form, or its password is wrong") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
            raise _no_key("it is not on one of the curves P-256, P-384 and P-521")
        return cls(key)

    def to_pem(self) -> bytes:
        """Write the private key."""
        from cryptography.hazmat.primitives import serialization as form

        return self._private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())

    def sign(self, name: str, files: Mapping[str, str]) -> bytes:
        """Return the bundle that signs the files of a folder, given by path and SHA-256."""
        payload = statement(name, files)
        return write_bundle(Bundle(payload, self._private.sign(encoded(payload), _ecdsa(self._private.curve.name)), self.id))


def read_public(data: bytes, name: str, *, own: bool = False) -> TrustedKey:
    """Read a public key, or a certificate of an authority, in PEM form. Raises Invalid if it is neither."""
    _require()
    from cryptography import x509

    if b"BEGIN CERTIFICATE" in data:
        from cryptography.hazmat.primitives.serialization import Encoding

        try:
            certificates = x509.load_pem_x509_certificates(data)
        except ValueError:
            raise _no_key("it is no certificate in PEM form") from None
        pem = "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)
        return TrustedKey(digest_bytes(pem.encode()), "certificate", name, pem)
    pem = public_pem(_public_key(data))
    return TrustedKey(digest_bytes(pem.encode()), "own" if own else "key", name, pem)


def verify(data: bytes | None, files: Mapping[str, str], trusted: Sequence[TrustedKey]) -> Signed:
    """Judge a signature over files.

    Parameters
    ----------
    data : bytes or None
        The bundle; None if there is none.
    files : mapping
        SHA-256 of every file by its path.
    trusted : sequence of TrustedKey
        Whose signatures count.
    """
    if data is None:
        return Signed(state=SignatureState.UNSIGNED, detail="nobody has signed it")
    try:
        bundle = read_bundle(data)
        signed = read_statement(bundle.payload)
        key = _signer(bundle, trusted)
    except Unavailable as error:
        return Signed(state=SignatureState.UNKNOWN, detail=error.message)
    except PerenneError as error:
        return Signed(state=SignatureState.BROKEN, detail=error.message)
    if key is None:
        by = f"key {bundle.hint[:SHORT]}" if bundle.hint else "certificates"
        return Signed(
            state=SignatureState.UNTRUSTED, key=bundle.hint, detail=f"it is signed with {by}, which is not trusted here"
        )
    found, own = differences(signed, files), key.kind == "own"
    if found:
        more = f" and {len(found) - _NAMED_FILES} more" if len(found) > _NAMED_FILES else ""
        said = f"not as signed: {', '.join(found[:_NAMED_FILES])}{more}"
        return Signed(state=SignatureState.BROKEN, own=own, key=key.id, signer=key.name, detail=said)
    whose = "this registry's key" if own else key.name
    return Signed(
        state=SignatureState.VALID, own=own, key=key.id, signer=key.name, detail=f"{len(files)} files signed with {whose}"
    )


def folder_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder by its path. Raises Invalid for links and whatever is no plain file."""
    found: dict[str, str] = {}
    for root, folders, names in os.walk(folder):
        for name in (*names, *folders):
            path = Path(root, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise Invalid(f"{name} is not a plain file", code="signature.file", hint="links and devices are not signed")
        found |= {Path(root, name).relative_to(folder).as_posix(): digest_file(Path(root, name)) for name in names}
    return found


def available() -> bool:
    """Tell whether this installation can sign and verify."""
    try:
        _require()
    except Unavailable:
        return False
    return True


def _signer(bundle: Bundle, trusted: Iterable[TrustedKey]) -> TrustedKey | None:
    """Return by whose key a bundle is signed; None if it is nobody's we trust. Raises Invalid if the signature is wrong."""
    _require()
    if bundle.chain:
        return next((key for key in trusted if key.kind == "certificate" and _certified(bundle, key)), None)
    keys = [key for key in trusted if key.kind != "certificate" and bundle.hint in ("", key.id)]
    for key in keys:
        if _is_signed(_public_key(key.pem.encode()), bundle):
            return key
    if keys and bundle.hint:
        raise Invalid(
            f"the signature is not that of key {bundle.hint[:SHORT]}", code="signature.wrong", hint="sign the version again"
        )
    return None


def _is_signed(public: "EllipticCurvePublicKey", bundle: Bundle) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(bundle.signature, encoded(bundle.payload), _ecdsa(public.curve.name))
    except InvalidSignature:
        return False
    return True


def _certified(bundle: Bundle, authority: TrustedKey) -> bool:
    """Tell whether the signer's certificate leads to an authority, as it did when it began to be valid. Raises Invalid."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        from OpenSSL import crypto
    except ImportError:
        raise _lacking("pyOpenSSL") from None
    try:
        first, *rest = [x509.load_der_x509_certificate(der) for der in bundle.chain]
        public = first.public_key()
    except ValueError:
        raise Invalid("a certificate of the signature cannot be read", code="signature.certificate", hint="sign again") from None
    store = crypto.X509Store()
    for certificate in x509.load_pem_x509_certificates(authority.pem.encode()):
        store.add_cert(crypto.X509.from_cryptography(certificate))
    store.set_time(first.not_valid_before_utc)
    between = [crypto.X509.from_cryptography(certificate) for certificate in rest]
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(first), between).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in CURVES or not _may_sign(first):
        raise Invalid("the signer's certificate is not meant for signing", code="signature.certificate", hint="use another one")
    if not _is_signed(public, bundle):
        raise Invalid("the signature is not that of its certificate", code="signature.wrong", hint="sign the version again")
    return True


def _may_sign(certificate: Any) -> bool:
    from cryptography import x509

    try:
        if certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return x509.oid.ExtendedKeyUsageOID.CODE_SIGNING in usage


def public_pem(public: "EllipticCurvePublicKey") -> str:
    """Write a public key in the form whose SHA-256 is its id."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _public_key(data: bytes) -> "EllipticCurvePublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise _no_key("it is no public key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise _no_key("it is not on one of the curves P-256, P-384 and P-521")
    return key


def _ecdsa(curve: str) -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(getattr(hashes, CURVES[curve])())


def _require() -> None:
    try:
        import cryptography.hazmat  # noqa: F401
    except ImportError:
        raise _lacking("cryptography") from None


def _lacking(library: str) -> Unavailable:
    return Unavailable(f"signatures need the library {library}", code="signature.library", hint="pip install 'perenne[sign]'")


def _no_key(why: str) -> Invalid:
    return Invalid(f"the key cannot be used: {why}", code="signature.key", hint="openssl ecparam -name prime256v1 -genkey -noout")
