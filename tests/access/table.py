"""Read table.txt, which lists the status of every operation for every caller."""

from dataclasses import dataclass
from pathlib import Path

SERVICES = ("auth", "catalog", "orders", "payments", "logs")


@dataclass(frozen=True)
class Row:
    """An operation, and the status for each caller."""

    service: str
    operation: str
    expected: dict[str, int]

    @property
    def is_public(self) -> bool:
        """Return whether the operation takes no token, because it is public or authenticates otherwise."""
        is_inside = "posing" in self.expected
        return self.expected["none"] != 401 or (self.expected["admin"] == 401 and not is_inside)

    def __str__(self) -> str:
        return f"{self.service} {self.operation}"


def read_table() -> tuple[list[Row], list[Row]]:
    """Return the rows of both parts."""
    parts: list[list[Row]] = []
    columns: list[str] = []
    for line in Path(__file__).with_name("table.txt").read_text().splitlines():
        words = line.split()
        if words[:2] in (["none", "guest"], ["none", "admin"]):
            columns = words
            parts.append([])
        elif line.startswith(("every ", *SERVICES)):
            service, method, path, *statuses = words
            expected = dict(zip(columns, map(int, statuses), strict=True))
            services = SERVICES if service == "every" else (service,)
            parts[-1] += [Row(each, f"{method} {path}", expected) for each in services]
    outside, inside = parts
    return outside, inside


OUTSIDE, INSIDE = read_table()
