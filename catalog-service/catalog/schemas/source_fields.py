"""Field types of a product source, which accept what the sources of other shops are known to send."""

import re
from typing import Annotated, Any
from unicodedata import category

from pydantic import BeforeValidator

from shared.schemas import Text

# Control characters and line separators, except NUL, which is rejected.
CONTROLS = re.compile(r"[\x01-\x1f\x7f-\x9f\u2028\u2029]+")
INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
SPACES = re.compile(r"[\s\x01-\x1f\x7f-\x9f]+")


def refuse_boolean(value: Any) -> Any:
    """Return the value; raise ValueError for a boolean, which Python counts as a number."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not a boolean")
    return value


def is_blank(value: str) -> bool:
    """Return whether the text has no visible character."""
    return all(category(character) in INVISIBLE for character in value)


def _on_one_line(value: Any) -> Any:
    return CONTROLS.sub(" ", value).strip() if isinstance(value, str) else value


def _collapse_spaces(value: Any) -> Any:
    return SPACES.sub(" ", value).strip() if isinstance(value, str) else value


Name = Annotated[Text, BeforeValidator(_on_one_line)]
Sku = Annotated[Text, BeforeValidator(_collapse_spaces)]
