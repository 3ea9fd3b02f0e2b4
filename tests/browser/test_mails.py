"""Mails as their recipients see them: on a phone and a desktop, light and dark, with difficult contents."""

import dataclasses
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page

from auth.account_mails import TEMPLATES as ACCOUNT_TEMPLATES
from orders.domain import Event, Line, Order, Status
from orders.order_mails import TEMPLATES, describe_order
from orders.totals import Adjustment
from shared.letters import Letter, Letters
from tests.browser.storefront import find_barriers, find_brightness

ADDRESS = {
    "name": "Ada Buyer",
    "line1": "1 Long Lane",
    "city": "Springfield",
    "region": "IL",
    "country": "US",
}
PLACED = datetime(2026, 3, 1, 10, tzinfo=UTC)
ORDER = Order(
    id=UUID("0199c0de-0000-7000-8000-0123456789ab"),
    customer="ada",
    status=Status.CONFIRMED,
    reason=None,
    email="ada@example.com",
    payment_method="pm_card_visa",
    shipping_address={**ADDRESS, "postal_code": "62701"},
    currency="USD",
    items_amount=15800,
    amount_refunded=0,
    payment_id=None,
    payment_status=None,
    refusal=None,
    request_id="",
    traceparent="",
    created_at=PLACED,
    updated_at=PLACED,
    number=1001,
    amount=15800,
    lines=(
        Line(4, 2, "KIT-0004", "Conical Burr Hand Coffee Grinder", 7200),
        Line(9, 1, "KIT-0009", "Tea towels", 1400),
    ),
)
UNBREAKABLE = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
HEBREW = {
    "name": "שרה כהן־לוי",
    "line1": "רחוב הרצל 12, דירה 3",
    "city": "תל אביב",
    "postal_code": "6688312",
    "country": "IL",
}
# Orders by what is difficult about them.
ORDERS = {
    "ordinary": ORDER,
    "unbreakable words": dataclasses.replace(
        ORDER,
        lines=(Line(4, 1000, "KIT", UNBREAKABLE, 99_999_999),),
        shipping_address={**ADDRESS, "name": UNBREAKABLE, "line1": UNBREAKABLE},
        note=f"{UNBREAKABLE}\n\n\n{'Please ring twice, and leave it with the neighbours. ' * 15}",
        amount=99_999_999_000,
    ),
    "thirty lines and all totals": dataclasses.replace(
        ORDER,
        lines=tuple(
            Line(
                n,
                n,
                f"KIT-{n}",
                f"Hand-forged kitchen knife with walnut handle, number {n}, {10 + n} cm",
                1999,
            )
            for n in range(1, 31)
        ),
        adjustments=(
            Adjustment("discount", "WELCOME10", "WELCOME10", -92954),
            Adjustment("shipping", "standard", "Standard delivery", 0),
            Adjustment("tax", "DE", "VAT 19 %", 133573, included=True),
            Adjustment("tax", "DE-food", "VAT 7 %", 1357, included=True),
        ),
        items_amount=929535,
        amount=836581,
        billing_address={**ADDRESS, "name": "Buyer & Sons <Ltd>", "country": "GB", "postal_code": "SW1A 1AA"},
        number=None,
    ),
    "right to left, with emoji": dataclasses.replace(
        ORDER,
        lines=(
            Line(1, 2, "TEA", "קומקום תה 500 ml (כחול) 🫖", 12000),
            Line(2, 1, "CUP", "فنجان قهوة عربية", 5000),
        ),
        currency="JPY",
        items_amount=29000,
        amount=29500,
        adjustments=(
            Adjustment("shipping", "post", "דואר ישראל", 500),
            Adjustment("tax", "IL", "מע״מ", 4286, included=True),
        ),
        shipping_address=HEBREW,
        note="תודה רבה! 🍪🍪\nPlease wrap it as a gift.",
    ),
    "three decimals": dataclasses.replace(
        ORDER, currency="KWD", items_amount=15_800_125, amount=15_800_125, amount_refunded=1_250
    ),
}
EVENTS = {
    "order_confirmed": ("confirmed", None, {}),
    "order_shipped": ("shipped", None, {}),
    "order_refunded": ("refunded", "1250 USD", {"amount_refunded": 1250}),
    "order_cancelled": ("cancelled", "stock_lost", {"reason": "stock_lost"}),
}
TOKEN = "V7dCE3tAk" * 5
# The mails with a button to a page of the storefront, by their templates, and the values that these use.
ACCOUNT = {
    **dict.fromkeys(
        ("email_verify", "password_reset", "password_changed", "address_changed", "address_in_use"),
        ACCOUNT_TEMPLATES,
    ),
    "order_lookup": TEMPLATES,
    "webhook_disabled": TEMPLATES,
}
PERSON = {
    "username": f"שרה {'x' * 60}",
    "email": f"{'unbreakable' * 8}@example.com",
    "new_email": "ada@example.com",
    "number": 1001,
    "link": f"https://shop.example/#/verify-email?token={TOKEN}",
    "forgot_url": "https://shop.example/#/forgot-password",
    "url": f"https://receiver.example/{'x' * 90}",
    "error": "It answered 500.",
    "since": PLACED,
    "waiting": 3,
}
# The files `shop.toml` of owners.
OWNERS = {
    "default": "",
    "light": f'''name = "{"Überraschungsgeschenkartikelfachgeschäft" * 2}"
        colour = "#ffe08a"
        reply_to = "Shop <shop@example.com>"
        footer = """Example Ltd
{"unbreakable" * 9}
1 High Street, London"""''',
    "black": 'name = "חנות התה"\ncolour = "#101010"',
}
NARROW = 320  # Pixels.
SCHEMES = ("light", "dark")


def make_letters(folder: Path, owner: str) -> dict[str, Letter]:
    """Return the mails of a shop by a name that says what they are."""
    (folder / "shop.toml").write_text(OWNERS[owner], encoding="utf-8")
    of_folder = {
        templates: Letters(templates, public_url="https://shop.example", overrides=folder)
        for templates in (TEMPLATES, ACCOUNT_TEMPLATES)
    }
    made = {kind: of_folder[templates].render(kind, PERSON) for kind, templates in ACCOUNT.items()}
    letters = of_folder[TEMPLATES]
    for kind, (event, detail, changes) in EVENTS.items():
        for difficulty, order in ORDERS.items():
            told = Event(ORDER.id, PLACED, event, None, None, "ada", detail)
            values = describe_order(dataclasses.replace(order, **changes), told)
            made[f"{kind}, {difficulty}"] = letters.render(kind, values)
    return made


def read_words(text: str) -> set[str]:
    """Return the words of a text; the HTML and the text part have different signs for `times`."""
    return set(re.findall(r"\w+", text.replace("\u00d7", "x")))


@pytest.fixture
def mail(browser: Browser) -> Iterator[Page]:
    """A page for mails, which has no shop."""
    page = browser.new_page()
    yield page
    page.close()


def find_colour_faults(page: Page) -> list[str]:
    """Return the barriers of the mail in the page in both colour schemes, and wrong colours."""
    faults = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        faults += [f"{scheme}: {barrier}" for barrier in find_barriers(page)]
        for place in ("document.body", "document.querySelector('.card')"):
            if (find_brightness(page, place) < 200) is not (scheme == "dark"):
                faults.append(f"{place} is not {scheme}")
    return faults


def measure_overflow(page: Page) -> int:
    """Return how many pixels of the mail in the page are beside a small phone's screen."""
    page.set_viewport_size({"width": NARROW, "height": 700})
    return int(page.evaluate("document.documentElement.scrollWidth")) - NARROW


@pytest.mark.parametrize("owner", OWNERS)
def test_no_mail_scrolls_to_the_side(mail, tmp_path, owner):
    overflow = {}
    for name, letter in make_letters(tmp_path, owner).items():
        mail.set_content(letter.html)
        overflow[name] = measure_overflow(mail)
    assert {name: pixels for name, pixels in overflow.items() if pixels} == {}


@pytest.mark.parametrize("owner", OWNERS)
def test_a_mail_is_readable_in_both_colour_schemes(mail, tmp_path, owner):
    faults = {}
    for name, letter in make_letters(tmp_path, owner).items():
        # An owner's colour is in the same places of every mail.
        is_looked_at = name.endswith("emoji") or name in ACCOUNT
        if is_looked_at if owner == "default" else name == "email_verify":
            mail.set_content(letter.html)
            faults[name] = find_colour_faults(mail)
    assert len(faults) == (len(EVENTS) + len(ACCOUNT) if owner == "default" else 1)
    assert {name: found for name, found in faults.items() if found} == {}


def test_faint_words_and_wide_words_of_a_mail_are_faults(mail, tmp_path):
    html = make_letters(tmp_path, "default")["order_confirmed, unbreakable words"].html
    mail.set_content(html.replace("overflow-wrap: anywhere; word-break: break-word;", ""))
    assert measure_overflow(mail) > 0
    faint = html.replace("color: #5a665f", "color: #99a29d").replace("color: #a3afa8", "color: #59635d")
    mail.set_content(faint)
    found = [fault for fault in find_colour_faults(mail) if "color-contrast" in fault]
    assert {fault.partition(":")[0] for fault in found} == set(SCHEMES)


def test_the_text_of_a_mail_says_all_that_its_html_says(mail, tmp_path):
    missing = {}
    for name, letter in make_letters(tmp_path, "light").items():
        if name in ACCOUNT:
            continue  # The words about the button are not in the text.
        mail.set_content(letter.html)
        shown = read_words(mail.locator("body").inner_text())
        missing[name] = shown - read_words(f"{letter.subject} {letter.text}")
        headings = mail.locator("h2").all_inner_texts()
        missing[name] |= {heading for heading in headings if f"\n{heading}:" not in letter.text}
    assert {name: words for name, words in missing.items() if words} == {}


def test_the_links_of_a_mail_lead_to_the_public_url(tmp_path):
    for name, letter in make_letters(tmp_path, "default").items():
        home, *links = re.findall(r'href="([^"]*)"', letter.html)
        assert home == "https://shop.example/"
        if name in ACCOUNT:
            assert set(links) <= {
                PERSON["link"],
                PERSON["forgot_url"],
                "https://shop.example/#/admin/webhooks",
            }
            assert all(link in letter.text for link in links)
        else:
            assert links == [f"https://shop.example/#/orders/{ORDER.id}"]
            assert links[0] in letter.text


@pytest.mark.parametrize("owner", OWNERS)
def test_the_text_of_a_mail_has_no_runs_of_blank_lines_and_wraps(tmp_path, owner):
    faults = []
    for name, letter in make_letters(tmp_path, owner).items():
        if "\n\n\n" in letter.text or letter.text != letter.text.strip() + "\n":
            faults.append(f"{name}: a run of blank lines")
        for line in letter.text.splitlines():
            if line != line.rstrip() and line != "-- ":
                faults.append(f"{name}: blanks at the end of {line!r}")
            if len(line) > 72 and " " in line.strip():
                faults.append(f"{name}: the long line {line!r}")
        if "\n\n-- \n" not in letter.text:
            faults.append(f"{name}: no blank line before the signature")
        if "None" in f"{letter.subject} {letter.text} {letter.html}":
            faults.append(f"{name}: a value that is not there")
    assert faults == []


def test_a_list_of_a_text_continues_below_its_words(tmp_path):
    (tmp_path / "list.txt").write_text(
        f"Subject: A list\n\n- {'word ' * 30}\n\n\n\n  {'more ' * 30}\nend-of-it {'x' * 90}"
    )
    (tmp_path / "list.html").write_text("")
    lines = Letters(TEMPLATES, public_url="https://shop.example", overrides=tmp_path).render("list", {}).text
    assert lines.splitlines() == [
        "- " + " ".join(["word"] * 14),
        "  " + " ".join(["word"] * 14),
        "  " + " ".join(["word"] * 2),
        "",
        "  " + " ".join(["more"] * 14),
        "  " + " ".join(["more"] * 14),
        "  " + " ".join(["more"] * 2),
        "end-of-it",
        "x" * 90,
    ]
