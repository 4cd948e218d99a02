"""A certificate authority made for one run, and a server certificate for loopback signed by it.

Clients verify as they would against a real exchange: they are given the authority's file instead of the system's store.
"""
import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=7)


class Authority:
    """Owns a temporary folder with the PEM files; `path` is what clients are given. Use as a context manager."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="orderflow-authority-")
        folder = Path(self._folder.name)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("orderflow simulator authority")
        now = datetime.datetime.now(datetime.UTC)
        root = (_certificate(name, name, key.public_key(), now)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(_usage(signs_certificates=True), critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .sign(key, hashes.SHA256()))
        self.path = folder / "authority.pem"
        self.path.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self._server = folder / "server.pem"
        self._server.touch(mode=0o600)
        self._server.write_bytes(_server(name, key, now))

    @classmethod
    def opened(cls, files: tuple[str, str]) -> "Authority":
        """The same authority in another process, by its `files`; it does not remove them."""
        authority = cls.__new__(cls)
        authority._folder = None
        authority.path, authority._server = map(Path, files)
        return authority

    @property
    def files(self) -> tuple[str, str]:
        """What `opened` takes."""
        return str(self.path), str(self._server)

    def server_context(self) -> ssl.SSLContext:
        """TLS settings of a server on localhost, 127.0.0.1 or ::1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._server)
        return context

    def client_context(self) -> ssl.SSLContext:
        """TLS settings of a client that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.path))

    def close(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _server(authority: x509.Name, authority_key, now) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                 x509.IPAddress(ipaddress.ip_address("::1"))]
    certificate = (_certificate(_name("localhost"), authority, key.public_key(), now)
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                   .add_extension(_usage(signs_certificates=False), critical=True)
                   .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                   .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
                                  critical=False)
                   .sign(authority_key, hashes.SHA256()))
    return (key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption())
            + certificate.public_bytes(serialization.Encoding.PEM))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False)


def _certificate(subject, issuer, public_key, now) -> x509.CertificateBuilder:
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + LIFETIME))
