"""Use cases for the pages of the shop that need no token: products, categories and the sitemap."""

from dataclasses import dataclass

from catalog.domain import Filter, Product, SitemapEntry, Sort
from catalog.errors import CategoryNotFound, ProductNotFound
from catalog.repository import slugs
from catalog.sources import Source
from catalog.use_cases.categories import (
    PlacedCategory,
    find_category,
    list_stocked_paths,
)
from catalog.use_cases.products import list_products
from shared.database import Database

SHOWN = 48  # Products on the page of a category.
MAX_URLS = 50_000  # The limit of a sitemap (sitemaps.org).


@dataclass(frozen=True)
class CategoryPage:
    """A category and its first products."""

    placed: PlacedCategory
    products: list[Product]


@dataclass(frozen=True)
class Sitemap:
    """The categories and products of one file of the sitemap, or the number of files if there are several."""

    categories: list[str]
    products: list[SitemapEntry]
    files: int = 1


def open_category_page(database: Database, source: Source, path: str) -> CategoryPage | str:
    """Return the page of a category, or the path to which it has moved.

    Raises CategoryNotFound, also for a category without products.
    """
    placed = find_category(database, path)
    if isinstance(placed, str):
        return placed
    if not placed.category.count:
        raise CategoryNotFound
    found = list_products(database, source, Filter(categories=(path,)), Sort.ID, limit=SHOWN)
    return CategoryPage(placed, found.products)


def read_sitemap(database: Database) -> Sitemap:
    """Return the whole sitemap if it fits into one file, else the number of its files."""
    categories = list_stocked_paths(database)[: MAX_URLS - 1]
    with database.autocommit() as connection:
        number = slugs.count_pages(connection)
        # The front page is in the sitemap, too.
        if 1 + len(categories) + number <= MAX_URLS:
            return Sitemap(categories, slugs.read_sitemap(connection, skip=0, limit=MAX_URLS))
    return Sitemap([], [], files=1 + -(-number // MAX_URLS))


def read_sitemap_file(database: Database, number: int) -> Sitemap:
    """Return a file of a sitemap: file 0 has the categories, the others have the products, by id.

    Raises ProductNotFound if there are not so many products.
    """
    if number == 0:
        return Sitemap(list_stocked_paths(database)[: MAX_URLS - 1], [])
    with database.autocommit() as connection:
        found = slugs.read_sitemap(connection, skip=(number - 1) * MAX_URLS, limit=MAX_URLS)
    if not found:
        raise ProductNotFound
    return Sitemap([], found)
