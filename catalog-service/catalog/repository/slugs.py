"""SQL for the slugs of products, and for the pages that search engines read."""

from sqlalchemy import ColumnElement, Connection, Integer, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from catalog.domain import SitemapEntry
from catalog.tables import FOR_SALE, product_slugs, products

SLUGS = product_slugs.c
SITEMAP = (
    select(SLUGS.slug, products.c.updated_at)
    .join_from(products, product_slugs, SLUGS.product_id == products.c.id)
    .where(FOR_SALE, SLUGS.is_current)
    .order_by(products.c.id)
)


def slug_of(product_id: ColumnElement[int]) -> ColumnElement[str]:
    """Return the current slug of a product."""
    return select(SLUGS.slug).where(SLUGS.product_id == product_id, SLUGS.is_current).scalar_subquery()


def owner_of(slug: ColumnElement[str]) -> ColumnElement[int]:
    """Return the id of the product that has or had a slug, also if it is no longer for sale."""
    return select(SLUGS.product_id).where(SLUGS.slug == slug).scalar_subquery()


def find_owner(connection: Connection, slug: str) -> int | None:
    """Return the id of the product that has or had this slug, also if it is no longer for sale."""
    return connection.execute(select(owner_of(literal(slug)))).scalar()


def set_slug(connection: Connection, product_id: int, slug: str) -> int | None:
    """Make this the product's slug and keep the one before as a former one.

    If a different product has or had the slug, return its id; the caller then rolls back.
    """
    connection.execute(
        update(product_slugs)
        .where(SLUGS.product_id == product_id, SLUGS.is_current, SLUGS.slug != slug)
        .values(is_current=False)
    )
    statement = insert(product_slugs).values(slug=slug, product_id=product_id)
    written = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["slug"], set_={"is_current": True}, where=SLUGS.product_id == product_id
        ).returning(SLUGS.slug)
    )
    return find_owner(connection, slug) if written.first() is None else None


def count_pages(connection: Connection) -> int:
    """Return the number of products for sale."""
    number: int = connection.execute(select(func.count()).select_from(products).where(FOR_SALE)).scalar_one()
    return number


def read_sitemap(connection: Connection, *, skip: int, limit: int) -> list[SitemapEntry]:
    """Return the slugs of products for sale by id, with the time of their last change."""
    query = SITEMAP.offset(bindparam("skip", type_=Integer)).limit(bindparam("limit", type_=Integer))
    rows = connection.execute(query, {"skip": skip, "limit": limit})
    return [SitemapEntry(*row) for row in rows]
