"""Make a virtual environment and install lock files into it: `install.py FOLDER requirements.txt …`.

Any Python may run this and must get a clear message, so it uses nothing newer than Python 3.6.
"""

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

OLDEST = (3, 11)


def main() -> None:
    """Make the environment; exit with one sentence if something is missing."""
    folder, *lock_files = sys.argv[1:]
    version = ".".join(str(number) for number in sys.version_info[:2])
    if sys.version_info < OLDEST:
        sys.exit(
            f"Shopfleet needs Python 3.11 or newer, and this is {version}. Try `make PYTHON=python3.13 run`."
        )
    python = Path(folder, "bin", "python")
    if not has_pip(python):
        # Debian's python3 without python3-venv can import venv but lacks ensurepip.
        if importlib.util.find_spec("ensurepip") is None:
            sys.exit("This Python cannot make virtual environments. Install python3-venv and try again.")
        print(f"Making {folder} with Python {version} …", flush=True)
        venv.create(folder, with_pip=True, clear=True, symlinks=True)
    print(f"Installing packages into {folder} …", flush=True)
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        # A lock file names every package. Older resolvers fail on an extra whose package has a newer release.
        "--no-deps",
    ]
    for file in lock_files:
        command += ["-r", file]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.exit(f"The packages could not be installed. pip wrote:\n{done.stdout.decode(errors='replace')}")


def has_pip(python: Path) -> bool:
    """Return whether the environment works; it may be incomplete, or its Python removed."""
    try:
        return (
            subprocess.run(
                [str(python), "-m", "pip", "--version"], stdout=subprocess.DEVNULL, check=False
            ).returncode
            == 0
        )
    except OSError:
        return False


if __name__ == "__main__":
    main()
