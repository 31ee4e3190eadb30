"""Certificates say who, are signed by the authority, and are private files."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.cluster.certificates import Authority, KeyPair, Subject, service_account_keys


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def load(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.cert.read_bytes())


def test_user_and_groups_are_name_and_organizations(authority: Authority) -> None:
    cert = load(authority.issue("kubelet", Subject("system:node:node-0", ("system:nodes",))))
    assert cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:node-0"
    assert cert.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"


def test_a_client_may_not_serve_and_a_server_names_its_hosts(authority: Authority) -> None:
    client = load(authority.issue("admin", Subject("admin")))
    server = load(authority.issue("api", Subject("api", hosts=("10.88.0.2", "kubernetes.default.svc"))))
    usages = [set(each.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) for each in (client, server)]
    assert usages[0] == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert usages[1] == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.88.0.2")]
    assert names.get_values_for_type(x509.DNSName) == ["kubernetes.default.svc"]


def test_the_authority_signs_and_only_it_may(authority: Authority, tmp_path: Path) -> None:
    ca = load(authority.files)
    cert = load(authority.issue("admin", Subject("admin")))
    cert.verify_directly_issued_by(ca)
    stranger = load(Authority(tmp_path / "other", name="stranger").files)
    with pytest.raises(ValueError, match="Issuer"):
        cert.verify_directly_issued_by(stranger)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert isinstance(cert.public_key(), ec.EllipticCurvePublicKey)


def test_private_keys_are_nobody_elses(authority: Authority) -> None:
    pairs = [authority.files, authority.issue("admin", Subject("admin"))]
    pairs.append(service_account_keys(authority.directory))
    assert {pair.key.stat().st_mode & 0o777 for pair in pairs} == {0o600}
    assert authority.directory.stat().st_mode & 0o777 == 0o700
