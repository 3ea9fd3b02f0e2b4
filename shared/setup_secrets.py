"""Make the secrets that are missing, and leave those that are there.

    python -m shared.setup_secrets FOLDER auth-service catalog-service …

There is one folder for each reader, so that each can be handed its own and nothing else. The first service
named is the authority: it gets the hashes of the others' credentials, never the credentials.
"""

import hashlib
import json
import secrets
import sys
from pathlib import Path

# Whoever can open a reader's folder may read what is in it; the folder, or its volume, is the boundary.
FILE_MODE = 0o444


def setup_secrets(root: Path, services: list[str]) -> None:
    """Fill `root`: a password for the superuser and each service's database, a secret for each client."""
    _share(root / "postgres/superuser-password", root / "database/superuser-password")
    for service in services:
        _share(root / service / "database-password", root / f"database/{service}-password")
    authority, *clients = services
    hashes = {client: hash_secret(_share(root / client / "client-secret")) for client in clients}
    _write(root / authority / "clients.json", json.dumps(hashes, indent=1, sort_keys=True))


def hash_secret(secret: str) -> str:
    """Return what is kept of a client's secret; it has 256 random bits, so one round is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _share(*files: Path) -> str:
    """Put the same secret into every file: one that is there already, else a new one."""
    found = next((file.read_text(encoding="utf-8").strip() for file in files if file.exists()), "")
    secret = found or secrets.token_urlsafe(32)
    for file in files:
        _write(file, secret)
    return secret


def _write(file: Path, contents: str) -> None:
    if file.exists() and file.read_text(encoding="utf-8").strip() == contents:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A new file takes the old one's place in one step, so that a kill in between leaves no half of it.
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(contents + "\n", encoding="utf-8")
    fresh.chmod(FILE_MODE)
    fresh.replace(file)


def main() -> None:
    """Read the folder and the services from the command line."""
    if len(sys.argv) < 3:
        sys.exit("usage: python -m shared.setup_secrets FOLDER AUTHORITY-SERVICE [SERVICE …]")
    setup_secrets(Path(sys.argv[1]), sys.argv[2:])


if __name__ == "__main__":
    main()
