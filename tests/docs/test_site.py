"""The site of docs/: it builds without a warning, and a reader finds each page."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from docs.hooks import on_page_markdown
from tests.docs.pages import PAGES
from tests.stacks import ROOT


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    overview = (tmp_path / "index.html").read_text(encoding="utf-8")
    missing = [
        page.stem for page in PAGES if page.stem != "README" and f'href="{page.stem}.html"' not in overview
    ]
    assert missing == []


def test_a_link_to_a_file_leads_to_the_repository_or_shows_the_path() -> None:
    page = (
        "```console needs=docker\n```\n"
        "[steps.py](../orders/steps.py) [Security](../SECURITY.md#gaps) [API](api.md)"
    )
    shown = {
        url: on_page_markdown(page, SimpleNamespace(repo_url=url))
        for url in ("", "https://code.example/shop/")
    }
    assert shown == {
        "": "```console\n```\n`orders/steps.py` Security (`SECURITY.md`) [API](api.md)",
        "https://code.example/shop/": "```console\n```\n"
        "[steps.py](https://code.example/shop/blob/main/orders/steps.py) "
        "[Security](https://code.example/shop/blob/main/SECURITY.md) [API](api.md)",
    }


def test_the_front_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
