"""Public product routes."""

import gzip
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2s

from apiflask import APIBlueprint
from flask import Response, request
from pydantic_core import to_json

from catalog.domain import ProductDetails
from catalog.errors import CatalogueLoading, ProductNotFound, UpstreamFailed
from catalog.schemas.bodies import Body, describe_details, describe_page
from catalog.schemas.cursors import decode_position, encode_position
from catalog.schemas.products import ProductDetailsOut, ProductPage, ProductQuery
from catalog.sources import Source
from catalog.use_cases import products as use_cases
from shared.database import Database
from shared.openapi import Responses, document_errors
from shared.verdict import kept_by_gateway

UNCHANGED: Responses = {304: {"description": "Not modified: it still matches If-None-Match."}}
MOVED: Responses = {308: {"description": "Moved; Location has the current address."}}
# The errors while there is no copy of the product source.
NO_COPY = document_errors(UpstreamFailed(502, "The product source does not answer."), CatalogueLoading)

GZIP_FROM = 1024  # Bytes; compressing less gains nothing.
GZIP_LEVEL = 4  # Shrinks a page to a third; higher levels take longer and save only a few per cent more.


def product_routes(database: Database, source: Source, currency: str) -> APIBlueprint:
    """Return the product routes."""
    routes = APIBlueprint("products", __name__)

    @routes.get("/products")
    @routes.input(ProductQuery, location="query")
    @routes.output(ProductPage)
    @routes.doc(responses={**UNCHANGED, 204: "The catalogue is empty.", **NO_COPY})
    def list_products(query_data: ProductQuery) -> Response:
        """List the products for sale that match the filters.

        Follow `next` until it is null; no product appears twice, and no product is missing unless its
        position changed meanwhile. The header Catalog-Age (seconds) is present while the product source
        fails. The parameter `option.NAME`, such as `option.Size=M`, matches products with a variant that has
        this value, and the price and the stock of the other parameters; repeat it to match any of several
        values. `meta.KEY`, such as `meta.material=walnut`, matches products whose metadata, or that of a
        variant, has this value; an admin must have marked the key. Unknown parameters are rejected.
        """
        wanted, sort = query_data.to_filter(currency), query_data.order
        wanted, after = decode_position(wanted, sort, query_data.cursor)
        found = use_cases.list_products(
            database,
            source,
            wanted,
            sort,
            after=after,
            limit=query_data.limit,
            with_facets=query_data.facets,
        )
        if not found.products and wanted.is_empty and after is None:
            return Response(status=204, headers=kept_by_gateway() | _age_header(found.age))
        page = describe_page(
            found.products,
            currency,
            following=encode_position(replace(wanted, corrected=found.corrected), sort, found.next),
            corrected=found.corrected,
            facets=found.facets,
        )
        return answer(page, found.age)

    @routes.get("/products/<int:product_id>")
    @routes.output(ProductDetailsOut)
    @routes.doc(responses=UNCHANGED | document_errors(ProductNotFound))
    def show_product(product_id: int) -> Response:
        """Show one product with its variants."""
        details, age = use_cases.find_product(database, source, product_id)
        return show(details, age)

    @routes.get("/products/by-slug/<slug>")
    @routes.output(ProductDetailsOut)
    @routes.doc(responses=UNCHANGED | MOVED | document_errors(ProductNotFound))
    def find_product(slug: str) -> Response:
        """Show the product with this slug; 308 with its address if the slug is a former one."""
        details, age = use_cases.find_by_slug(database, source, slug)
        current = details.product.slug
        if current != slug:
            return Response(status=308, headers={"Location": f"/products/by-slug/{current}"})
        return show(details, age)

    def show(details: ProductDetails, age: int | None) -> Response:
        return answer(describe_details(details, currency), age)

    return routes


def answer(body: Body, age: int | None) -> Response:
    """Return the body as JSON, or 304 if the caller already has it."""
    return pack(to_json(body), "application/json", kept_by_gateway() | _age_header(age))


def pack(text: bytes, content_type: str, headers: Mapping[str, str]) -> Response:
    """Return a response that is compressed once, or 304 (RFC 9110, section 13)."""
    response = Response(text, content_type=content_type, headers={"Vary": "Accept-Encoding", **headers})
    response.set_etag(blake2s(text, digest_size=12).hexdigest(), weak=True)
    response.make_conditional(request)
    # Compress here, because the gateway would compress a cached response again for each caller.
    if response.status_code == 200 and len(text) >= GZIP_FROM and request.accept_encodings["gzip"]:
        response.set_data(gzip.compress(text, GZIP_LEVEL, mtime=0))
        response.content_encoding = "gzip"
    return response


def _age_header(age: int | None) -> dict[str, str]:
    return {} if age is None else {"Catalog-Age": str(age)}
