"""Mails from templates: what a shop's owner overrides, escaping, directions of text, and errors."""

import re

import pytest

from shared.letters import SHARED_TEMPLATES, Letters, LettersInvalid, Shop, isolate, read_address

TEXT = """Subject: Hello {{ name }}
Dear {{ name|isolate }}, {{ amount|money('USD') }}
{% include 'footer.txt' %}"""
HTML = """{% extends "layout.html" %}{% import "parts.html" as parts with context %}
{% block title %}{{ subject }}{% endblock %}
{% block content %}{% call parts.paragraph() %}Dear <bdi>{{ name }}</bdi>{% endcall %}{% endblock %}"""
VALUES = {"name": "Ada", "amount": 129_980}
SHALOM = "\u05e9\u05dc\u05d5\u05dd"
# White on the default green, and black on yellow.
CONTRASTS = [("#17603b", "#ffffff"), ("#000000", "#ffffff"), ("#ffffff", "#000000"), ("#ffd500", "#000000")]


@pytest.fixture
def folders(tmp_path):
    """The folder of a service's templates, and that of the owner."""
    ours, owners = tmp_path / "mails", tmp_path / "owner"
    ours.mkdir()
    owners.mkdir()
    write(ours, "note.txt", TEXT)
    write(ours, "note.html", HTML)
    return ours, owners


def write(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8")


def open_letters(folders, *, url="https://shop.example.com"):
    ours, owners = folders
    return Letters(ours, public_url=url, overrides=owners)


def render(folders, **values):
    return open_letters(folders).render("note", {**VALUES, **values})


def test_a_mail_has_a_subject_a_text_and_html(folders):
    letter = render(folders)
    assert letter.subject == "Hello Ada"
    assert letter.text == "Dear Ada, 1,299.80 USD\n\n-- \nShopfleet\nhttps://shop.example.com\n"
    assert "<title>Hello Ada</title>" in letter.html
    assert 'href="https://shop.example.com/"' in letter.html


def test_an_owner_changes_name_colour_sender_and_footer_by_a_file(folders):
    write(
        folders[1],
        "shop.toml",
        'name = "Tea & Co"\ncolour = "#ffd500"\nsender = "tea@example.com"\n'
        'reply_to = "Help <help@example.com>"\nfooter = """Tea & Co\n1 Long Lane"""\n',
    )
    letters = open_letters(folders)
    letter = letters.render("note", VALUES)
    assert "Tea & Co\nhttps://shop.example.com\nTea & Co\n1 Long Lane\n" in letter.text
    assert letter.html.count('<bdi dir="auto">Tea &amp; Co</bdi>') >= 2
    assert '<bdi dir="auto">1 Long Lane</bdi>' in letter.html
    assert "background: #ffd500; color: #000000" in letter.html
    assert str(letters.choose_sender(None)) == "Tea & Co <tea@example.com>"
    assert str(letters.choose_sender("Other <other@example.com>")) == "Other <other@example.com>"
    assert str(read_address(letters.shop.reply_to or "")) == "Help <help@example.com>"


def test_the_text_on_the_shops_colour_is_the_one_of_more_contrast():
    assert [(colour, Shop(colour=colour).on_colour) for colour, _ in CONTRASTS] == CONTRASTS
    # WCAG 2.2 asks for 4.5; the middle grey is the worst case.
    greys = [f"#{grey:02x}{grey:02x}{grey:02x}" for grey in range(256)]
    assert min(contrast(grey, Shop(colour=grey).on_colour) for grey in greys) >= 4.5


def contrast(one, other):
    """Return the contrast of two colours (WCAG 2.2)."""
    darker, lighter = sorted(luminance(each) for each in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_an_owner_overrides_one_template_and_the_others_stay(folders):
    write(folders[1], "note.txt", "Subject: Hi {{ name }}\nHi!")
    letter = render(folders)
    assert (letter.subject, letter.text) == ("Hi Ada", "Hi!\n")
    assert "Dear <bdi>Ada</bdi>" in letter.html
    write(folders[1], "layout.html", "<p>{% block content %}{% endblock %}</p>")
    assert re.fullmatch(r"\s*<p>\s*<p style=.*Dear <bdi>Ada</bdi></p></p>\s*", render(folders).html)


def test_a_template_of_another_service_in_the_owners_folder_needs_nothing_of_this_one(folders):
    write(folders[1], "password_reset.txt", "{% include 'part_of_another_service.txt' %}")
    assert render(folders).subject == "Hello Ada"


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("note.txt", "Subject: x\n\n{{ nmae }}", "note.txt, line 3: 'nmae' is undefined"),
        ("note.txt", "Subject: x\n{{ 1 / 0 }}", "note.txt, line 2: division by zero"),
        ("note.txt", "Subject: x\n{{ name|money('USD') }}", "note.txt, line 2: "),
        ("note.html", "\n{{ name.first }}", "note.html, line 2: 'str object' has no attribute 'first'"),
        ("footer.txt", "{{ shop.nmae }}", "footer.txt, line 1: "),
    ],
)
def test_an_error_of_a_template_names_the_template_and_the_line(folders, name, content, error):
    write(folders[1], name, content)
    with pytest.raises(LettersInvalid) as raised:
        render(folders)
    assert str(raised.value).startswith(error)


def test_a_template_that_is_repaired_works_without_a_restart(folders):
    write(folders[1], "note.txt", "Subject: x\nold")
    letters = open_letters(folders)
    write(folders[1], "note.txt", "Subject: x\n{{ nmae }")
    with pytest.raises(LettersInvalid, match=r"note.txt, line 2: unexpected '}'"):
        letters.render("note", VALUES)
    write(folders[1], "note.txt", "Subject: x\n{{ name }}")
    assert letters.render("note", VALUES).text == "Ada\n"


def test_values_are_text_in_html_and_unchanged_in_the_text(folders):
    name = "<script>alert(1)</script> & \"{{ 7 * 7 }}\" 'x'"
    letter = render(folders, name=name)
    assert f"Dear {name}," in letter.text
    assert letter.subject == f"Hello {name}"
    assert "<script" not in letter.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;{{ 7 * 7 }}&#34;" in letter.html


def test_a_subject_is_one_line_without_control_characters(folders):
    for name in ("Ada\r\nBcc: eve@example.com", "Ada\u2028x", "Ada\x85x", "Ada\x00\x1b[31mx", "\n\n"):
        subject = render(folders, name=name).subject
        assert subject.startswith("Hello"), name
        assert re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]|\s$", subject) is None, name
    assert render(folders, name="\U0001f469\u200d\U0001f4bb \U0001f375").subject == (
        "Hello \U0001f469\u200d\U0001f4bb \U0001f375"
    )


def test_text_from_right_to_left_leaves_the_direction_of_its_line_as_it_is(folders):
    for plain in ("Ada", "Zoë \U0001f375", "茶", ""):
        assert isolate(plain) == plain
    assert isolate(SHALOM) == f"\u2068{SHALOM}\u2069"
    # Characters that turn the text after them, or would end the isolate.
    assert isolate("a\u202eb") == "\u2068ab\u2069"
    assert isolate(f"{SHALOM}\u2069\u202e") == f"\u2068{SHALOM}\u2069"
    assert f"Dear \u2068{SHALOM}\u2069, 1,299.80 USD" in render(folders, name=SHALOM).text


def test_amounts_have_the_decimals_of_their_currency(folders):
    write(
        folders[1],
        "note.txt",
        "Subject: x\n{{ 129980|money('USD') }} {{ 1299|money('JPY') }} {{ 1299805|money('KWD') }}"
        " {{ -5|money('EUR') }}",
    )
    assert render(folders).text == "1,299.80 USD 1,299 JPY 1,299.805 KWD -0.05 EUR\n"


def test_the_shared_templates_need_no_values_of_a_service():
    assert {file.name for file in SHARED_TEMPLATES.iterdir()} == {"footer.txt", "layout.html", "parts.html"}
    for file in SHARED_TEMPLATES.glob("*.html"):
        assert not re.search(r"\{\{\s*(order|user)\b", file.read_text(encoding="utf-8"))
