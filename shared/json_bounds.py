"""How much JSON of a caller is decoded: Python needs up to a hundred bytes for each byte of small values."""

import re

MOST_VALUES = 5_000  # Members and items of one body, together.
DEEPEST = 32  # Lists and objects within one another.

# A text with its end or, where the body is not JSON, without it.
TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
OTHERS = re.compile(rb"[^\[\]{}]+")


def find_excess(body: bytes) -> str | None:
    """Return what JSON has too much of, as a sentence; None if it may be decoded.

    It takes a time that grows with the length alone. A body that is not JSON may pass.
    """
    # Most bodies are small. These numbers count what stands in texts, too, so a few bodies are read twice.
    brackets = body.count(b"[") + body.count(b"{")
    if body.count(b",") + brackets <= MOST_VALUES and brackets <= DEEPEST:
        return None
    plain = TEXT.sub(b"", body)
    if plain.count(b",") + plain.count(b"[") + plain.count(b"{") > MOST_VALUES:
        return f"The body has more than {MOST_VALUES} members and items."
    depth = 0
    for bracket in OTHERS.sub(b"", plain):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return f"The body has more than {DEEPEST} lists and objects within one another."
    return None
