"""Make mails from templates: a subject, a text and an HTML part.

Each kind of mail has two templates, `KIND.txt`, whose first line is the subject, and `KIND.html`. A shop's
owner overrides any of them, and the name, the colour and the sender in `shop.toml`, with a folder that
`MAIL_TEMPLATES` names.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from textwrap import wrap
from typing import Any
from unicodedata import bidirectional
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.money import format_money

SHARED_TEMPLATES = Path(__file__).parent / "mails"
SUBJECT = "Subject:"
BLANKS = re.compile(r"\s+")
LONGEST_LINE = 72  # Characters of a line of the text; RFC 5322 recommends at most 78.


class LettersInvalid(Exception):
    """The folder of MAIL_TEMPLATES has an error; the message tells where."""


class Shop(BaseModel):
    """What mails say about the shop, from `shop.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="Shopfleet", min_length=1, max_length=100)
    colour: str = Field(default="#17603b", pattern="^#[0-9a-fA-F]{6}$")
    # An address, or a name with an address.
    sender: str | None = None
    reply_to: str | None = None
    # Below each mail, for example the company's address.
    footer: str = ""

    @field_validator("name")
    @classmethod
    def _require_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("must be one line")
        return name

    @field_validator("sender", "reply_to")
    @classmethod
    def _require_address(cls, value: str | None) -> str | None:
        if value is not None:
            read_address(value)
        return value

    @property
    def on_colour(self) -> str:
        """Return the colour of text on the shop's colour: the one of more contrast (WCAG 2.2)."""
        red, green, blue = (_linearize(int(self.colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"


@dataclass(frozen=True)
class Letter:
    """A mail without its addresses."""

    subject: str
    text: str
    html: str


class Letters:
    """The mails of a service: its own templates, the layout that all services share, and the owner's."""

    def __init__(self, templates: Path, *, public_url: str, overrides: Path | None = None) -> None:
        self.public_url = public_url.rstrip("/")
        self.shop = read_shop(overrides)
        folders = [*([overrides] if overrides else []), templates, SHARED_TEMPLATES]
        self._environment = Environment(
            loader=FileSystemLoader(folders),
            autoescape=select_autoescape(["html"], default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.globals["shop"] = self.shop
        self._environment.globals["shop_url"] = self.public_url
        self._environment.filters["money"] = format_money
        self._environment.filters["day"] = _format_day
        self._environment.filters["isolate"] = _isolate
        for name in self._environment.list_templates(extensions=["txt", "html"]):
            try:
                self._environment.get_template(name)
            except TemplateError as error:
                raise LettersInvalid(f"{name}: {error}") from error

    def render(self, kind: str, values: Mapping[str, Any]) -> Letter:
        """Return a mail; raise TemplateError if a template uses a value that there is not."""
        text = self._environment.get_template(f"{kind}.txt").render(values)
        first, _, body = text.lstrip().partition("\n")
        if not first.startswith(SUBJECT):
            raise LettersInvalid(f"{kind}.txt: its first line must begin with {SUBJECT}")
        # A value may have line breaks; a subject has none.
        subject = BLANKS.sub(" ", first.removeprefix(SUBJECT)).strip()
        html = self._environment.get_template(f"{kind}.html").render({**values, "subject": subject})
        return Letter(subject, _set_text(body), html)

    def choose_sender(self, mail_from: str | None) -> Address:
        """Return the sender: MAIL_FROM, or that of `shop.toml`, or no-reply at the shop's host."""
        given = mail_from or self.shop.sender
        if given is None:
            host = urlsplit(self.public_url).hostname or "localhost"
            return Address(self.shop.name, "no-reply", "shop.invalid" if ":" in host else host)
        address = read_address(given)
        return Address(address.display_name or self.shop.name, addr_spec=address.addr_spec)


def read_shop(folder: Path | None) -> Shop:
    """Return the contents of a folder's `shop.toml`, or the defaults; raise LettersInvalid."""
    if folder is None:
        return Shop()
    if not folder.is_dir():
        raise LettersInvalid(f"{folder} is not a folder")
    try:
        return Shop.model_validate(tomllib.loads((folder / "shop.toml").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Shop()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LettersInvalid(f"shop.toml: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise LettersInvalid(f"shop.toml: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def read_address(text: str) -> Address:
    """Return an address such as `Shop <shop@example.com>`; raise ValueError."""
    name, addr_spec = parseaddr(text)
    if not addr_spec or "@" not in addr_spec or not text.isprintable():
        raise ValueError("must be an email address, or a name with an address in angle brackets")
    return Address(name, addr_spec=addr_spec)


def _format_day(moment: datetime) -> str:
    return f"{moment:%B} {moment.day}, {moment.year}"


def _isolate(text: str) -> str:
    """Return a text so that words from right to left do not turn the line around it (Unicode UAX 9)."""
    has_turns = any(bidirectional(sign) in {"R", "AL"} for sign in text)
    return f"\u2068{text}\u2069" if has_turns else text


def _set_text(text: str) -> str:
    """Return a text without runs of blank lines, and with long lines wrapped below the text of a list's item.

    Long words stay whole, because one may be an address.
    """
    lines: list[str] = []
    for line in text.strip().split("\n"):
        if len(line) > LONGEST_LINE:
            lines += wrap(
                line,
                LONGEST_LINE,
                subsequent_indent="  " if line.startswith(("- ", "  ")) else "",
                break_long_words=False,
                break_on_hyphens=False,
            )
        elif line.strip() or (lines and lines[-1]):
            lines.append(line if line.strip() else "")
    return "\n".join(lines) + "\n"


def _linearize(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
