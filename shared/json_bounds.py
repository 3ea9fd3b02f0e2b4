"""How much JSON of a caller is decoded: Python needs up to a hundred bytes for each byte of small values."""

import re

MOST_VALUES = 5_000  # Members and items of one body, together.
DEEPEST = 32  # Lists and objects within one another.

# A text, with its end or, where the body is not JSON, without it; a bracket, or a comma.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)
MOST_TOKENS = 6  # Of a value: a name, a text, two brackets and a comma.


def find_excess(body: bytes, *, most_values: int = MOST_VALUES) -> str | None:
    """Return what JSON has too much of, as a sentence; None if it may be decoded.

    It takes a time that grows with the length alone, and no memory. A body that is not JSON may pass.
    """
    # Most bodies are small. These numbers count what stands in texts, too, so a few bodies are read twice.
    brackets = body.count(b"[") + body.count(b"{")
    if body.count(b",") + brackets <= most_values and brackets <= DEEPEST:
        return None
    values = depth = 0
    for number, token in enumerate(TOKEN.finditer(body), 1):
        sign = body[token.start()]
        if sign in b"[{":
            depth += 1
            if depth > DEEPEST:
                return f"There are more than {DEEPEST} lists and objects within one another."
        elif sign in b"]}":
            depth -= 1
        values += sign in b"[{,"
        if values > most_values or number > most_values * MOST_TOKENS:
            return f"There are more than {most_values} members and items."
    return None
