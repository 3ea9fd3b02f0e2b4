"""Routes by which an editor keeps coupons."""

from apiflask import APIBlueprint

from orders.errors import CouponExists, CouponNotFound
from orders.schemas.coupons import (
    CouponIn,
    CouponList,
    CouponOut,
    CouponPage,
    CouponPatch,
    CouponQuery,
    GenerateIn,
)
from orders.use_cases import coupons
from shared.database import Database
from shared.openapi import document_errors
from shared.pages import decode_id, encode_id


def coupon_routes(database: Database) -> APIBlueprint:
    """Return the routes of coupons."""
    routes = APIBlueprint("coupons", __name__)

    @routes.get("/coupons")
    @routes.input(CouponQuery, location="query")
    @routes.output(CouponPage)
    def list_coupons(query_data: CouponQuery) -> CouponPage:
        """List coupons, newest first."""
        page, last = coupons.list_coupons(
            database, wanted=query_data.q, before=decode_id(query_data.cursor), limit=query_data.limit
        )
        return CouponPage(data=[CouponOut.of(each) for each in page], next=encode_id(last))

    @routes.post("/coupons")
    @routes.input(CouponIn)
    @routes.output(CouponOut, status_code=201)
    @routes.doc(responses=document_errors(CouponExists))
    def add_coupon(json_data: CouponIn) -> CouponOut:
        """Add a coupon: `percent`, `amount` or `free_shipping`.

        An order takes a use when it is placed, and gives it back if it is refused or cancelled. A refund
        does not give it back.
        """
        return CouponOut.of(coupons.add_coupon(database, json_data.model_dump()))

    @routes.post("/coupons/generate")
    @routes.input(GenerateIn)
    @routes.output(CouponList, status_code=201)
    def generate_coupons(json_data: GenerateIn) -> CouponList:
        """Add many coupons with the same terms and random codes."""
        terms = json_data.model_dump(exclude={"prefix", "count"})
        made = coupons.generate_coupons(database, terms, prefix=json_data.prefix or "", count=json_data.count)
        return CouponList(data=[CouponOut.of(each) for each in made])

    @routes.get("/coupons/<string:code>")
    @routes.output(CouponOut)
    @routes.doc(responses=document_errors(CouponNotFound))
    def show_coupon(code: str) -> CouponOut:
        """Show a coupon."""
        return CouponOut.of(coupons.show_coupon(database, code))

    @routes.patch("/coupons/<string:code>")
    @routes.input(CouponPatch)
    @routes.output(CouponOut)
    @routes.doc(responses=document_errors(CouponNotFound))
    def change_coupon(code: str, json_data: CouponPatch) -> CouponOut:
        """Change a coupon. Orders keep what they paid."""
        changes = json_data.model_dump(exclude_unset=True)
        return CouponOut.of(coupons.change_coupon(database, code, changes))

    @routes.delete("/coupons/<string:code>")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(CouponNotFound))
    def delete_coupon(code: str) -> tuple[str, int]:
        """Remove a coupon. Orders keep what they paid."""
        coupons.remove_coupon(database, code)
        return "", 204

    return routes
