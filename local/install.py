"""Make a virtual environment and fill it from lock files: `install.py FOLDER requirements.txt …`.

It is run by whatever Python there is, so that it can say what is missing; it uses nothing newer than 3.6.
"""

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

OLDEST = (3, 11)


def main() -> None:
    """Stop at the first thing that is missing, with one sentence about it."""
    folder, *lock_files = sys.argv[1:]
    version = ".".join(str(number) for number in sys.version_info[:2])
    if sys.version_info < OLDEST:
        sys.exit(
            f"Shopfleet needs Python 3.11 or newer, and this is {version}; try `make PYTHON=python3.13 run`."
        )
    python = Path(folder, "bin", "python")
    if not has_pip(python):
        # Debian's bare python3 can import venv, and has nothing to fill it with.
        if importlib.util.find_spec("ensurepip") is None:
            sys.exit("This Python cannot make virtual environments; install python3-venv and try again.")
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
        # A lock file names everything; older resolvers trip over an extra whose package has a newer release.
        "--no-deps",
    ]
    for file in lock_files:
        command += ["-r", file]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.exit(f"The packages could not be installed; pip says:\n{done.stdout.decode(errors='replace')}")


def has_pip(python: Path) -> bool:
    """Tell whether the environment works: it may be half made, or its Python gone."""
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
