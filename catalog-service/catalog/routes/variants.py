"""Admin routes: the variants of a product, and their stock."""

from typing import Any

from apiflask import APIBlueprint

from catalog.errors import (
    ImageNotFound,
    ImportRunning,
    LastVariant,
    ProductNotFound,
    SkuTaken,
    StockHeld,
    TooManyVariants,
    VariantExists,
    VariantNotFound,
    VariantRequired,
    VersionConflict,
)
from catalog.routes.admin import INVALID_OPTIONS
from catalog.schemas.admin import CountIn, StockOut
from catalog.schemas.variants import ManagedVariantList, ManagedVariantOut, VariantChange, VariantIn
from catalog.use_cases import variants as use_cases
from shared.database import Database
from shared.openapi import document_errors

VARIANTS = "/products/<int:product_id>/variants"
VARIANT = f"{VARIANTS}/<int:variant_id>"


def variant_routes(database: Database, currency: str) -> APIBlueprint:
    """Return the admin routes of variants."""
    routes = APIBlueprint("variants", __name__)

    @routes.get(VARIANTS)
    @routes.output(ManagedVariantList)
    @routes.doc(responses=document_errors(ProductNotFound))
    def list_variants(product_id: int) -> ManagedVariantList:
        """List the variants of a product with their stock, in the order of the options' values."""
        return ManagedVariantList.of_variants(use_cases.list_managed(database, product_id), currency)

    @routes.post(VARIANTS)
    @routes.input(VariantIn)
    @routes.output(ManagedVariantOut, status_code=201)
    @routes.doc(
        responses=document_errors(
            ProductNotFound,
            VariantExists(variant_id=1),
            TooManyVariants,
            ImageNotFound,
            SkuTaken(product_id=12),
            ImportRunning,
            INVALID_OPTIONS,
        )
    )
    def add_variant(product_id: int, json_data: VariantIn) -> Any:
        """Add a further variant, with a value for each of the product's options.

        409 is `variant_exists` with the `variant_id` that has these values, `too_many_variants`, `sku_taken`
        or `import_running`.
        """
        added = use_cases.add_variant(database, product_id, json_data.read_new(currency))
        headers = {"Location": f"/products/{product_id}/variants/{added.id}/stock"}
        return ManagedVariantOut.of(added, currency), 201, headers

    @routes.patch(VARIANT)
    @routes.input(VariantChange)
    @routes.output(ManagedVariantOut)
    @routes.doc(
        responses=document_errors(
            ProductNotFound,
            VariantNotFound,
            VersionConflict(version=4),
            VariantExists(variant_id=1),
            ImageNotFound,
            SkuTaken(product_id=12),
            ImportRunning,
            INVALID_OPTIONS,
        )
    )
    def change_variant(product_id: int, variant_id: int, json_data: VariantChange) -> ManagedVariantOut:
        """Change the fields in the body, if the variant still has the given version."""
        changed = use_cases.change_variant(
            database, product_id, variant_id, json_data.version, json_data.read_values(currency)
        )
        return ManagedVariantOut.of(changed, currency)

    @routes.delete(VARIANT)
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(ProductNotFound, VariantNotFound, LastVariant))
    def withdraw_variant(product_id: int, variant_id: int) -> Any:
        """Stop the sale of a variant permanently; existing orders and reservations keep it."""
        use_cases.withdraw_variant(database, product_id, variant_id)
        return "", 204

    @routes.get(f"{VARIANT}/stock")
    @routes.output(StockOut)
    @routes.doc(responses=document_errors(ProductNotFound, VariantNotFound))
    def show_variant_stock(product_id: int, variant_id: int) -> StockOut:
        """Show the stock of a variant."""
        return StockOut.of(use_cases.show_stock(database, product_id, variant_id))

    @routes.put(f"{VARIANT}/stock")
    @routes.input(CountIn)
    @routes.output(StockOut)
    @routes.doc(
        responses=document_errors(ProductNotFound, VariantNotFound, StockHeld(on_hand=40, reserved=3))
    )
    def count_variant_stock(product_id: int, variant_id: int, json_data: CountIn) -> StockOut:
        """Record a stock count of a variant, which includes the units held for orders.

        Like other edits, copies of the source do not overwrite a counted stock. 409 is `stock_held` with
        `on_hand` and `reserved`: more units are held than were counted.
        """
        return StockOut.of(use_cases.count_stock(database, product_id, variant_id, json_data.on_hand))

    @routes.get("/products/<int:product_id>/stock")
    @routes.output(StockOut)
    @routes.doc(responses=document_errors(ProductNotFound, VariantRequired))
    def show_stock(product_id: int) -> StockOut:
        """Show the stock of a product with one variant."""
        only = use_cases.find_only_variant(database, product_id)
        return StockOut.of(use_cases.show_stock(database, product_id, only))

    @routes.put("/products/<int:product_id>/stock")
    @routes.input(CountIn)
    @routes.output(StockOut)
    @routes.doc(
        responses=document_errors(ProductNotFound, StockHeld(on_hand=40, reserved=3), VariantRequired)
    )
    def count_stock(product_id: int, json_data: CountIn) -> StockOut:
        """Record a stock count of a product with one variant; see the same call for a variant."""
        only = use_cases.find_only_variant(database, product_id)
        return StockOut.of(use_cases.count_stock(database, product_id, only, json_data.on_hand))

    return routes
