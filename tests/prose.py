"""Check the prose of the repository in `make lint`: words to avoid, and broken links.

The words are those of the column "avoid" in CONTRIBUTING.md. The check reads every tracked text: documents,
comments, docstrings, messages and names. The exit code is 1 if it finds a word or a broken link.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "CONTRIBUTING.md"
# Generated files, and products that are data.
LEFT_OUT = re.compile(
    r"requirements\.txt$|constraints\.txt$|\.(jpg|png|ico|svg|json|woff2?)$|sample_drawings"
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def list_files() -> list[Path]:
    """Return the files of the working tree that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in sorted(filter(None, names)) if (ROOT / name).is_file()]


def read_avoided_words(contributing: str) -> list[str]:
    """Return the words and phrases of the table's column "avoid"."""
    rows = contributing.partition("| avoid | use |")[2].partition("\n\n")[0].splitlines()[2:]
    return [word.strip() for row in rows for word in row.split("|")[1].split(",")]


def find_words(text: str, words: list[str]) -> Iterator[tuple[int, str]]:
    """Return the line and the word of each word to avoid, also between the underscores of a name."""
    # A phrase may continue on the next line of a comment.
    gap = r"(?:[ _]+|\n[ \t]*(?:[#*/]+[ \t]*)?)"
    patterns = [gap.join(map(re.escape, word.split())) for word in words]
    pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(patterns)})(?![^\W_])", re.IGNORECASE)
    for match in pattern.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[0]


def read_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts derive them."""
    headings = HEADING.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def find_broken_links(page: Path) -> Iterator[str]:
    """Return the relative links of a Markdown page that lead to no file or heading."""
    for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in read_anchors(file)):
            yield target


def main() -> int:
    """Print each finding as FILE:LINE, and return the exit code."""
    words = read_avoided_words(TABLE.read_text(encoding="utf-8"))
    findings = []
    for file in list_files():
        name = file.relative_to(ROOT).as_posix()
        if LEFT_OUT.search(name):
            continue
        text = file.read_text(encoding="utf-8")
        if file == TABLE:
            # The table itself names the words.
            text = re.sub(
                r"(?<=\| avoid \| use \|\n).*?(?=\n\n)",
                lambda rows: "\n" * rows[0].count("\n"),
                text,
                flags=re.DOTALL,
            )
        findings += [f'{name}:{line}: avoid "{word}"' for line, word in find_words(text, words)]
        if file.suffix == ".md":
            findings += [f"{name}: the link {target} is broken" for target in find_broken_links(file)]
    print("\n".join(findings) or "The prose has no words to avoid and no broken links.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
