"""Hooks of the site: fences that tests read, and links to files outside docs/."""

import re
from typing import Any

# [text](../path), as a page links to a file of the repository.
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")
# ```console needs=docker tells the tests what a block needs.
NEEDS = re.compile(r"^```console needs=\w+$", re.MULTILINE)


def on_page_markdown(markdown: str, config: Any, **_: Any) -> str:
    """Link files outside docs/ to REPO_URL, or name their path where the site has no REPO_URL."""

    def link(match: re.Match[str]) -> str:
        text, path = match.groups()
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path})"
        return f"`{path}`" if text.strip("`") in path else f"{text} (`{path}`)"

    return NEEDS.sub("```console", OUTSIDE.sub(link, markdown))
