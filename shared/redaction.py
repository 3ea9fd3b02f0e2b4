"""Redact secrets and card numbers in log records when they are made.

The value of an attribute with a secret's name is redacted. In text, a secret is recognized by the name or
scheme before it, or by its own form. Digits that could be a card number (ISO/IEC 7812) are redacted, too.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

REDACTED = "[REDACTED]"

SECRET_WORDS = frozenset(
    {"authorization", "cookie", "cookies", "credential", "credentials", "cvc", "cvv", "jwt", "passphrase"}
    | {"otp", "passwd", "password", "passwords", "pwd", "secret", "secrets", "token", "tokens"}
)
SECRET_PAIRS = frozenset({("api", "key"), ("card", "number"), ("private", "key")})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # Of snake_case, kebab-case, dotted and camelCase.

# Lower-case text without any of these has no secret that the patterns below would find.
_HINTS = (
    "authorization",
    "cookie",
    "passw",
    "pwd",
    "secret",
    "token",
    "cvc",
    "cvv",
    "otp",
    "bearer",
    "eyj",
    "sfr_",
    "sfc_",
    "whsec_",
    "@",
)
_COOKIE_HEADER = re.compile(r"(?i)(cookie[\"']?\s*:\s*)[^\r\n]+")
_NAMED = re.compile(
    r"(?i)((?:authorization|passw(?:or)?d|passphrase|pwd|secret|token|cvc|cvv|\botp)[\"']?\s*[:=]\s*)"
    r"(?:(?:basic|bearer|digest)\s+)?(?:\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?|[^\s\"',;&)}\]]+)"
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)*")
_BY_FORM = re.compile(r"((?i:bearer)\s+|\bsf[rc]_|\bwhsec_)[\w.~+/=-]{16,}")
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")

_MANY_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12}")
# A UUID is skipped as a whole, since a part of it may look like a card number. A group of digits next to
# another hexadecimal digit ends the run before it. No match begins within a group that was read, and the loop
# is possessive, so that each character is read a bounded number of times.
_NUMBERS = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?<![0-9a-fA-F])([0-9]++(?![a-fA-F])(?:[ -][0-9]++(?![a-fA-F]))*+)"
)
_GROUP = re.compile(r"[0-9]+")
_DOUBLED = str.maketrans("0123456789", "0246813579")  # Each digit doubled, then its digits added.
SHORTEST_CARD, LONGEST_CARD = 13, 19
LONGEST_TEXT = 128 * 1024  # Characters of a text that are kept; no record has room for more.


def redact_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the attributes without secrets; a value of a type that JSON does not have becomes text."""
    # Most attributes have no secrets, and one search through all of their text is cheaper than one for each.
    texts = "\n".join([value for value in attributes.values() if isinstance(value, str)])
    redact = _redact_value if _has_hint(texts) or _MANY_DIGITS.search(texts) else _redact_other
    return {
        str(name): REDACTED if value is not None and _is_secret(str(name)) else redact(value)
        for name, value in attributes.items()
    }


def redact_text(text: str) -> str:
    """Return the text without secrets and card numbers, truncated to 128 Ki characters.

    This takes linear time.
    """
    text = text[:LONGEST_TEXT]
    if _has_hint(text):
        text = _redact_secrets(text)
    if _MANY_DIGITS.search(text):
        text = _NUMBERS.sub(_redact_cards, text)
    return text


@lru_cache(maxsize=2048)
def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    return not SECRET_WORDS.isdisjoint(words) or not SECRET_PAIRS.isdisjoint(pairwise(words))


def _has_hint(text: str) -> bool:
    lowered = text.lower()
    for hint in _HINTS:  # noqa: SIM110  # `any` would take three times as long.
        if hint in lowered:
            return True
    return False


def _redact_value(value: Any) -> Any:
    return redact_text(value) if isinstance(value, str) else _redact_other(value)


def _redact_other(value: Any) -> Any:
    """Redact a value that is not text; return text unchanged."""
    if isinstance(value, str) or value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return redact_attributes(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(item) for item in value]
    return redact_text(str(value))


def _redact_secrets(text: str) -> str:
    for pattern in (_COOKIE_HEADER, _NAMED, _BY_FORM):
        text = pattern.sub(rf"\1{REDACTED}", text)
    return _IN_URL.sub(rf"\1{REDACTED}@", _JWT.sub(REDACTED, text))


def _redact_cards(match: re.Match[str]) -> str:
    """Replace groups of digits that together form a card number; other numbers may surround it."""
    run = match[1]
    if run is None or len(run) < SHORTEST_CARD:
        return match[0]
    groups = list(_GROUP.finditer(run))
    ends = list(accumulate((len(group[0]) for group in groups), initial=0))
    sums = _sum_digits("".join([group[0] for group in groups]))
    written, copied, first = [], 0, 0
    while first < len(groups):
        following = _find_card(ends, sums, first)
        if following:
            written += [run[copied : groups[first].start()], REDACTED]
            copied = groups[following - 1].end()
        first = following or first + 1
    return "".join([*written, run[copied:]])


def _find_card(ends: list[int], sums: tuple[list[int], list[int]], first: int) -> int:
    """Return the index of the group after a card number that begins at group `first`; 0 if there is none."""
    begin = ends[first]
    for following in range(first + 1, len(ends)):
        end = ends[following]
        if end - begin > LONGEST_CARD:
            break
        # The last digit is the check digit of the others (ISO/IEC 7812-1, annex B).
        if end - begin >= SHORTEST_CARD and (sums[end % 2][end] - sums[end % 2][begin]) % 10 == 0:
            return following
    return 0


def _sum_digits(digits: str) -> tuple[list[int], list[int]]:
    """Return the prefix sums of the Luhn algorithm, with every other digit doubled from the first or second.

    A card number that ends before an even position needs the first kind, since its last digit is not doubled.
    """
    doubled = digits.translate(_DOUBLED)
    mixed = [list(digits), list(digits)]
    for start in (0, 1):
        mixed[start][start::2] = doubled[start::2]
    from_first, from_second = (list(accumulate(map(int, places), initial=0)) for places in mixed)
    return from_first, from_second
