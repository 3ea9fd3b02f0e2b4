"""Two-factor authentication: codes of authenticator apps (TOTP, RFC 6238) and recovery codes."""

import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass, field

import pyotp
import segno
from pyotp.exceptions import OTPVerificationError

STEPS_OF_SKEW = 1  # A code of the step before or after is accepted, too (RFC 6238, section 5.2).
APP_CODE = re.compile("[0-9]{6}")
SEPARATORS = re.compile(r"[\s-]+")

RECOVERY_CODES = 10
# Crockford's Base32: 32 letters and digits, none of which looks like another.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LOOK_ALIKES = str.maketrans("oil", "011")
GROUPS, GROUP = 4, 4  # 16 characters of 5 bits each.


@dataclass(frozen=True)
class Enrolment:
    """A new secret, and the address and QR code by which an authenticator app reads it."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    # Each row has a 1 for a dark module and a 0 for a light one, without the quiet zone.
    qr: list[str] = field(repr=False)


def enrol(username: str, issuer: str) -> Enrolment:
    """Return a new secret of 160 bits (RFC 4226, section 4); the app shows the issuer and the user name."""
    secret = pyotp.random_base32()
    uri = pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)
    matrix = segno.make_qr(uri).matrix
    return Enrolment(secret, uri, ["".join("1" if module else "0" for module in row) for row in matrix])


def find_step(secret: str, code: str, now: float) -> int | None:
    """Return the time step to which a code belongs; None if it is wrong or too old. `now` is Unix time."""
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(code, for_time=now, valid_window=STEPS_OF_SKEW)
    except OTPVerificationError:
        return None


def normalize_code(text: str) -> str:
    """Return a code as it is compared: without spaces and hyphens, and in small letters."""
    return SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).casefold()


def is_app_code(code: str) -> bool:
    """Return whether a normalized code is one of an app; all others can only be recovery codes."""
    return APP_CODE.fullmatch(code) is not None


def make_recovery_codes() -> list[str]:
    """Return new recovery codes, such as `7h2m-x0qd-93sk-ev5a`."""
    return [
        "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))
        for _ in range(RECOVERY_CODES)
    ]


def hash_recovery_code(code: str) -> bytes:
    """Return the stored hash of a recovery code.

    One round is enough: a code has 80 random bits, so the hash cannot be inverted by guessing, unlike that of
    a password.
    """
    return hashlib.sha256(normalize_code(code).translate(LOOK_ALIKES).encode()).digest()
