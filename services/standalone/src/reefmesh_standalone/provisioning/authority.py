"""The operator's certificate authority: a key in a folder, and what it signs. By the library ``cryptography``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from reefmesh.errors import ConfigurationError
from reefmesh_standalone.provisioning.private_files import PRIVATE, PUBLIC, make_private, write_whole

KeyType = Literal["rsa", "ec"]
Purpose = Literal["device", "server"]

AUTHORITY_DAYS: Final = 20 * 365
SERVER_DAYS: Final = 825
REVOCATION_LIST_DAYS: Final = 10 * 365
"""A broker refuses everybody once its list is out of date, so a list says the truth until the next one is written."""
CLOCK_ALLOWANCE: Final = timedelta(hours=1)
"""A certificate is valid from a little earlier, for a device whose clock is behind."""
GATEWAY: Final = "gateway"
"""The common name of the gateway's own certificate, which no device may have."""

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """``serial``: in lower-case hex. ``key_pem``: PKCS#8 without a password, never logged."""

    name: str
    serial: str
    expires_at: datetime
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)

    @property
    def certificate_base64(self) -> str:
        """The certificate in one line without its PEM header, as the Nemo-Pi's firmware keeps it."""
        return _one_line(self.certificate_pem)

    @property
    def key_base64(self) -> str:
        return _one_line(self.key_pem)


class Authority:
    """An authority in its folder: its key in ``ca.key``, the files of the MQTT broker in ``broker``, of the gateway in
    ``gateway``."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.folder = folder
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, folder: Path, *, name: str, now: datetime) -> Self:
        """Make a new authority, with an empty list of what it revoked.

        Raises:
            ConfigurationError: there is one in the folder already, or it cannot be written.
        """
        if (folder / "ca.key").exists():
            raise ConfigurationError(f"there is an authority in {folder} already")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name)
        certificate = (
            _builder(subject, subject, key.public_key(), now, timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        authority = cls(folder, certificate, key)
        make_private(folder)
        write_whole(folder / "ca.key", _pem_of(key), mode=PRIVATE)
        write_whole(folder / "ca.pem", authority.certificate_pem, mode=PUBLIC)
        write_whole(folder / "broker" / "ca.pem", authority.certificate_pem, mode=PUBLIC)
        write_whole(folder / "gateway" / "ca.pem", authority.certificate_pem, mode=PUBLIC)
        authority.write_revocation_list((), now=now)
        return authority

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read an authority.

        Raises:
            ConfigurationError: there is none, or it cannot be read.
        """
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
            key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
        except FileNotFoundError:
            raise ConfigurationError(f"there is no authority in {folder}; 'reefmesh devices authority' makes one") from None
        except (OSError, ValueError, TypeError) as error:  # TypeError: a key behind a password
            raise ConfigurationError(f"cannot read the authority in {folder}: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigurationError(f"the key of the authority in {folder} is none that 'reefmesh devices authority' makes")
        return cls(folder, certificate, key)

    @property
    def certificate_pem(self) -> bytes:
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, in hex."""
        return self._certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def revocation_list_file(self) -> Path:
        return self.folder / "broker" / "crl.pem"

    def issue(
        self,
        name: str,
        *,
        purpose: Purpose,
        days: int,
        now: datetime,
        key_type: KeyType = "rsa",
        hosts: Sequence[str] = (),
    ) -> IssuedCertificate:
        """Make a key and sign its certificate for the common name ``name``; of a server also for its ``hosts``, names and
        addresses."""
        key: _Key = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if key_type == "rsa"
            else ec.generate_private_key(ec.SECP256R1())
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if purpose == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(_subject(name), self._certificate.subject, key.public_key(), now, timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return IssuedCertificate(
            name=name,
            serial=f"{certificate.serial_number:x}",
            expires_at=certificate.not_valid_after_utc,
            certificate_pem=certificate.public_bytes(Encoding.PEM),
            key_pem=_pem_of(key),
        )

    def write_server(self, hosts: Sequence[str], *, now: datetime) -> Path:
        """Give the MQTT broker a certificate for these names and addresses; return its folder."""
        issued = self.issue(hosts[0], purpose="server", days=SERVER_DAYS, now=now, hosts=hosts)
        folder = self.folder / "broker"
        write_whole(folder / "server.key", issued.key_pem, mode=PRIVATE)
        write_whole(folder / "server.pem", issued.certificate_pem, mode=PUBLIC)
        return folder

    def write_gateway(self, *, now: datetime) -> Path:
        """Give the gateway a certificate, by which the MQTT broker lets it read what devices send; return its folder."""
        issued = self.issue(GATEWAY, purpose="device", days=SERVER_DAYS, now=now, key_type="ec")
        folder = self.folder / "gateway"
        write_whole(folder / "gateway.key", issued.key_pem, mode=PRIVATE)
        write_whole(folder / "gateway.pem", issued.certificate_pem, mode=PUBLIC)
        return folder

    def write_revocation_list(self, revoked: Iterable[tuple[str, datetime]], *, now: datetime) -> Path:
        """Write the list of revoked certificates (serial in hex, when) anew for the MQTT broker; return its file."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now.astimezone(UTC))
            .next_update(now.astimezone(UTC) + timedelta(days=REVOCATION_LIST_DAYS))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
        )
        for serial, at in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(at.astimezone(UTC))
            builder = builder.add_revoked_certificate(entry.build())
        content = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        write_whole(self.revocation_list_file, content, mode=PUBLIC)
        return self.revocation_list_file


def _one_line(pem: bytes) -> str:
    return "".join(line for line in pem.decode().splitlines() if not line.startswith("-----"))


def _pem_of(key: _Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    now: datetime,
    valid_for: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_ALLOWANCE)
        .not_valid_after(now + valid_for)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
