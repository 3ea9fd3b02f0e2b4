"""Users, sessions and credentials as plain Python, and the rules for them."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from uuid import UUID

from confusable_homoglyphs.categories import unique_aliases  # type: ignore[import-untyped]  # It has no types.

from shared.client_address import find_network

IDLE_LIFE = timedelta(days=7)  # Of a refresh token that nobody uses.
WHOLE_LIFE = timedelta(days=30)  # Of a session, however much it is used.
GRACE = timedelta(seconds=10)  # In which a refresh whose answer was lost may be repeated.
PLACE_LIFE = timedelta(days=90)  # For which a place is known after a log-in.
GUEST_LIFE = timedelta(days=90)  # After which a guest is forgotten, long after the last session could live.
GUEST_IDLE = timedelta(days=1)  # After which a guest is forgotten who has neither cart nor order.

NAME_LENGTH = range(3, 151)  # Characters.
PASSWORD_LENGTH = range(8, 1025)  # Characters (NIST SP 800-63B, section 5.1.1.2: at least 8, no other rule).
GUEST_PREFIX = "guest-"

# Scripts that may stand together in a name (UTS 39, section 5.2, "highly restrictive").
MIXED_SCRIPTS = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
EVERY_SCRIPT = frozenset({"COMMON", "INHERITED"})  # Characters that go with all others, such as digits.
# Letters that Unicode does not decompose.
PLAIN_LETTERS = str.maketrans(
    {"\u00df": "ss", "\u0142": "l", "\u00f8": "o", "\u00e6": "ae", "\u0111": "d", "\u0131": "i"}
)
# Characters without a shape that count as letters, marks or symbols: the printable ones of Unicode's
# Default_Ignorable_Code_Point, and the blank of Braille.
SHAPELESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
LEFT_TO_RIGHT = "\u200e"

# What is written for letters. An i, an l and a 1 are one, since each is written for the other.
LEET = str.maketrans("@4836901!|i$5+72(", "aabeggollllssttzc")
SEPARATORS = re.compile(r"[\W_]+")
SHOP = "Shopfleet"
OWN_WORD = 3  # Characters that a word must have to make a password weak.
LONGEST_DERIVED = 256  # Characters of a password that can still be a name with something around it.

GUESSABLE = "is one of those that are tried first; choose another"
DERIVED = "must not be made from the user name, the e-mail address or the shop's name"


@dataclass(frozen=True)
class User:
    """Somebody with an account; a guest's has no password, so that nobody can log in to it."""

    id: UUID
    username: str
    email: str | None
    role: str
    password_hash: str | None = field(repr=False)
    disabled: bool
    created_at: datetime
    password_changed_at: datetime | None = None


@dataclass(frozen=True)
class Visitor:
    """Where a call comes from, as far as the gateway can tell."""

    address: str
    user_agent: str | None = None

    @property
    def place(self) -> str:
        """Return what stays the same from visit to visit: the address, or of IPv6 the network of 64 bits."""
        return find_network(self.address)

    @property
    def place_hash(self) -> bytes:
        """Return what is kept of the place."""
        return hashlib.sha256(self.place.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True)
class Session:
    """A log-in and all that follows from it, on one device; its id is the `sid` of its tokens."""

    id: UUID
    user_id: UUID
    guest_sub: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    tokens_until: datetime
    ended_at: datetime | None
    address: str | None
    user_agent: str | None


@dataclass(frozen=True)
class AccessToken:
    """A signed token, and how many seconds it lives."""

    access_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True)
class SignIn(AccessToken):
    """What a person gets who comes in: also the token that the next one is had for."""

    refresh_token: str = field(repr=False)
    refresh_expires_in: int


@dataclass(frozen=True)
class Allowance:
    """How many tries are free in a row, and after how long one of them is forgiven.

    From then on each wait is twice the one before, beginning at a second. Since waiting forgives, too, the
    waits stop growing about where one lasts as long as it takes to forgive one try.
    """

    free: int
    forgiven_after: timedelta


PER_ACCOUNT = Allowance(free=5, forgiven_after=timedelta(minutes=15))
# Only those who share the owner's address can spend these, the owner's own devices among them.
PER_KNOWN_PLACE = Allowance(free=10, forgiven_after=timedelta(minutes=15))
# Gentler, because many people can share an address.
PER_ADDRESS = Allowance(free=20, forgiven_after=timedelta(seconds=6))


def parse_id(text: str) -> UUID | None:
    """Return the id that a text stands for; None if it is not one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def normalize_name(username: str) -> str:
    """Return the one way in which a user name is written (Unicode NFKC); case is kept, and does not count."""
    return unicodedata.normalize("NFKC", username)


def choose_name(username: str) -> str:
    """Return the name in its one way of writing; raise ValueError with a sentence if it cannot be had."""
    name = normalize_name(username)
    if len(name) not in NAME_LENGTH:
        raise ValueError(f"must have {NAME_LENGTH[0]} to {NAME_LENGTH[-1]} characters")
    # Control characters, separators but the plain space, and what has no meaning in Unicode.
    if not name.isprintable():
        raise ValueError("must not contain control or invisible characters")
    if name != name.strip():
        raise ValueError("must not begin or end with a space")
    looks = _list_looks(name)
    if not all(looks):
        raise ValueError("must have visible characters")
    if any(look.startswith(GUEST_PREFIX) for look in looks):
        raise ValueError(f"must not begin with {GUEST_PREFIX}")
    scripts = unique_aliases(name) - EVERY_SCRIPT
    if len(scripts) > 1 and not any(scripts <= mixed for mixed in MIXED_SCRIPTS):
        raise ValueError("must not mix scripts, except Latin with Chinese, Japanese or Korean")
    return name


def derive_skeletons(username: str) -> list[bytes]:
    """Return hashes of what a name looks like, sorted; names that share one of them look alike (UTS 39).

    Names keep their case and are compared without it. So a name is taken as it is written, where a capital I
    looks like a small L, and in small letters.
    """
    return sorted(hashlib.sha256(look.encode()).digest() for look in _list_looks(username))


def _list_looks(username: str) -> set[str]:
    return {_draw(_fold(username)), _fold(_draw(username))}


def _fold(text: str) -> str:
    """Return a text in small letters without accents and without shapeless characters."""
    small = normalize_name(normalize_name(text).casefold())
    characters = unicodedata.normalize("NFD", SHAPELESS.sub("", small))
    bare = "".join(each for each in characters if not _is_mark(each))
    # A browser shows a row of spaces as one.
    return " ".join(bare.translate(PLAIN_LETTERS).split())


def _is_mark(character: str) -> bool:
    # The vowels of Indian scripts are marks of class 0, and make a name another name.
    return unicodedata.combining(character) != 0 or unicodedata.category(character) == "Me"


def _draw(text: str) -> str:
    """Return the confusable skeleton of a text (UTS 39, section 4)."""
    drawn = unicodedata.normalize("NFD", text).translate(_read_prototypes())
    return unicodedata.normalize("NFD", drawn)


@cache
def _read_prototypes() -> dict[int, str]:
    """Return what stands for each confusable character.

    The library pairs each character with its prototype in both directions. A prototype is the partner of
    many, or the longer one of two. Of two single characters the one that Unicode has first is taken.
    """
    file = files("confusable_homoglyphs").joinpath("confusables.json")
    # The library's own module would keep the names of all characters in memory. Its data enclose text that
    # runs from right to left in marks of direction.
    partners = {
        source.strip(LEFT_TO_RIGHT): [each["c"].strip(LEFT_TO_RIGHT) for each in pairs]
        for source, pairs in json.loads(file.read_text(encoding="utf-8")).items()
    }
    prototypes: dict[int, str] = {}
    for source, (target, *others) in partners.items():
        is_pair = not others and len(partners[target]) == 1
        if len(source) == 1 and not others and (not is_pair or len(target) > 1 or target < source):
            prototypes[ord(source)] = target
    # A prototype of several characters may have some that another one stands for.
    return {source: target.translate(prototypes) for source, target in prototypes.items()}


def find_weakness(password: str, *names: str | None) -> str | None:
    """Return what is wrong with a new password of a user with these names; None if nothing is.

    How many guesses it withstands is counted where it is hashed.
    """
    if len(password) not in PASSWORD_LENGTH:
        return f"must have {PASSWORD_LENGTH[0]} to {PASSWORD_LENGTH[-1]} characters"
    if len(password) <= LONGEST_DERIVED:
        folded = _fold(password)
        texts = (folded, SEPARATORS.sub("", folded))
        if any(_is_derived(text, word) for word in list_own_words(*names) for text in texts):
            return DERIVED
    return None


def list_own_words(*names: str | None) -> list[str]:
    """Return the names, the shop's among them, and the words in each, in small letters."""
    folded = [_fold(name) for name in (SHOP, *names) if name]
    local_parts = [name.rpartition("@")[0] for name in folded]
    joined = [SEPARATORS.sub("", each) for each in (*folded, *local_parts)]
    words = [word for name in folded for word in SEPARATORS.split(name)]
    own = dict.fromkeys((*folded, *local_parts, *joined, *words))
    return [each for each in own if len(each) >= OWN_WORD]


def _is_derived(password: str, word: str) -> bool:
    """Tell whether a password has no letters beside a word, both being folded.

    The word may stand there several times, backwards, and with digits and signs in the place of letters.
    """
    read, wanted = password.translate(LEET), word.translate(LEET)
    for form in (wanted, wanted[::-1]):
        end, between = 0, ""
        # Each character is read as one, so that a place is the same in both texts.
        while (found := read.find(form, end)) >= 0:
            between += password[end:found]
            end = found + len(form)
        if end and not any(sign.isalpha() for sign in between + password[end:]):
            return True
    return False


@dataclass(frozen=True)
class StoredKey:
    """A signing key as it is kept: from when it signs, and until when it verifies, None being without end.

    A key that the next one has taken over from verifies until its last token has died.
    """

    kid: str
    private_key: str = field(repr=False)
    created_at: datetime
    signs_from: datetime
    verifies_until: datetime | None

    def verifies(self, now: datetime) -> bool:
        """Tell whether tokens that it signed are good."""
        return self.verifies_until is None or now < self.verifies_until


def find_signer(keys: Iterable[StoredKey], now: datetime) -> StoredKey | None:
    """Return the key that signs: of those that may, the one whose turn came last."""
    ready = [key for key in keys if key.signs_from <= now and key.verifies(now)]
    return max(ready, key=lambda key: (key.signs_from, key.kid), default=None)


class Scope(StrEnum):
    """What an integrator's client may be given; each opens a door somewhere."""

    LOGS_WRITE = "logs:write"
    LOGS_READ = "logs:read"
    PRODUCTS_READ = "products:read"
    TOKENS_INTROSPECT = "tokens:introspect"


CLIENT_ID = re.compile(r"app-[0-9a-f-]{36}")


@dataclass(frozen=True)
class Client:
    """Somebody else's program, with credentials and scopes of its own (an OAuth 2.0 confidential client).

    `sid` is in each of its tokens, and another one when those before shall end.
    """

    id: str
    name: str
    secret_hash: str = field(repr=False)
    scopes: list[str]
    sid: str
    disabled: bool
    created_at: datetime
    created_by: UUID | None
