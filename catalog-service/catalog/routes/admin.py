"""Admin routes: products, and copies of the source."""

from collections.abc import Callable
from typing import Any

from apiflask import APIBlueprint

from catalog.errors import (
    CatalogueLoading,
    ImportRunning,
    NotFromSource,
    OptionValuesInvalid,
    ProductNotFound,
    SkuTaken,
    SlugTaken,
    SourcePaused,
    SyncNotFound,
    VariantExists,
    VariantRequired,
    VersionConflict,
)
from catalog.schemas.admin import (
    ManagedProductOut,
    ProductChange,
    ProductIn,
    SyncIn,
    SyncOut,
)
from catalog.schemas.variants import to_options
from catalog.use_cases import admin as use_cases
from catalog.use_cases import sync
from shared.app import body_optional
from shared.database import Database
from shared.openapi import document_errors, refer

INVALID_OPTIONS = OptionValuesInvalid(
    "Give one value for each of: Size.", options=[{"name": "Size", "values": ["S", "M"]}]
)


def admin_routes(database: Database, currency: str, nudge: Callable[[], None]) -> APIBlueprint:
    """Return the admin routes of the catalogue."""
    routes = APIBlueprint("admin", __name__)

    @routes.post("/products")
    @routes.input(ProductIn)
    @routes.output(ManagedProductOut, status_code=201)
    @routes.doc(
        responses=document_errors(
            SkuTaken(product_id=12),
            ImportRunning,
            VariantExists(variant_id=0),
            INVALID_OPTIONS,
        )
    )
    def create_product(json_data: ProductIn) -> Any:
        """Add a product of the shop's own, with one variant or with options and their `variants`.

        409 is `sku_taken`, with the `product_id` that has the SKU, `variant_exists` or `import_running`.
        """
        created = use_cases.create_product(
            database,
            json_data.read_values(currency),
            json_data.read_variants(currency),
            to_options(json_data.options),
        )
        headers = {"Location": f"/products/{created.product.id}"}
        return ManagedProductOut.of_managed(created, currency), 201, headers

    @routes.patch("/products/<int:product_id>")
    @routes.input(ProductChange)
    @routes.output(ManagedProductOut)
    @routes.doc(
        responses=document_errors(
            ProductNotFound,
            VersionConflict(version=4),
            SkuTaken(product_id=12),
            SlugTaken(product_id=12),
            ImportRunning,
            VariantExists(variant_id=1),
            NotFromSource,
            VariantRequired,
            INVALID_OPTIONS,
        )
    )
    def change_product(product_id: int, json_data: ProductChange) -> ManagedProductOut:
        """Change the fields in the body, if the product still has the given version.

        Copies of the source do not overwrite the changed fields until a request lists them in `follow_source`
        or a sync sets `overwrite`. `options` come with the values that `variants` then have; each variant
        needs a different combination. A slug stays when the title changes, and a former slug redirects. 409
        is `version_conflict` with the current `version`, `sku_taken`, `slug_taken`, `variant_exists`, or
        `import_running`. 422 `variant_required`: set the price of each variant instead.
        """
        changed = use_cases.change_product(
            database,
            product_id,
            json_data.version,
            json_data.read_values(currency),
            frozenset(json_data.follow_source),
            json_data.new_options,
            json_data.new_values,
        )
        return ManagedProductOut.of_managed(changed, currency)

    @routes.delete("/products/<int:product_id>")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(ProductNotFound))
    def remove_product(product_id: int) -> Any:
        """Remove a product permanently.

        Existing orders and reservations keep the product. Copies of the source do not restore it.
        """
        use_cases.remove_product(database, product_id)
        return "", 204

    @routes.post("/products/sync")
    @body_optional
    @routes.input(SyncIn)
    @routes.output(SyncOut)
    @routes.doc(
        responses={
            202: refer(SyncOut, "The copy is still running."),
            **document_errors(CatalogueLoading, SourcePaused(30)),
        }
    )
    def request_sync(json_data: SyncIn) -> Any:
        """Copy the product source now and return the report; 202 if the copy takes longer than 5 seconds.

        503 is `source_paused`: the source has failed several times in a row, so copying is paused.
        """
        report, is_done = sync.request_sync(
            database, nudge, overwrite=json_data.overwrite, allow_removals=json_data.allow_removals
        )
        return SyncOut.of(report), 200 if is_done else 202, {"Location": "/products/sync"}

    @routes.get("/products/sync")
    @routes.output(SyncOut)
    @routes.doc(responses=document_errors(SyncNotFound))
    def show_sync() -> SyncOut:
        """Show the report of the latest copy of the product source."""
        return SyncOut.of(sync.read_last_sync(database))

    return routes
