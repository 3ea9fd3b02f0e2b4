"""Limits on JSON before it is decoded: Python needs up to 100 bytes of memory per byte of small values."""

import re

MOST_VALUES = 5_000  # Members and items in a body.
DEEPEST = 32  # Levels of nested lists and objects.

# A string, possibly unterminated if the body is not JSON; a bracket; or a comma.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)
MOST_TOKENS = 6  # Per value: a name, a string, two brackets and a comma, rounded up.


def find_excess(body: bytes, *, most_values: int = MOST_VALUES) -> str | None:
    """Return a sentence about the limit that the JSON exceeds; None if it may be decoded.

    This takes linear time and constant memory. A body that is not JSON may pass.
    """
    # Most bodies are small, so count first. The counts include strings, so a few bodies need the full scan,
    # too.
    brackets = body.count(b"[") + body.count(b"{")
    if body.count(b",") + brackets <= most_values and brackets <= DEEPEST:
        return None
    values = depth = 0
    for number, token in enumerate(TOKEN.finditer(body), 1):
        sign = body[token.start()]
        if sign in b"[{":
            depth += 1
            if depth > DEEPEST:
                return f"The JSON is nested more than {DEEPEST} levels deep."
        elif sign in b"]}":
            depth -= 1
        values += sign in b"[{,"
        if values > most_values or number > most_values * MOST_TOKENS:
            return f"The JSON has more than {most_values} values."
    return None
