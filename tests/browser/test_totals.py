"""The checkout of a shop with shipping methods, taxes and coupons."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.back_office import add_product, enter, leave_out, wait_for_content
from tests.browser.storefront import LOOKS, PHONE, measure_layout_shift
from tests.stacks import ProcessStack, Shopper
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.xdist_group("breakable")]


@pytest.fixture(scope="module")
def running(breakable: ProcessStack) -> ProcessStack:
    """A shop that no other worker uses: an active shipping method affects every order."""
    return breakable


@pytest.fixture
def rules(admin: Shopper) -> Iterator[None]:
    """Two methods for the US and one for Germany, taxes in both countries, and a coupon."""
    for method in (
        {"code": "parcel", "title": "Parcel", "price": 490, "countries": ["US"], "free_from": 10_000},
        {"code": "express", "title": "Express", "price": 1290, "countries": ["US"], "position": 1},
        {"code": "letter", "title": "Brief", "price": 350, "countries": ["DE"], "delivery_time": "2 days"},
    ):
        assert admin.post("/shipping-methods", json=method).status_code == 201
    rates = []
    for rate in (
        {"country": "US", "title": "Sales tax 10 %", "rate": 1000},
        {"country": "DE", "title": "MwSt. 19 %", "rate": 1900},
    ):
        rates.append(admin.post("/tax-rates", json=rate).json()["id"])
    assert admin.post("/coupons", json={"code": "TEN", "percent": 10}).status_code == 201
    assert admin.post("/coupons", json={"code": "GIFT", "percent": 100}).status_code == 201
    assert admin.post("/coupons", json={"code": "BIG", "amount": 1000, "minimum": 9999}).status_code == 201
    yield
    for code in ("parcel", "express", "letter"):
        admin.delete(f"/shipping-methods/{code}")
    for rate_id in rates:
        admin.delete(f"/tax-rates/{rate_id}")
    for code in ("TEN", "GIFT", "BIG"):
        admin.delete(f"/coupons/{code}")


@pytest.fixture
def kettle(admin: Shopper) -> dict[str, Any]:
    """A product for 40.00."""
    return add_product(admin)


def find_sums(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Order summary").locator(".sums")


def expect_sums(page: Page, *rows: str) -> None:
    for place, row in enumerate(rows):
        expect(find_sums(page).locator("> div").nth(place)).to_have_text(row.replace(" | ", ""))
    expect(find_sums(page).locator("> div")).to_have_count(len(rows))


@pytest.mark.usefixtures("rules")
def test_the_totals_follow_the_address_the_delivery_and_the_coupon(
    page, shop, kettle, complaints, take_screenshot
):
    shop.add_to_cart(kettle["id"])
    shop.fill_in_address()
    delivery = page.get_by_role("group", name="Delivery")
    # The first method is chosen until the customer chooses.
    expect(delivery.get_by_role("radio", name="Parcel")).to_be_checked()
    expect_sums(page, "Items | $40.00", "Parcel | $4.90", "Total | $44.90", "Includes Sales tax 10 % | $4.09")
    delivery.get_by_role("radio", name="Express").check()
    expect_sums(
        page, "Items | $40.00", "Express | $12.90", "Total | $52.90", "Includes Sales tax 10 % | $4.81"
    )
    expect(page.locator("#announcer")).to_have_text("The total is $52.90.")
    page.get_by_label("Coupon code").fill("ten")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#announcer")).to_have_text("Coupon applied. The total is $48.90.")
    discounted = (
        *("Items | $40.00", "Discount TEN | -$4.00", "Express | $12.90", "Total | $48.90"),
        "Includes Sales tax 10 % | $4.44",
    )
    expect_sums(page, *discounted)
    take_screenshot("checkout-totals")
    for look in LOOKS:
        assert look.find_faults(page) == []
        take_screenshot(f"checkout-totals-{look.name}")
    shop.place_order()
    shop.expect_status("Paid")
    sums = page.locator(".sums")
    for text in ("Discount TEN", "Express", "$48.90", "Includes Sales tax 10 %"):
        expect(sums).to_contain_text(text)
    take_screenshot("order-totals")
    # The next cart has the delivery, and no coupon.
    shop.add_to_cart(kettle["id"])
    shop.open("/checkout")
    expect(page.get_by_role("radio", name="Express")).to_be_checked()
    expect(page.get_by_label("Coupon code")).to_have_value("")
    assert complaints == []


@pytest.mark.usefixtures("rules")
def test_another_country_has_other_methods_and_taxes_and_its_own_fields(page, shop, kettle, complaints):
    shop.add_to_cart(kettle["id"])
    shop.fill_in_address()
    expect(page.get_by_role("radio", name="Parcel")).to_be_checked()
    page.get_by_label("Country").select_option("DE")
    delivery = page.get_by_role("group", name="Delivery")
    expect(delivery.get_by_role("radio", name="Brief")).to_be_checked()
    expect(delivery).to_contain_text("2 days")
    expect(delivery.get_by_role("radio")).to_have_count(1)
    expect_sums(page, "Items | $40.00", "Brief | $3.50", "Total | $43.50", "Includes MwSt. 19 % | $6.95")
    page.get_by_label("Country").select_option("FR")
    expect(delivery).to_contain_text("does not deliver these items to this address")
    expect_sums(page, "Total | $40.00")
    shop.place_order()
    expect(page.get_by_role("alert")).to_contain_text("The shop does not deliver these items")
    page.get_by_label("Country").select_option("US")
    expect(page.get_by_role("radio", name="Parcel")).to_be_checked()
    assert leave_out(complaints, 409, 422) == []


@pytest.mark.usefixtures("rules")
def test_the_checkout_works_on_a_phone_by_keyboard_and_without_jumps(
    page, shop, kettle, complaints, take_screenshot
):
    page.set_viewport_size(PHONE)
    shop.add_to_cart(kettle["id"])
    shop.fill_in_address()
    expect(page.get_by_role("radio", name="Parcel")).to_be_checked()
    page.get_by_role("radio", name="Parcel").focus()
    page.keyboard.press("ArrowDown")
    # The answer that follows keeps the focus where it is.
    expect_sums(
        page, "Items | $40.00", "Express | $12.90", "Total | $52.90", "Includes Sales tax 10 % | $4.81"
    )
    expect(page.get_by_role("radio", name="Express")).to_be_focused()
    page.get_by_label("Coupon code").focus()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    code = page.get_by_label("Coupon code")
    expect(code).to_have_accessible_description("There is no coupon wrong. Check its spelling.")
    expect(code).to_be_focused()
    code.fill("big")
    page.keyboard.press("Enter")
    expect(code).to_have_accessible_description("The coupon BIG needs items for $99.99 or more.")
    code.fill("TEN")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove coupon")).to_be_focused()
    take_screenshot("checkout-totals-phone")
    page.keyboard.press("Enter")
    expect(code).to_be_focused()
    expect_sums(
        page, "Items | $40.00", "Express | $12.90", "Total | $52.90", "Includes Sales tax 10 % | $4.81"
    )
    assert leave_out(complaints, 409) == []


@pytest.mark.usefixtures("rules")
def test_a_gift_needs_no_payment(page, shop, kettle, admin, complaints):
    for code in ("parcel", "express"):
        admin.patch(f"/shipping-methods/{code}", json={"price": 0})
    shop.add_to_cart(kettle["id"])
    shop.fill_in_address()
    expect(page.get_by_role("group", name="Payment")).to_be_visible()
    page.get_by_label("Coupon code").fill("GIFT")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("group", name="Payment")).to_be_hidden()
    expect(find_sums(page)).to_contain_text("Free")
    page.get_by_role("button", name="Place order").click()
    shop.expect_status("Paid")
    expect(page.locator(".sums .total")).to_contain_text("$0.00")
    assert complaints == []


@pytest.mark.usefixtures("rules")
def test_a_method_that_was_removed_is_explained_and_another_one_is_offered(
    page, shop, kettle, admin, complaints
):
    shop.add_to_cart(kettle["id"])
    shop.fill_in_address()
    expect(page.get_by_role("radio", name="Parcel")).to_be_checked()
    # The page has sent the whole address.
    wait_for(lambda: (page.request.get("/cart").json()["delivery"] or {}).get("postal_code") == "62701")
    expect(find_sums(page)).to_contain_text("$44.90")
    # A quote that is under way would tell the page of the removed method before the order does.
    page.wait_for_load_state("networkidle")
    admin.delete("/shipping-methods/parcel")
    shop.place_order()
    expect(page.get_by_role("alert")).to_contain_text("Choose a delivery")
    expect(page.get_by_role("radio", name="Express")).to_be_checked()
    expect(find_sums(page)).to_contain_text("$52.90")
    shop.place_order()
    shop.expect_status("Paid")
    assert leave_out(complaints, 409) == []


@pytest.mark.usefixtures("rules")
def test_a_slow_answer_neither_moves_the_page_nor_orders_at_an_unseen_price(page, shop, kettle, complaints):
    shop.add_to_cart(kettle["id"])
    shop.fill_in_address()
    expect(page.get_by_role("radio", name="Parcel")).to_be_checked()

    def hold(route: Route) -> None:
        page.wait_for_timeout(300)
        route.continue_()

    page.route(re.compile("/cart/delivery$"), hold)
    page.get_by_role("radio", name="Express").check()
    expect(find_sums(page)).to_contain_text("$52.90")
    assert measure_layout_shift(page) < 0.02
    page.get_by_role("radio", name="Parcel").check()
    # The order waits for the choice, and the customer sees its price first.
    shop.place_order()
    expect(page.get_by_role("alert")).to_contain_text("The total has changed")
    expect(find_sums(page)).to_contain_text("$44.90")
    shop.place_order()
    shop.expect_status("Paid")
    expect(page.locator(".sums")).to_contain_text("$44.90")
    page.unroute(re.compile("/cart/delivery$"))
    assert complaints == []


@pytest.mark.usefixtures("rules")
def test_the_back_office_shows_the_parts_of_a_total(page, kettle, admin, guest, take_screenshot):
    body = {
        "items": [{"product_id": kettle["id"], "quantity": 1}],
        "shipping_address": {
            **{"name": "Ada Buyer", "line1": "1 Long Lane", "city": "Springfield", "region": "IL"},
            **{"postal_code": "62701", "country": "US"},
        },
        **{"email": "ada@example.com", "payment_method": "pm_card_visa", "coupon": "TEN"},
        "shipping_method": "parcel",
    }
    placed = guest.post("/orders", json=body, headers={"Idempotency-Key": f"totals {kettle['id']}"})
    assert placed.status_code == 201, placed.text
    enter(page)
    page.goto(f"/#/admin/orders/{placed.json()['id']}")
    wait_for_content(page)
    items = page.get_by_role("region", name="Items")
    for text in ("Discount TEN", "-$4.00", "Parcel", "$4.90", "$40.90", "Includes Sales tax 10 %"):
        expect(items).to_contain_text(text)
    take_screenshot("admin-order-totals")


def test_without_methods_the_checkout_has_no_delivery_to_choose(page, shop, kettle):
    shop.add_to_cart(kettle["id"])
    shop.fill_in_address()
    expect(find_sums(page)).to_contain_text("$40.00")
    expect(page.get_by_role("group", name="Delivery")).to_have_count(0)
    expect_sums(page, "Total | $40.00")
