"""The cluster's public key infrastructure: one authority, short-lived, made in well under a second.

Everything is ECDSA P-256 except the service account key pair, which is RSA and not a certificate.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=30)
# Clocks of the machine may be set back a little between making and checking a certificate.
BACKDATE = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate speaks for: user name and groups (its common name and organizations)."""

    name: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @property
    def serves(self) -> bool:
        """Whether it identifies a server (it then has host names) and not only a client."""
        return bool(self.hosts)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Files of one certificate and its private key."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority that writes what it issues into one directory (mode 0700)."""

    def __init__(self, directory: Path, *, name: str = "modelrollout-e2e") -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._cert = (
            self._draft(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.files = _write(directory, "ca", self._cert, self._key)

    def issue(self, file_name: str, subject: Subject) -> KeyPair:
        """A certificate for clients, and for servers too when the subject has hosts."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, subject.name))
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._draft(x509.Name(names), key.public_key())
        if subject.serves:
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
            builder = builder.add_extension(_alternative_names(subject.hosts), critical=False)
        cert = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _write(self.directory, file_name, cert, key)

    def _draft(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + LIFETIME)
        )


def service_account_keys(directory: Path) -> KeyPair:
    """The RSA pair that signs and checks service account tokens; `cert` is the bare public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(
        cert=_write_file(directory / "service-account.pub", public),
        key=_write_file(directory / "service-account.key", _private_pem(key)),
    )


def _alternative_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not sign,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(directory: Path, name: str, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        cert=_write_file(directory / f"{name}.crt", cert.public_bytes(serialization.Encoding.PEM)),
        key=_write_file(directory / f"{name}.key", _private_pem(key)),
    )


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_file(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path
