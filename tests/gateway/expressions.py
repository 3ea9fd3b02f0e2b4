"""The regular expressions of the gateway's configuration, and worst-case subjects for them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]  # There is no public parser.
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

WORD = re.compile(r"""\#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|[^\s;{}]+""", re.DOTALL)
ESCAPE = re.compile(r"""\\(["'\\tnr])""")
ESCAPES = {"t": "\t", "n": "\n", "r": "\r"}
OPERATORS = ("~", "~*", "!~", "!~*")
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
# Samples for a character class: with the right one, a loop also matches what follows it.
USUAL = "a0 ;/"
# Ends of a subject that make the match fail.
ENDS = ("", "!")


@dataclass(frozen=True)
class Expression:
    """An nginx expression and its file."""

    file: str
    text: str
    ignores_case: bool

    @property
    def key(self) -> str:
        """Return the expression as the key of a map."""
        escaped = self.text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"~{"*" if self.ignores_case else ""}{escaped}"'


def find_expressions(files: Iterable[Path]) -> list[Expression]:
    """Return the expressions of maps, locations, servers, conditions and rewrites in nginx files."""
    found = []
    for file in files:
        for words in _read_statements(file.read_text()):
            for before, word in zip(["", *words], words, strict=False):
                if before in OPERATORS:
                    found.append(Expression(file.name, word.removesuffix(")"), before.endswith("*")))
                elif before == "rewrite":
                    found.append(Expression(file.name, word, ignores_case=False))
                elif word.startswith("~") and word not in OPERATORS:
                    found.append(Expression(file.name, word.lstrip("~").removeprefix("*"), word[1] == "*"))
    return found


def _read_statements(text: str) -> Iterator[list[str]]:
    words: list[str] = []
    for match in WORD.finditer(text):
        word = match[0]
        if word in "{};":
            yield words
            words = []
        elif word[0] in "\"'":
            words.append(ESCAPE.sub(lambda found: ESCAPES.get(found[1], found[1]), word[1:-1]))
        elif word[0] != "#":
            words.append(word)


def make_subjects(expression: Expression, size: int) -> set[str]:
    """Return subjects of a size, each a repetition of a part that the expression matches.

    An expression is slow if two of its loops, or a loop and the search for a start, can divide the same
    characters among them. So every part of every sequence in it is repeated, after the prefix before it. The
    letters differ in each repetition if the expression has a back-reference.
    """
    text = expression.text.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!")
    tree = parser.parse(text.replace("\\z", "\\Z"))
    parts = list(_walk(tree))
    marks = {chr(value) for op, value in parts if op is codes.LITERAL and not chr(value).isalnum()}
    looks_back = any(op is codes.GROUPREF for op, _ in parts)
    subjects = set()
    for favourite in sorted(marks | set(USUAL)):
        for prefix, loop in _list_loops(tree, favourite, "", {}):
            times = size // len(loop) + 1
            loops = [loop * times]
            if looks_back and favourite.isalpha():
                loops.append("".join(loop.replace(favourite, spell(number)) for number in range(times)))
            for end in ENDS:
                subjects |= {(prefix + each)[: size - len(end)] + end for each in loops}
    # An HTTP header has no line breaks.
    return {subject for subject in subjects if "\n" not in subject and "\r" not in subject}


def spell(number: int) -> str:
    """Return three letters for a number."""
    return "".join(chr(ord("a") + number // size % 26) for size in (676, 26, 1))


def _walk(sequence: Any) -> Iterator[tuple[Any, Any]]:
    for op, value in sequence:
        yield op, value
        for inner in _inner(op, value):
            yield from _walk(inner)


def _inner(op: Any, value: Any) -> list[Any]:
    """Return the sequences inside a part of an expression."""
    if op is codes.BRANCH:
        return list(value[1])
    if op in REPEATS:
        return [value[2]]
    if op is codes.SUBPATTERN:
        return [value[3]]
    if op in (codes.ASSERT, codes.ASSERT_NOT):
        return [value[1]]
    if op is codes.ATOMIC_GROUP:
        return [value]
    return []


def _list_loops(
    sequence: Any, favourite: str, prefix: str, groups: dict[int, str]
) -> Iterator[tuple[str, str]]:
    """Return the parts of a sequence, each with its prefix."""
    samples: list[str] = []
    is_word = False
    for part in sequence:
        for inner in _inner(*part):
            yield from _list_loops(inner, favourite, prefix + "".join(samples), groups)
        sample = _sample(part, favourite, groups)
        # Keep the characters of a word together, or there would be thousands of parts.
        if is_word and part[0] is codes.LITERAL:
            samples[-1] += sample
        else:
            samples.append(sample)
        is_word = part[0] is codes.LITERAL
    for first in range(len(samples)):
        for last in range(first, len(samples)):
            if loop := "".join(samples[first : last + 1]):
                yield prefix + "".join(samples[:first]), loop


def _sample(part: tuple[Any, Any], favourite: str, groups: dict[int, str]) -> str:
    """Return a text that a part matches, of the favourite character where possible."""
    op, value = part
    if op is codes.LITERAL:
        return chr(value)
    if op in (codes.ANY, codes.NOT_LITERAL, codes.IN):
        characters = [favourite, *USUAL, *map(chr, range(33, 127))]
        return next(each for each in characters if _takes(op, value, each))
    if op is codes.GROUPREF:
        return groups.get(value, "")
    if op in (codes.ASSERT, codes.ASSERT_NOT, codes.AT):
        return ""
    text = "".join(_sample(each, favourite, groups) for each in _inner(op, value)[0])
    if op is codes.SUBPATTERN and value[0]:
        groups[value[0]] = text
    return text * max(value[0], 1) if op in REPEATS else text


def _takes(op: Any, value: Any, character: str) -> bool:
    if op is codes.ANY:
        return True
    if op is codes.NOT_LITERAL:
        return bool(ord(character) != value)
    categories = {
        codes.CATEGORY_SPACE: r"\s",
        codes.CATEGORY_NOT_SPACE: r"\S",
        codes.CATEGORY_DIGIT: r"\d",
        codes.CATEGORY_WORD: r"\w",
    }
    negated = value[0][0] is codes.NEGATE
    for item, what in value:
        if (
            (item is codes.LITERAL and what == ord(character))
            or (item is codes.RANGE and what[0] <= ord(character) <= what[1])
            or (item is codes.CATEGORY and re.match(categories[what], character))
        ):
            return not negated
    return negated
