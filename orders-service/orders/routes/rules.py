"""Routes by which an admin keeps shipping methods and tax rates."""

from uuid import UUID

from apiflask import APIBlueprint

from orders.errors import ShippingMethodExists, ShippingMethodNotFound, TaxRateExists, TaxRateNotFound
from orders.schemas.rules import (
    ShippingMethodIn,
    ShippingMethodList,
    ShippingMethodOut,
    ShippingMethodPatch,
    TaxRateIn,
    TaxRateList,
    TaxRateOut,
    TaxRatePatch,
)
from orders.use_cases import rules
from shared.database import Database
from shared.openapi import document_errors


def rule_routes(database: Database) -> APIBlueprint:
    """Return the routes of shipping methods and tax rates."""
    routes = APIBlueprint("rules", __name__)

    @routes.get("/shipping-methods")
    @routes.output(ShippingMethodList)
    def list_methods() -> ShippingMethodList:
        """List all shipping methods, also those that are not active."""
        return ShippingMethodList(data=[ShippingMethodOut.of(each) for each in rules.list_methods(database)])

    @routes.post("/shipping-methods")
    @routes.input(ShippingMethodIn)
    @routes.output(ShippingMethodOut, status_code=201)
    @routes.doc(responses=document_errors(ShippingMethodExists))
    def add_method(json_data: ShippingMethodIn) -> ShippingMethodOut:
        """Add a shipping method. From the first active one on, each order needs one."""
        return ShippingMethodOut.of(rules.add_method(database, json_data.model_dump()))

    @routes.patch("/shipping-methods/<string:code>")
    @routes.input(ShippingMethodPatch)
    @routes.output(ShippingMethodOut)
    @routes.doc(responses=document_errors(ShippingMethodNotFound))
    def change_method(code: str, json_data: ShippingMethodPatch) -> ShippingMethodOut:
        """Change a shipping method. Orders keep what they paid."""
        changes = json_data.model_dump(exclude_unset=True)
        return ShippingMethodOut.of(rules.change_method(database, code, changes))

    @routes.delete("/shipping-methods/<string:code>")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(ShippingMethodNotFound))
    def delete_method(code: str) -> tuple[str, int]:
        """Remove a shipping method. Orders keep what they paid."""
        rules.remove_method(database, code)
        return "", 204

    @routes.get("/tax-rates")
    @routes.output(TaxRateList)
    def list_rates() -> TaxRateList:
        """List all tax rates."""
        return TaxRateList(data=[TaxRateOut.of(each) for each in rules.list_rates(database)])

    @routes.post("/tax-rates")
    @routes.input(TaxRateIn)
    @routes.output(TaxRateOut, status_code=201)
    @routes.doc(responses=document_errors(TaxRateExists))
    def add_rate(json_data: TaxRateIn) -> TaxRateOut:
        """Add a tax rate.

        An order has the rates of the country that it goes to. A rate for its region goes before one for the
        country, and then one for the tax class of an item before one without a class. Shipping without a
        class has the rate without one.
        """
        return TaxRateOut.of(rules.add_rate(database, json_data.model_dump()))

    @routes.patch("/tax-rates/<uuid:rate_id>")
    @routes.input(TaxRatePatch)
    @routes.output(TaxRateOut)
    @routes.doc(responses=document_errors(TaxRateNotFound))
    def change_rate(rate_id: UUID, json_data: TaxRatePatch) -> TaxRateOut:
        """Change the title or the rate. Orders keep what they paid."""
        return TaxRateOut.of(rules.change_rate(database, rate_id, json_data.model_dump(exclude_unset=True)))

    @routes.delete("/tax-rates/<uuid:rate_id>")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(TaxRateNotFound))
    def delete_rate(rate_id: UUID) -> tuple[str, int]:
        """Remove a tax rate. Orders keep what they paid."""
        rules.remove_rate(database, rate_id)
        return "", 204

    return routes
