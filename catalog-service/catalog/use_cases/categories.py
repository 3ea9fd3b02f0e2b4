"""Use cases for categories: list, find and change them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.category_tree import (
    Category,
    CategoryTree,
    Crumb,
    describe_path,
    is_within,
    move_path,
)
from catalog.errors import CategoryNotFound, CategoryTaken
from catalog.repository import categories as repository
from catalog.repository import source as source_copies
from catalog.sources import Source
from catalog.use_cases.products import count_if_empty, find_stale_age, require_copy
from shared.database import Connection, Database
from shared.errors import ValidationFailed

log = logging.getLogger(__name__)

MAX_PATH = 100  # Characters, as for the category of a product.


@dataclass(frozen=True)
class PlacedCategory:
    """A category and its breadcrumbs, which end with itself."""

    category: Category
    breadcrumbs: tuple[Crumb, ...]


def list_categories(
    database: Database, source: Source, *, after: str, limit: int
) -> tuple[list[Category], str | None, int | None]:
    """Return a page of categories by path, the path to continue after, and the age of a stale copy.

    Raises CatalogueLoading or UpstreamFailed while there is no copy of the source.
    """
    with database.autocommit() as connection:
        copy = source_copies.read_source_copy(connection)
        require_copy(copy, source)
        tree = _read_tree(connection)
    if not tree.stocked and count_if_empty(database):
        with database.autocommit() as connection:
            tree = _read_tree(connection)
    paths = [path for path in tree.stocked if path > after]
    following = paths[limit - 1] if len(paths) > limit else None
    return [tree.find(path) for path in paths[:limit]], following, find_stale_age(copy, source)


def find_category(database: Database, path: str) -> PlacedCategory | str:
    """Return the category, or the current path of one that has moved; raise CategoryNotFound."""
    # A path can contain any character, but the column cannot.
    if "\0" in path:
        raise CategoryNotFound
    with database.autocommit() as connection:
        tree = _read_tree(connection)
        if path in tree:
            return _place(connection, tree, path)
        current = repository.find_current(connection, path)
    if current is None or current not in tree:
        raise CategoryNotFound
    return current


def list_stocked_paths(database: Database) -> list[str]:
    """Return the paths of the categories that have products."""
    with database.autocommit() as connection:
        return _read_tree(connection).stocked


def change_category(database: Database, path: str, changes: Mapping[str, Any]) -> PlacedCategory:
    """Set the title or the position of a category, or move it with all categories below.

    A move writes no product, so checkouts do not wait for it. Raises CategoryNotFound, CategoryTaken, or
    ValidationFailed if the new path is below the category or too long.
    """
    with database.transaction() as connection:
        repository.lock_paths(connection)
        repository.learn_keys(connection)
        tree = _read_tree(connection)
        if path not in tree:
            raise CategoryNotFound
        new = changes.get("path", path)
        if new != path:
            repository.move_paths(connection, _plan_moves(tree, path, new))
        settings = {name: value for name, value in changes.items() if name != "path"}
        if settings:
            repository.write_setting(connection, new, settings)
        placed = _place(connection, _read_tree(connection), new)
    log.info("A category was changed", extra={"category.path": path, "fields": sorted(changes)})
    return placed


def _plan_moves(tree: CategoryTree, old: str, new: str) -> dict[str, str]:
    """Return the new path of each category of a branch."""
    if is_within(new, old):
        raise _refuse_path("A category cannot move below itself.")
    if new in tree and tree.find(new).count:
        raise CategoryTaken
    moves = {path: move_path(path, old, new) for path in tree.branch(old)}
    if max(map(len, moves.values())) > MAX_PATH:
        raise _refuse_path(f"A path below it would be longer than {MAX_PATH} characters.")
    return moves


def _refuse_path(detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"location": "json", "field": "path", "detail": detail}])


def _read_tree(connection: Connection) -> CategoryTree:
    return CategoryTree(repository.read_counts(connection), repository.read_settings(connection))


def _place(connection: Connection, tree: CategoryTree, path: str) -> PlacedCategory:
    return PlacedCategory(tree.find(path), describe_path(path, repository.read_settings(connection)))
