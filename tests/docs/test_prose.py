"""The check of the prose in `make lint`, and the reading of console blocks."""

from pathlib import Path

from tests.docs.pages import read_blocks
from tests.prose import ROOT, find_broken_links, find_words, read_avoided_words

WORDS = ["gizmo", "blue moon"]


def test_a_word_is_found_in_any_case_in_names_and_across_lines() -> None:
    found = {
        "Gizmo asks": [(1, "Gizmo")],
        "def test_gizmo_asks(): ...": [(1, "gizmo")],
        "# Once in a blue\n# moon.": [(1, "blue\n# moon")],
        "first\nonce_in_a_blue_moon": [(2, "blue_moon")],
        "gizmos, bluemoon, ablue moon": [],
        "blue\n\nmoon": [],
    }
    assert {text: list(find_words(text, WORDS)) for text in found} == found


def test_the_words_to_avoid_are_those_of_the_vocabulary() -> None:
    words = read_avoided_words((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(words) > 30
    assert [word for word in words if not word or "|" in word] == []


def test_a_link_to_a_missing_file_or_heading_is_broken(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# The life of a checkout\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#the-life-of-a-checkout) [c](#here) [d](https://shop.example/)\n"
        "[e](missing.md) [f](other.md#missing) [g](#there)\n\n# Here\n\n"
        "```console\n$ echo '[h](nowhere)'\n```\n"
    )
    assert list(find_broken_links(page)) == ["missing.md", "other.md#missing", "#there"]


def test_a_console_block_is_read_as_commands_with_their_output(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ curl -s \\\n     http://localhost:8080\n"
        '{"id":"…",…}\n'
        "$ echo 'one\ntwo'\none\ntwo\n```\n"
        "```json\n$ no command\n```\n```console needs=docker\n$ docker ps\n```\n"
    )
    first, second = read_blocks(page)
    assert (first.needs, second.needs) == ("", "docker")
    assert [command.text for command in first.commands] == [
        "curl -s \\\n     http://localhost:8080",
        "echo 'one\ntwo'",
    ]
    call, echo = first.commands
    assert call.matches('{"id":"7","status":"paid"}\n')
    assert not call.matches('{"name":"7"}')
    assert echo.matches("one\r\ntwo\n")
    assert not echo.matches("one\n")
