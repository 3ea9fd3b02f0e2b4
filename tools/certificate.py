"""Make a certificate for development: `python -m tools.certificate`, or `make certificate`.

The certificate is self-signed, so a browser warns and `curl` needs `--cacert`. It is valid for localhost and
the host of PUBLIC_URL.
"""

import ipaddress
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.settings import ROOT

DAYS = 365


def main(environment: Mapping[str, str]) -> int:
    """Write cert.pem and key.pem into TLS_CERTIFICATES unless they exist; return the exit code."""
    folder = Path(environment.get("TLS_CERTIFICATES") or ROOT / "gateway" / "tls")
    files = folder / "cert.pem", folder / "key.pem"
    if any(file.exists() for file in files):
        print(f"{folder} already has a certificate. Remove cert.pem and key.pem to make another.")
        return 1
    host = urlsplit(environment.get("PUBLIC_URL") or "").hostname
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in zip(files, make_certificate(host), strict=True):
        file.write_bytes(content)
        # In Docker the gateway's own user reads it.
        file.chmod(0o644)
    print(f"Wrote cert.pem and key.pem into {folder}. The gateway serves HTTPS after its next start.")
    return 0


def make_certificate(host: str | None = None) -> tuple[bytes, bytes]:
    """Return a certificate for this machine and optionally a host, and its key, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Shopfleet development")])
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", *([host] if host else [])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([_name_of(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name_of(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


if __name__ == "__main__":
    sys.exit(main(os.environ))
