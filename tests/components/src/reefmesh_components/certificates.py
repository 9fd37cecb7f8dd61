"""A certificate authority for the length of a test run, and a server certificate by it."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR: Final = datetime.timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """``ca_file``: PEM that clients trust, with its key in ``authority_key_file``; ``keystore``: PKCS#12 with the server's key
    and chain, behind ``password``;
    ``certificate_file`` and ``key_file``: the same as PEM, the key without a password."""

    ca_file: Path
    certificate_file: Path
    key_file: Path
    keystore: Path
    password: str
    authority_key_file: Path


def make_server_certificate(
    folder: Path, *, names: tuple[str, ...] = ("localhost", "127.0.0.1"), valid_for: datetime.timedelta = VALID_FOR
) -> ServerCertificate:
    """Write an authority and a certificate for these DNS names and IP addresses into ``folder``; it ends after ``valid_for``,
    which is negative for one that has ended."""
    now = datetime.datetime.now(datetime.UTC)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("reefmesh test authority")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now, VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _builder(_name(names[0]), authority_name, server_key.public_key(), now, valid_for)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    password = "key-store-password"
    ca_file, keystore, authority_key_file = folder / "ca.pem", folder / "server.p12", folder / "ca.key"
    certificate_file, key_file = folder / "server.pem", folder / "server.key"
    certificate_file.write_bytes(server.public_bytes(Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    authority_key_file.touch(mode=0o600)
    authority_key_file.write_bytes(authority_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    ca_file.write_bytes(authority.public_bytes(Encoding.PEM))
    keystore.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"server", server_key, server, [authority], BestAvailableEncryption(password.encode())
        )
    )
    return ServerCertificate(
        ca_file=ca_file,
        certificate_file=certificate_file,
        key_file=key_file,
        keystore=keystore,
        password=password,
        authority_key_file=authority_key_file,
    )


def client_context(server: ServerCertificate, name: str, folder: Path) -> ssl.SSLContext:
    """Return TLS with a certificate of this common name, signed by the server's authority; its files are in ``folder``."""
    certificate_file, key_file = make_client_certificate(server, name, folder)
    context = ssl.create_default_context(cafile=str(server.ca_file))
    context.load_cert_chain(certificate_file, key_file)
    return context


def make_client_certificate(server: ServerCertificate, name: str, folder: Path) -> tuple[Path, Path]:
    """Write a certificate of this common name, signed by the server's authority, and its key; return the two files (PEM)."""
    now = datetime.datetime.now(datetime.UTC)
    authority = x509.load_pem_x509_certificate(server.ca_file.read_bytes())
    authority_key = load_pem_private_key(server.authority_key_file.read_bytes(), None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(name), authority.subject, key.public_key(), now, VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_file, key_file


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    valid_for: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID_FOR)
        .not_valid_after(now + valid_for)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
