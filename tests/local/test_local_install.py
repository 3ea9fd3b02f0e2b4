"""The lock files name every package that is needed, at a version that suits the others."""

import subprocess
import sys

import pytest


# Not fast, although it needs no shop.
@pytest.mark.shop
def test_the_installed_packages_have_what_they_need() -> None:
    """Nothing is resolved at installing (`--no-deps`), so a lock that forgets a package shows up here."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
