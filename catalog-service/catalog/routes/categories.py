"""Category routes: public reads, and changes by admins."""

from apiflask import APIBlueprint
from flask import Response
from jinja2.filters import do_urlencode

from catalog.errors import CategoryNotFound, CategoryTaken
from catalog.routes.products import MOVED, NO_COPY, UNCHANGED, answer
from catalog.schemas.categories import (
    CategoryChange,
    CategoryOut,
    CategoryPage,
    CategoryQuery,
    ShownCategoryOut,
)
from catalog.schemas.cursors import decode_name, encode_name
from catalog.sources import Source
from catalog.use_cases import categories as use_cases
from shared.database import Database
from shared.openapi import document_errors


def category_routes(database: Database, source: Source) -> APIBlueprint:
    """Return the routes that read categories."""
    routes = APIBlueprint("categories", __name__)

    @routes.get("/categories")
    @routes.input(CategoryQuery, location="query")
    @routes.output(CategoryPage)
    @routes.doc(responses=UNCHANGED | NO_COPY)
    def list_categories(query_data: CategoryQuery) -> Response:
        """List the categories by path with their numbers of products, which may be some seconds old."""
        after = decode_name(query_data.cursor)
        found, following, age = use_cases.list_categories(
            database, source, after=after, limit=query_data.limit
        )
        page = CategoryPage(data=[CategoryOut.of(each) for each in found], next=encode_name(following))
        return answer(page.model_dump(), age)

    @routes.get("/categories/<path:category_path>")
    @routes.output(ShownCategoryOut)
    @routes.doc(responses=UNCHANGED | MOVED | document_errors(CategoryNotFound))
    def show_category(category_path: str) -> Response:
        """Show a category; 308 with its address if it has moved."""
        found = use_cases.find_category(database, category_path)
        if isinstance(found, str):
            return Response(status=308, headers={"Location": f"/categories/{do_urlencode(found)}"})
        shown = ShownCategoryOut.of_placed(found.category, found.breadcrumbs)
        return answer(shown.model_dump(), None)

    return routes


def category_admin_routes(database: Database) -> APIBlueprint:
    """Return the routes that change categories."""
    routes = APIBlueprint("category_admin", __name__)

    @routes.patch("/categories/<path:category_path>")
    @routes.input(CategoryChange)
    @routes.output(ShownCategoryOut)
    @routes.doc(responses=document_errors(CategoryNotFound, CategoryTaken))
    def change_category(category_path: str, json_data: CategoryChange) -> ShownCategoryOut:
        """Set the title or the position of a category, or move it with all categories below.

        The products move with it, at once and without a new version; the old paths redirect. 409 is
        `category_taken`: a category with products has the new path.
        """
        found = use_cases.change_category(database, category_path, json_data.read_values())
        return ShownCategoryOut.of_placed(found.category, found.breadcrumbs)

    return routes
