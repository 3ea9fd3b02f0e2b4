"""Make mails from templates: a subject, a text and an HTML part.

Each kind of mail has two templates, `KIND.txt`, whose first line is the subject, and `KIND.html`. A shop's
owner overrides any of them, and the name, the colour and the sender in `shop.toml`, with a folder that
`MAIL_TEMPLATES` names.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from textwrap import wrap
from traceback import extract_tb
from typing import Any
from urllib.parse import urlsplit

import idna
from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateSyntaxError,
    meta,
    select_autoescape,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.money import format_money

SHARED_TEMPLATES = Path(__file__).parent / "mails"
SUBJECT = "Subject:"
LONGEST_LINE = 72  # Characters of a line of the text; RFC 5322 recommends at most 78.
NO_SUBJECT = f"its first line must begin with {SUBJECT}"
# A value in a subject may have line breaks; a header has none, and no other control characters.
BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
ADDRESS = re.compile(r'(?:"(?P<quoted>[^"<>]*)"\s*|(?P<name>[^<>]*))<(?P<spec>[^<>]+)>|(?P<bare>[^<>]+)')
USER = re.compile(r'[^\s()<>\[\]:;@\\,"]+')
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
FROM_RIGHT = frozenset({"R", "AL"})  # Bidirectional classes (UAX 9).
EMBEDDINGS = (
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # They would end an isolate, or outlast it.
)


class LettersInvalid(Exception):
    """A template or `shop.toml` has an error; the message tells where."""


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
        self._loader = FileSystemLoader(folders)
        self._environment = Environment(
            loader=self._loader,
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
        self._environment.filters["isolate"] = isolate
        self._check(templates)

    def render(self, kind: str, values: Mapping[str, Any]) -> Letter:
        """Return a mail; raise LettersInvalid, which names the template and its line, if one has an error."""
        text = self._render(f"{kind}.txt", values)
        first, _, body = text.lstrip().partition("\n")
        if not first.startswith(SUBJECT):
            raise LettersInvalid(f"{kind}.txt: {NO_SUBJECT}")
        subject = BREAKS.sub(" ", first.removeprefix(SUBJECT)).strip()
        html = self._render(f"{kind}.html", {**values, "subject": subject})
        return Letter(subject, _set_text(body), html)

    def _render(self, name: str, values: Mapping[str, Any]) -> str:
        try:
            return self._environment.get_template(name).render(values)
        except Exception as error:
            # An owner's template may raise anything, such as a division by zero.
            raise LettersInvalid(_explain(name, error)) from error

    def _check(self, templates: Path) -> None:
        """Raise LettersInvalid if a template has a syntax error, or one of this service lacks a part."""
        ours = {file.name: file for folder in (templates, SHARED_TEMPLATES) for file in folder.iterdir()}
        for name in self._environment.list_templates(extensions=["txt", "html"]):
            try:
                self._environment.get_template(name)
                # Those of other services in the owner's folder include templates that are not here.
                if name in ours:
                    self._check_parts(name, is_mail=SUBJECT in ours[name].read_text(encoding="utf-8"))
            except (TemplateSyntaxError, TemplateNotFound, UnicodeDecodeError, OSError) as error:
                raise LettersInvalid(_explain(name, error)) from error

    def _check_parts(self, name: str, *, is_mail: bool) -> None:
        source, _file, _is_current = self._loader.get_source(self._environment, name)
        if is_mail and SUBJECT not in source:
            raise LettersInvalid(f"{name}: {NO_SUBJECT}")
        for other in meta.find_referenced_templates(self._environment.parse(source)):
            if other is not None:
                self._environment.get_template(other)

    def choose_sender(self, mail_from: str | None) -> Address:
        """Return the sender: MAIL_FROM, or that of `shop.toml`, or no-reply at the shop's host."""
        given = mail_from or self.shop.sender
        if given is None:
            host = urlsplit(self.public_url).hostname or "localhost"
            domain = "shop.invalid" if ":" in host else encode_domain(host)
            return Address(self.shop.name, "no-reply", domain)
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
        reason = first["msg"].removeprefix("Value error, ")
        raise LettersInvalid(f"shop.toml: {'.'.join(map(str, first['loc']))}: {reason}") from error


def read_address(text: str) -> Address:
    """Return an address such as `Shop <shop@example.com>`; raise ValueError."""
    found = ADDRESS.fullmatch(text)
    if found is None or not text.isprintable():
        raise ValueError("must be an email address, or a name with an address in angle brackets")
    address = make_address(found["spec"] or found["bare"], found["quoted"] or (found["name"] or "").strip())
    if not address.addr_spec.isascii():
        raise ValueError("must be an email address that every mail server accepts: in ASCII before the @")
    return address


def make_address(spec: str, name: str = "") -> Address:
    """Return the address `user@domain`, whose domain becomes ASCII; raise ValueError."""
    user, _, domain = spec.rpartition("@")
    try:
        if user.isascii():
            return Address(name, addr_spec=f"{user}@{encode_domain(domain)}")
        # The parser refuses a user's name of RFC 6531.
        if USER.fullmatch(user) and user.isprintable() and domain:
            return Address(name, user, encode_domain(domain))
    except (ValueError, IndexError, MessageError):
        pass
    raise ValueError("must be an email address")


def encode_domain(domain: str) -> str:
    """Return a domain in ASCII (RFC 5891), which every mail server accepts; raise ValueError."""
    return domain if domain.isascii() else idna.encode(domain, uts46=True).decode()


def isolate(text: object) -> str:
    """Return text that leaves the direction of the line around it as it is, for a plain text (UAX 9)."""
    plain = str(text)
    if any(each in EMBEDDINGS or unicodedata.bidirectional(each) in FROM_RIGHT for each in plain):
        return FIRST_STRONG_ISOLATE + plain.translate(dict.fromkeys(map(ord, EMBEDDINGS))) + POP_ISOLATE
    return plain


def _explain(name: str, error: Exception) -> str:
    """Return where in which template an error is: `order_shipped.txt, line 3: 'ordr' is undefined`."""
    if isinstance(error, TemplateSyntaxError):
        where, line, reason = error.name or name, error.lineno, error.message
    elif isinstance(error, TemplateNotFound):
        where, line, reason = name, None, f"there is no template {error.name}"
    else:
        # Jinja puts the lines of templates into the traceback.
        frames = [
            each for each in extract_tb(error.__traceback__) if each.filename.endswith((".txt", ".html"))
        ]
        where, line = (Path(frames[-1].filename).name, frames[-1].lineno) if frames else (name, None)
        reason = str(error) or error.__class__.__name__
    return f"{where}, line {line}: {reason}" if line else f"{where}: {reason}"


def _format_day(moment: datetime) -> str:
    return f"{moment:%B} {moment.day}, {moment.year}"


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
