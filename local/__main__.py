"""Run the stack: `python -m local`."""

import sys


def main() -> int:
    """Check Python and the system before newer modules are imported, and run the stack."""
    if sys.version_info < (3, 11):  # noqa: UP036  (an older Python must reach this message)
        print(
            "Cannot start: Shopfleet needs Python 3.11 or newer; this one is " + sys.version.split()[0] + "."
        )
        return 1
    if not sys.platform.startswith("linux"):
        print("Cannot start: `make run` needs Linux. On other systems use `docker compose up`.")
        return 1
    from local.stack import run  # noqa: PLC0415

    return run()


if __name__ == "__main__":
    sys.exit(main())
