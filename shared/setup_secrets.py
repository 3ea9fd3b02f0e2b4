"""Create missing secrets, and keep existing ones.

    python -m shared.setup_secrets FOLDER auth-service catalog-service …

Each reader has a folder of its own, so that it can be given no other secrets. The first service is the
authority: it gets the hashes of the other services' credentials, but not the credentials.
"""

import hashlib
import json
import secrets
import sys
from pathlib import Path

# The folder, or its volume, restricts access; every user who can open it may read the files.
FILE_MODE = 0o444


def setup_secrets(root: Path, services: list[str]) -> None:
    """Fill `root` with passwords for the superuser and each database, and a secret for each client."""
    _share(root / "postgres/superuser-password", root / "database/superuser-password")
    for service in services:
        _share(root / service / "database-password", root / f"database/{service}-password")
    authority, *clients = services
    hashes = {client: hash_secret(_share(root / client / "client-secret")) for client in clients}
    _write(root / authority / "clients.json", json.dumps(hashes, indent=1, sort_keys=True))


def hash_secret(secret: str) -> str:
    """Return the stored hash of a client's secret; with 256 random bits, one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _share(*files: Path) -> str:
    """Write the same secret to every file: the existing one, or a new one."""
    found = next((file.read_text(encoding="utf-8").strip() for file in files if file.exists()), "")
    secret = found or secrets.token_urlsafe(32)
    for file in files:
        _write(file, secret)
    return secret


def _write(file: Path, contents: str) -> None:
    if file.exists() and file.read_text(encoding="utf-8").strip() == contents:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Replace the file atomically, so that an interrupted run leaves no partial file.
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(contents + "\n", encoding="utf-8")
    fresh.chmod(FILE_MODE)
    fresh.replace(file)


def main() -> None:
    """Take the folder and the services from the command line."""
    if len(sys.argv) < 3:
        sys.exit("usage: python -m shared.setup_secrets FOLDER AUTHORITY-SERVICE [SERVICE …]")
    setup_secrets(Path(sys.argv[1]), sys.argv[2:])


if __name__ == "__main__":
    main()
