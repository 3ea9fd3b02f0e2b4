"""Keep secrets and card numbers out of records, where they are made.

An attribute whose name says that it is secret loses its value. In a text, a secret loses it where a name, a
scheme or its own form gives it away, and so does whatever could be a card's number (ISO/IEC 7812).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

REDACTED = "[REDACTED]"

SECRET_WORDS = frozenset(
    {"authorization", "cookie", "cookies", "credential", "credentials", "cvc", "cvv", "jwt", "passphrase"}
    | {"passwd", "password", "passwords", "pwd", "secret", "secrets", "token", "tokens"}
)
SECRET_PAIRS = frozenset({("api", "key"), ("card", "number"), ("private", "key")})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # Of snake_case, kebab-case, dotted and camelCase.

# A text in lower case without any of these has no secret in it that could be told.
_HINTS = (
    "authorization",
    "cookie",
    "passw",
    "pwd",
    "secret",
    "token",
    "cvc",
    "cvv",
    "bearer",
    "eyj",
    "sfr_",
    "sfc_",
    "@",
)
_COOKIE_HEADER = re.compile(r"(?i)(cookie[\"']?\s*:\s*)[^\r\n]+")
_NAMED = re.compile(
    r"(?i)((?:authorization|passw(?:or)?d|passphrase|pwd|secret|token|cvc|cvv)[\"']?\s*[:=]\s*)"
    r"(?:(?:basic|bearer|digest)\s+)?(?:\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?|[^\s\"',;&)}\]]+)"
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)*")
_BY_FORM = re.compile(r"((?i:bearer)\s+|\bsf[rc]_)[\w.~+/=-]{16,}")
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")

_MANY_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12}")
# An id is passed over as a whole, since a part of it may look like a card's number.
_NUMBERS = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?<![0-9a-fA-F])([0-9](?:[ -]?[0-9]){12,}+)(?![0-9a-fA-F])"
)
_GROUP = re.compile(r"[0-9]+")
_DOUBLED = str.maketrans("0123456789", "0246813579")  # Each digit times two, and the sum of its digits.
SHORTEST_CARD, LONGEST_CARD = 13, 19


def redact_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the attributes without what is secret; whatever has no kind of its own in JSON becomes text."""
    # Most have nothing to take out, and one look at all of their texts is cheaper than a look at each.
    texts = "\n".join([value for value in attributes.values() if isinstance(value, str)])
    redact = _redact_value if _has_hint(texts) or _MANY_DIGITS.search(texts) else _redact_other
    return {
        str(name): REDACTED if value is not None and _is_secret(str(name)) else redact(value)
        for name, value in attributes.items()
    }


def redact_text(text: str) -> str:
    """Return the text without secrets and card numbers."""
    if _has_hint(text):
        text = _redact_secrets(text)
    if _MANY_DIGITS.search(text):
        text = _NUMBERS.sub(_redact_cards, text)
    return text


def passes_luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    summed = digits[-1::-2] + digits[-2::-2].translate(_DOUBLED)
    return sum(map(int, summed)) % 10 == 0


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
    """Redact what is no text by itself; a text is passed on."""
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
    """Replace the groups of digits that together make a card's number; numbers may stand beside it."""
    run = match[1]
    if run is None:
        return match[0]
    groups = list(_GROUP.finditer(run))
    written, copied, first = [], 0, 0
    while first < len(groups):
        last = _find_card(groups, first)
        if last is not None:
            written += [run[copied : groups[first].start()], REDACTED]
            copied = groups[last].end()
        first = first + 1 if last is None else last + 1
    return "".join([*written, run[copied:]])


def _find_card(groups: list[re.Match[str]], first: int) -> int | None:
    """Return the last of the groups that make a card's number from the first one on, if any do."""
    digits = ""
    for last in range(first, len(groups)):
        digits += groups[last][0]
        if len(digits) > LONGEST_CARD:
            break
        if len(digits) >= SHORTEST_CARD and passes_luhn(digits):
            return last
    return None
