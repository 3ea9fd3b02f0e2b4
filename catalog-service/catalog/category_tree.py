"""Categories as paths: `kitchen/knives` is below `kitchen`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# A slash with a blank or another slash next to it belongs to the name, as in `Bath / Body`.
SEPARATOR = re.compile(r"(?<=[^\s/])/(?=[^\s/])")


@dataclass(frozen=True)
class Crumb:
    """A category on the way from the root to a category or product."""

    path: str
    title: str


@dataclass(frozen=True)
class CategorySetting:
    """What an admin set for a category; a title of None means the name at the end of its path."""

    title: str | None = None
    position: int = 0


@dataclass(frozen=True)
class Category:
    """A category; `count` includes the products below, and `children` are the categories directly below."""

    path: str
    title: str
    position: int
    count: int
    children: tuple["Category", ...] = ()


def trace_path(path: str) -> list[str]:
    """Return the paths from the root to this path: `["kitchen", "kitchen/knives"]`."""
    return [path[: slash.start()] for slash in SEPARATOR.finditer(path)] + [path]


def is_within(path: str, root: str) -> bool:
    """Return whether a path is the root or below it."""
    return path == root or root in trace_path(path)


def move_path(path: str, old: str, new: str) -> str:
    """Return a path within the branch `old` after the branch has moved to `new`."""
    return new + path[len(old) :]


def count_with_below(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the number of products of each category and its ancestors, products below included."""
    totals: dict[str, int] = {}
    for path, number in counts:
        for each in trace_path(path):
            totals[each] = totals.get(each, 0) + number
    return totals


class CategoryTree:
    """The categories of the shop, from the numbers of products directly in each."""

    def __init__(self, counts: Iterable[tuple[str, int]], settings: Mapping[str, CategorySetting]) -> None:
        self._totals = count_with_below(counts)
        self._settings = settings
        self._children: dict[str, list[str]] = {}
        for path in self._totals:
            for parent in trace_path(path)[-2:-1]:
                self._children.setdefault(parent, []).append(path)

    def __contains__(self, path: str) -> bool:
        return path in self._totals

    @property
    def stocked(self) -> list[str]:
        """Return the paths of the categories that have products, sorted."""
        return sorted(path for path, number in self._totals.items() if number)

    def branch(self, root: str) -> list[str]:
        """Return the paths of the root and all categories below it."""
        return [path for path in self._totals if is_within(path, root)]

    def find(self, path: str) -> Category:
        """Return a category with its children that have products, in the order of the shop."""
        children = [self._describe(child) for child in self._children.get(path, []) if self._totals[child]]
        children.sort(key=lambda each: (each.position, each.title.casefold(), each.path))
        return self._describe(path, tuple(children))

    def _describe(self, path: str, children: tuple[Category, ...] = ()) -> Category:
        setting = self._settings.get(path, CategorySetting())
        title = title_of(path, self._settings)
        return Category(path, title, setting.position, self._totals[path], children)


def title_of(path: str, settings: Mapping[str, CategorySetting]) -> str:
    """Return the title that an admin set, else the last name of the path with a capital."""
    setting = settings.get(path)
    if setting is not None and setting.title is not None:
        return setting.title
    name = SEPARATOR.split(path)[-1].replace("_", " ")
    return name[:1].upper() + name[1:]


def describe_path(path: str, settings: Mapping[str, CategorySetting]) -> tuple[Crumb, ...]:
    """Return the breadcrumbs of a path, from the root to the path itself."""
    return tuple(Crumb(each, title_of(each, settings)) for each in trace_path(path))
