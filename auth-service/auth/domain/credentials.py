"""The rules for user names and passwords."""

import hashlib
import json
import re
import unicodedata
from functools import cache
from importlib.resources import files

from confusable_homoglyphs.categories import unique_aliases  # type: ignore[import-untyped]  # It has no types.

NAME_LENGTH = range(3, 151)  # Characters.
PASSWORD_LENGTH = range(8, 1025)  # Characters (NIST SP 800-63B, section 5.1.1.2: at least 8, no other rule).
GUEST_PREFIX = "guest-"

# Scripts that a name may combine (UTS 39, section 5.2, "highly restrictive").
MIXED_SCRIPTS = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
EVERY_SCRIPT = frozenset({"COMMON", "INHERITED"})  # Characters that every script may use, such as digits.
# Letters that Unicode does not decompose.
PLAIN_LETTERS = str.maketrans(
    {"\u00df": "ss", "\u0142": "l", "\u00f8": "o", "\u00e6": "ae", "\u0111": "d", "\u0131": "i"}
)
# Invisible characters that Unicode classes as letters, marks or symbols: the printable ones of
# Default_Ignorable_Code_Point, and the Braille blank.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
LEFT_TO_RIGHT = "\u200e"

# Digits and signs that replace letters. The letters i and l and the digit 1 are the same here, because people
# write each of them for the others.
LEET = str.maketrans("@4836901!|i$5+72(", "aabeggollllssttzc")
SEPARATORS = re.compile(r"[\W_]+")
SHOP = "Shopfleet"
OWN_WORD = 3  # The fewest characters of a word that makes a password weak.
LONGEST_DERIVED = 256  # Characters of the longest password that is checked for the owner's words.

GUESSABLE = "is too easy to guess; choose a different one"
DERIVED = "must not be based on the user name, the e-mail address or the shop's name"


def normalize_name(username: str) -> str:
    """Return a user name in its normal form (Unicode NFKC); case is kept and does not matter."""
    return unicodedata.normalize("NFKC", username)


def choose_name(username: str) -> str:
    """Return a new user name in its normal form; raise ValueError with a sentence if it is not allowed."""
    name = normalize_name(username)
    if len(name) not in NAME_LENGTH:
        raise ValueError(f"must have {NAME_LENGTH[0]} to {NAME_LENGTH[-1]} characters")
    # Refuse control characters, unassigned code points, and separators other than the plain space.
    if not name.isprintable():
        raise ValueError("must not contain control or invisible characters")
    if name != name.strip():
        raise ValueError("must not begin or end with a space")
    if "@" in name:
        raise ValueError("must not contain @, which email addresses have")
    looks = _list_looks(name)
    if not all(looks):
        raise ValueError("must contain visible characters")
    if any(look.startswith(GUEST_PREFIX) for look in looks):
        raise ValueError(f"must not begin with {GUEST_PREFIX}")
    scripts = unique_aliases(name) - EVERY_SCRIPT
    if len(scripts) > 1 and not any(scripts <= mixed for mixed in MIXED_SCRIPTS):
        raise ValueError("must not mix scripts, except Latin with Chinese, Japanese or Korean")
    return name


def derive_skeletons(username: str) -> list[bytes]:
    """Return sorted hashes of a name's appearance; two names that share a hash look alike (UTS 39).

    Names keep their case but are compared without it. So a name has two skeletons: one as it is written,
    where a capital I looks like a small L, and one in small letters.
    """
    return sorted(hashlib.sha256(look.encode()).digest() for look in _list_looks(username))


def _list_looks(username: str) -> set[str]:
    return {_draw(_fold(username)), _fold(_draw(username))}


def _fold(text: str) -> str:
    """Return a text in small letters, without accents and invisible characters."""
    small = normalize_name(normalize_name(text).casefold())
    characters = unicodedata.normalize("NFD", INVISIBLE.sub("", small))
    bare = "".join(each for each in characters if not _is_mark(each))
    # A browser displays a row of spaces as one.
    return " ".join(bare.translate(PLAIN_LETTERS).split())


def _is_mark(character: str) -> bool:
    # The vowels of Indian scripts are marks of class 0. They are kept, because they distinguish names.
    return unicodedata.combining(character) != 0 or unicodedata.category(character) == "Me"


def _draw(text: str) -> str:
    """Return the confusable skeleton of a text (UTS 39, section 4)."""
    drawn = unicodedata.normalize("NFD", text).translate(_read_prototypes())
    return unicodedata.normalize("NFD", drawn)


@cache
def _read_prototypes() -> dict[int, str]:
    """Return the prototype of each confusable character.

    The library pairs each character with its prototype in both directions. The prototype is the side with
    many partners or with several characters. Of two single characters it is the first in Unicode.
    """
    file = files("confusable_homoglyphs").joinpath("confusables.json")
    # The library's own module would keep the names of all characters in memory. Its data enclose
    # right-to-left text in direction marks.
    partners = {
        source.strip(LEFT_TO_RIGHT): [each["c"].strip(LEFT_TO_RIGHT) for each in pairs]
        for source, pairs in json.loads(file.read_text(encoding="utf-8")).items()
    }
    prototypes: dict[int, str] = {}
    for source, (target, *others) in partners.items():
        is_pair = not others and len(partners[target]) == 1
        if len(source) == 1 and not others and (not is_pair or len(target) > 1 or target < source):
            prototypes[ord(source)] = target
    # A prototype of several characters may contain characters with prototypes of their own.
    return {source: target.translate(prototypes) for source, target in prototypes.items()}


def find_weakness(password: str, *names: str | None) -> str | None:
    """Return why a new password of a user with these names is refused; None if it is accepted.

    The hashing process estimates how many guesses the password withstands.
    """
    if len(password) not in PASSWORD_LENGTH:
        return f"must have {PASSWORD_LENGTH[0]} to {PASSWORD_LENGTH[-1]} characters"
    if len(password) <= LONGEST_DERIVED:
        folded = _fold(password)
        texts = (folded, SEPARATORS.sub("", folded))
        if any(_is_derived(text, word) for word in list_own_words(*names) for text in texts):
            return DERIVED
    return None


def list_own_words(*names: str | None) -> list[str]:
    """Return the names, the shop's name and the words in each of them, in small letters."""
    folded = [_fold(name) for name in (SHOP, *names) if name]
    local_parts = [name.rpartition("@")[0] for name in folded]
    joined = [SEPARATORS.sub("", each) for each in (*folded, *local_parts)]
    words = [word for name in folded for word in SEPARATORS.split(name)]
    own = dict.fromkeys((*folded, *local_parts, *joined, *words))
    return [each for each in own if len(each) >= OWN_WORD]


def _is_derived(password: str, word: str) -> bool:
    """Return whether a password has no letters other than those of a word; both are folded.

    The password may repeat the word, reverse it, and replace letters with digits and signs.
    """
    read, wanted = password.translate(LEET), word.translate(LEET)
    for form in (wanted, wanted[::-1]):
        end, between = 0, ""
        # LEET maps each character to one character, so an index is valid in both texts.
        while (found := read.find(form, end)) >= 0:
            between += password[end:found]
            end = found + len(form)
        if end and not any(sign.isalpha() for sign in between + password[end:]):
            return True
    return False
