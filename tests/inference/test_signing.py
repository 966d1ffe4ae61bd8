"""Signatures, beside those of the real `model_signing` library: each verifies what the other signed."""

import datetime
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from perenne.core.errors import Invalid
from perenne.inference.signing import (
    SignatureState,
    SigningKey,
    TrustedKey,
    available,
    folder_files,
    read_public,
    verify,
)

FIRST_DAY = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "late"
    (made / "monitor").mkdir(parents=True)
    (made / "package.json").write_text("{}")
    (made / "model.onnx").write_bytes(bytes(range(256)))
    (made / "monitor" / "reference.npz").write_bytes(b"reference")
    return made


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.make()


def own(key: SigningKey) -> TrustedKey:
    return TrustedKey(key.id, "own", "us", key.pem)


def test_what_is_signed_is_valid_and_tampering_is_told_by_name(folder: Path, key: SigningKey) -> None:
    bundle = key.sign("late@1", folder_files(folder))
    found = verify(bundle, folder_files(folder), [own(key)])
    assert found.valid and found.own and found.key == key.id and "3 files" in found.detail
    (folder / "model.onnx").write_bytes(b"another model")
    (folder / "run.py").write_text("print()")
    found = verify(bundle, folder_files(folder), [own(key)])
    assert found.state is SignatureState.BROKEN and found.detail == "not as signed: model.onnx was changed, run.py was added"


def test_nobodys_and_strangers_signatures_are_not_valid(folder: Path, key: SigningKey) -> None:
    files, stranger = folder_files(folder), SigningKey.make()
    assert verify(None, files, [own(key)]).state is SignatureState.UNSIGNED
    found = verify(stranger.sign("late@1", files), files, [own(key)])
    assert found.state is SignatureState.UNTRUSTED and stranger.id[:16] in found.detail
    forged = stranger.sign("late@1", files).replace(stranger.id.encode(), key.id.encode())
    assert verify(forged, files, [own(key)]).state is SignatureState.BROKEN
    assert verify(b"{}", files, [own(key)]).state is SignatureState.BROKEN


def test_links_are_not_signed(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "package.json")
    with pytest.raises(Invalid, match="link is not a plain file"):
        folder_files(folder)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_our_signature_verifies_with_the_real_library(folder: Path, tmp_path: Path, curve: ec.EllipticCurve) -> None:
    from model_signing import verifying

    private = ec.generate_private_key(curve)
    key = SigningKey.read(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "late.sig").write_bytes(key.sign("late@1", folder_files(folder)))
    (tmp_path / "key.pub").write_text(key.pem)
    config = verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "key.pub")
    config.verify(folder, tmp_path / "late.sig")
    (folder / "model.onnx").write_bytes(b"another model")
    with pytest.raises(ValueError, match=r"model\.onnx"):
        config.verify(folder, tmp_path / "late.sig")


def test_a_signature_of_the_real_library_verifies_with_ours(folder: Path, tmp_path: Path, key: SigningKey) -> None:
    from model_signing import signing

    (tmp_path / "key.pem").write_bytes(key.to_pem())
    signing.Config().use_elliptic_key_signer(private_key=tmp_path / "key.pem").sign(folder, tmp_path / "late.sig")
    bundle = (tmp_path / "late.sig").read_bytes()
    found = verify(bundle, folder_files(folder), [read_public(key.pem.encode(), "partner")])
    assert found.valid and not found.own and found.signer == "partner"
    (folder / "package.json").unlink()
    assert verify(bundle, folder_files(folder), [own(key)]).detail == "not as signed: package.json is missing"


def test_certificates_lead_to_an_authority(folder: Path, tmp_path: Path) -> None:
    from model_signing import signing, verifying

    root_key, root = certificate("authority", None)
    leaf_key, leaf = certificate("signer", (root_key, root))
    for name, data in {"leaf.pem": leaf, "root.pem": root}.items():
        (tmp_path / name).write_bytes(data.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    config = signing.Config().use_certificate_signer(
        private_key=tmp_path / "key.pem", signing_certificate=tmp_path / "leaf.pem", certificate_chain=[tmp_path / "root.pem"]
    )
    config.sign(folder, tmp_path / "late.sig")
    verifying.Config().use_certificate_verifier(certificate_chain=[tmp_path / "root.pem"]).verify(folder, tmp_path / "late.sig")
    bundle, files = (tmp_path / "late.sig").read_bytes(), folder_files(folder)
    authority = read_public((tmp_path / "root.pem").read_bytes(), "the office")
    assert authority.kind == "certificate" and verify(bundle, files, [authority]).valid
    _, another = certificate("authority", None)
    stranger = read_public(another.public_bytes(Encoding.PEM), "an impostor")
    assert verify(bundle, files, [stranger]).state is SignatureState.UNTRUSTED
    (folder / "package.json").write_text("[]")
    assert verify(bundle, folder_files(folder), [authority]).state is SignatureState.BROKEN


def test_a_certificate_for_something_else_does_not_count(folder: Path, tmp_path: Path) -> None:
    from model_signing import signing

    root_key, root = certificate("authority", None)
    leaf_key, leaf = certificate("web server", (root_key, root), signs=False)
    for name, data in {"leaf.pem": leaf, "root.pem": root}.items():
        (tmp_path / name).write_bytes(data.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signing.Config().use_certificate_signer(
        private_key=tmp_path / "key.pem", signing_certificate=tmp_path / "leaf.pem", certificate_chain=[tmp_path / "root.pem"]
    ).sign(folder, tmp_path / "late.sig")
    found = verify(
        (tmp_path / "late.sig").read_bytes(), folder_files(folder), [read_public(root.public_bytes(Encoding.PEM), "o")]
    )
    assert found.state is SignatureState.BROKEN and "not meant for signing" in found.detail


def certificate(
    name: str, issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None, *, signs: bool = True
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Make a certificate, as its own authority if nobody issues it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by_key, by = (key, subject) if issuer is None else (issuer[0], issuer[1].subject)
    usage = x509.KeyUsage(signs and issuer is not None, False, False, False, not signs, issuer is None, False, False, False)
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(by).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number()).not_valid_before(FIRST_DAY)
    built = built.not_valid_after(FIRST_DAY + datetime.timedelta(days=3_650)).add_extension(usage, critical=True)
    built = built.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    return key, built.sign(by_key, hashes.SHA256())


def test_keys_of_other_kinds_are_refused(key: SigningKey) -> None:
    weak = rsa.generate_private_key(65_537, 2_048)
    with pytest.raises(Invalid, match="P-256"):
        SigningKey.read(weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(Invalid, match="P-256"):
        read_public(weak.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "weak")
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
    )
    with pytest.raises(Invalid, match="password"):
        SigningKey.read(locked)
    assert SigningKey.read(locked, "open sesame").id
    for data in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key.to_pem()):
        with pytest.raises(Invalid):
            read_public(data, "nothing")


def test_a_key_is_known_by_the_digest_of_its_pem(key: SigningKey) -> None:
    assert key.id == hashlib.sha256(key.pem.encode()).hexdigest() == read_public(key.pem.encode(), "us").id
    assert SigningKey.read(key.to_pem()).id == key.id


def test_without_the_library_the_verdict_is_unknown(folder: Path, tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "late.sig").write_bytes(key.sign("late@1", folder_files(folder)))
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from pathlib import Path; from perenne.inference import signing\n"
        "folder, bundle = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()\n"
        "print(signing.available(), signing.verify(bundle, signing.folder_files(folder), []).state.value)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(tmp_path / "late.sig")], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "unknown"] and available()
