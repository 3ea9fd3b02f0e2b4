"""What an admin does: products, stock, and copies of the source."""

from collections.abc import Callable
from typing import Any

from apiflask import APIBlueprint

from catalog.errors import (
    CatalogueLoading,
    ImportRunning,
    NotFromSource,
    ProductNotFound,
    SkuTaken,
    SourcePaused,
    StockHeld,
    SyncNotFound,
    VersionConflict,
)
from catalog.schemas.admin import (
    CountIn,
    ManagedProductOut,
    ProductChange,
    ProductIn,
    StockOut,
    SyncIn,
    SyncOut,
)
from catalog.use_cases import admin as use_cases
from catalog.use_cases import sync
from shared.app import body_optional
from shared.database import Database
from shared.openapi import document_errors, refer


def admin_routes(database: Database, currency: str, nudge: Callable[[], None]) -> APIBlueprint:
    """Return the routes of whoever runs the shop."""
    routes = APIBlueprint("admin", __name__)

    @routes.post("/products")
    @routes.input(ProductIn)
    @routes.output(ManagedProductOut, status_code=201)
    @routes.doc(responses=document_errors(SkuTaken(product_id=12), ImportRunning))
    def create_product(json_data: ProductIn) -> Any:
        """Put a product of the shop's own on sale.

        409 is `sku_taken`, with the `product_id` that has it, or `import_running`.
        """
        created = use_cases.create_product(database, json_data.read_values(currency), json_data.on_hand)
        headers = {"Location": f"/products/{created.product.id}"}
        return ManagedProductOut.of_managed(created, currency), 201, headers

    @routes.patch("/products/<int:product_id>")
    @routes.input(ProductChange)
    @routes.output(ManagedProductOut)
    @routes.doc(
        responses=document_errors(
            ProductNotFound, VersionConflict(version=4), SkuTaken(product_id=12), ImportRunning, NotFromSource
        )
    )
    def change_product(product_id: int, json_data: ProductChange) -> ManagedProductOut:
        """Change some of a product that is as the caller saw it; what is not in the body stays.

        What is set here of a source's product is left alone by copies of the source until it is named
        in `follow_source`, or a sync overwrites it. 409 is `version_conflict` with the `version` that the
        product has now, `sku_taken`, or `import_running`.
        """
        changed = use_cases.change_product(
            database,
            product_id,
            json_data.version,
            json_data.read_values(currency),
            frozenset(json_data.follow_source),
        )
        return ManagedProductOut.of_managed(changed, currency)

    @routes.delete("/products/<int:product_id>")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(ProductNotFound))
    def remove_product(product_id: int) -> Any:
        """Take a product off sale for good.

        Orders and holds of it stay, and show what it was called. A copy of the source does not bring it back.
        """
        use_cases.remove_product(database, product_id)
        return "", 204

    @routes.get("/products/<int:product_id>/stock")
    @routes.output(StockOut)
    @routes.doc(responses=document_errors(ProductNotFound))
    def show_stock(product_id: int) -> StockOut:
        """Show what there is of a product."""
        return StockOut.of(use_cases.show_stock(database, product_id))

    @routes.put("/products/<int:product_id>/stock")
    @routes.input(CountIn)
    @routes.output(StockOut)
    @routes.doc(responses=document_errors(ProductNotFound, StockHeld(on_hand=40, reserved=3)))
    def count_stock(product_id: int, json_data: CountIn) -> StockOut:
        """Say how many units were counted, those that are held for orders among them.

        A counted stock is left alone by copies of the source, like other edits. 409 is `stock_held`: more is
        held than that, with `on_hand` and `reserved`.
        """
        return StockOut.of(use_cases.count_stock(database, product_id, json_data.on_hand))

    @routes.post("/products/sync")
    @body_optional
    @routes.input(SyncIn)
    @routes.output(SyncOut)
    @routes.doc(
        responses={
            202: refer(SyncOut, "It takes longer."),
            **document_errors(CatalogueLoading, SourcePaused(30)),
        }
    )
    def request_sync(json_data: SyncIn) -> Any:
        """Copy the product source now, and answer with the report; 202 if it takes longer than 5 seconds.

        503 `source_paused`: the source has failed several times in a row, and is left alone for a while.
        """
        report, is_done = sync.request_sync(
            database, nudge, overwrite=json_data.overwrite, allow_removals=json_data.allow_removals
        )
        return SyncOut.of(report), 200 if is_done else 202, {"Location": "/products/sync"}

    @routes.get("/products/sync")
    @routes.output(SyncOut)
    @routes.doc(responses=document_errors(SyncNotFound))
    def show_sync() -> SyncOut:
        """Show the report of the newest copy of the product source."""
        return SyncOut.of(sync.read_last_sync(database))

    return routes
