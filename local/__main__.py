"""Run the stack: `python -m local`."""

import sys


def main() -> int:
    """Refuse what the stack cannot run on, before anything newer is imported."""
    if sys.version_info < (3, 11):  # noqa: UP036  (this is what tells an older Python so)
        print(
            "Cannot start: Shopfleet needs Python 3.11 or newer; this one is " + sys.version.split()[0] + "."
        )
        return 1
    if not sys.platform.startswith("linux"):
        print("Cannot start: this needs Linux; on other systems use `docker compose up`.")
        return 1
    from local.stack import run  # noqa: PLC0415

    return run()


if __name__ == "__main__":
    sys.exit(main())
