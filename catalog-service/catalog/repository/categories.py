"""SQL for categories: the paths of their keys, their titles and positions, and their former paths."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    text,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from catalog.category_tree import CategorySetting, trace_path
from catalog.repository.arrays import as_texts
from catalog.tables import IS_MOVED, categories, category_keys, facet_counts, former_categories

KEYS = category_keys.c
COUNTED = (
    select(facet_counts.c.category, facet_counts.c.products)
    .where(facet_counts.c.brand == literal_column("''"), facet_counts.c.category != literal_column("''"))
    .subquery("counted")
)
READ_COUNTS = select(
    func.coalesce(KEYS.path, COUNTED.c.category), func.coalesce(COUNTED.c.products, literal_column("0"))
).select_from(category_keys.join(COUNTED, COUNTED.c.category == KEYS.key, full=True))

# The keys of the categories in the parameter `categories` and of all below them, as an array. A path that is
# no key yet counts as its own key, because a product may have it since the last recount.
_ROOT = func.unnest(bindparam("categories", type_=ARRAY(Text))).table_valued("path").render_derived("root")
_IS_WITHIN = or_(
    KEYS.path == _ROOT.c.path,
    and_(
        func.starts_with(KEYS.path, _ROOT.c.path.op("||")(literal_column("'/'"))),
        # As in `category_tree`, a slash next to a blank or to another slash belongs to the name.
        func.substr(KEYS.path, func.length(_ROOT.c.path)).op("~")(literal_column(r"'^[^\s/]/[^\s/]'")),
    ),
)
WANTED_KEYS: ColumnElement[Any] = func.array(
    union(
        select(KEYS.key).where(select(_ROOT).where(_IS_WITHIN).exists()),
        select(_ROOT.c.path).where(~select(KEYS.key).where(KEYS.key == _ROOT.c.path).exists()),
    ).scalar_subquery(),
    type_=ARRAY(Text),
)

READ_NEW = text("""
    SELECT category FROM facet_counts
    WHERE category <> '' AND brand = '' AND NOT EXISTS (SELECT FROM category_keys WHERE key = category)
    ORDER BY category
""")
# A product may have been added since the recount.
FORGET = text("""
    DELETE FROM category_keys
    WHERE key = path
        AND NOT EXISTS (SELECT FROM facet_counts WHERE category = key AND brand = '')
        AND NOT EXISTS (SELECT FROM products WHERE category = key AND removed_at IS NULL)
""")


def path_of(key: ColumnElement[str]) -> ColumnElement[str]:
    """Return the path of a product's category."""
    path = select(KEYS.path).where(KEYS.key == key).scalar_subquery()
    return func.coalesce(path, key, type_=Text)


def learn_keys(connection: Connection) -> None:
    """Add the keys in the stored counts, and remove those without a product that have never moved.

    A key that the product source introduces follows the category above it, if that has moved.
    """
    for key in connection.execute(READ_NEW).scalars().all():
        path = find_current(connection, key) or key
        connection.execute(insert(category_keys).values(key=key, path=path).on_conflict_do_nothing())
    connection.execute(FORGET)


def read_counts(connection: Connection) -> list[tuple[str, int]]:
    """Return the path of each known key, and the number of products in it."""
    return [(path, number) for path, number in connection.execute(READ_COUNTS)]


def read_moved(connection: Connection) -> dict[str, str]:
    """Return the paths of the keys that differ from their path."""
    return {row.key: row.path for row in connection.execute(select(KEYS.key, KEYS.path).where(IS_MOVED))}


def read_settings(connection: Connection, paths: Iterable[str] | None = None) -> dict[str, CategorySetting]:
    """Return what admins set for these paths, or for all."""
    query = select(categories.c.path, categories.c.title, categories.c.position)
    if paths is not None:
        query = query.where(categories.c.path == func.any(as_texts(paths)))
    return {path: CategorySetting(title, position) for path, title, position in connection.execute(query)}


def claim_keys(connection: Connection, paths: Iterable[str]) -> dict[str, str]:
    """Return the key under which products of each path are stored, and add missing keys.

    The key of a new category is its path. If that is the key of a category that has moved, the key gets a
    number.
    """
    known = connection.execute(
        select(KEYS.path, func.min(KEYS.key).label("key"))
        .where(KEYS.path == func.any(as_texts(paths)))
        .group_by(KEYS.path)
    )
    claimed = {row.path: row.key for row in known}
    for path in sorted(set(paths) - set(claimed)):
        key, number = path, 1
        while not _add_key(connection, key, path):
            number += 1
            key = f"{path} {number}"
        claimed[path] = key
    return claimed


def _add_key(connection: Connection, key: str, path: str) -> bool:
    """Add a key; return False if it has another path."""
    connection.execute(insert(category_keys).values(key=key, path=path).on_conflict_do_nothing())
    return connection.execute(select(KEYS.path).where(KEYS.key == key)).scalar() in {path, None}


def find_current(connection: Connection, former: str) -> str | None:
    """Return the path to which the category with this former path has moved, or None."""
    query = select(former_categories.c.former, former_categories.c.path).where(
        former_categories.c.former == func.any(as_texts(trace_path(former)))
    )
    found = {row.former: row.path for row in connection.execute(query)}
    # A product may have been below a category that moved before the shop knew its own category.
    for each in reversed(trace_path(former)):
        if each in found:
            return str(found[each]) + former[len(each) :]
    return None


def lock_paths(connection: Connection) -> None:
    """Let no other transaction move categories until this one ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(5714005)"))


def write_setting(connection: Connection, path: str, changes: Mapping[str, Any]) -> None:
    """Set the title or the position of a category."""
    statement = insert(categories).values(path=path, **changes)
    connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=dict(changes)))


def move_paths(connection: Connection, moves: Mapping[str, str]) -> None:
    """Move categories with their settings, by old and new path; the old paths become former ones.

    No product is written or locked.
    """
    if not moves:
        return
    rows = [{"old_path": old, "new_path": new} for old, new in moves.items()]
    old, new = (bindparam(name, type_=Text) for name in ("old_path", "new_path"))
    connection.execute(delete(categories).where(categories.c.path == new), rows)
    for table in (category_keys, categories, former_categories):
        connection.execute(update(table).where(table.c.path == old).values(path=new), rows)
    connection.execute(delete(former_categories).where(former_categories.c.former == new), rows)
    forwarded = insert(former_categories).values(former=old, path=new)
    connection.execute(
        forwarded.on_conflict_do_update(index_elements=["former"], set_={"path": forwarded.excluded.path}),
        rows,
    )
