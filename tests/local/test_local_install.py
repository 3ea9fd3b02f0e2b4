"""The lock files name every required package in compatible versions."""

import subprocess
import sys

import pytest


# It needs no shop but is slow.
@pytest.mark.shop
def test_the_installed_packages_have_what_they_need() -> None:
    """Installing resolves nothing (`--no-deps`), so this finds a package that a lock file lacks."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
