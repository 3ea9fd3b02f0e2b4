"""Shipping methods, tax rates and coupons in the back office, and the preview of prices.

An active shipping method makes each order of its shop need one, so these tests use a shop of their own.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.back_office import add_product, confirm, leave_out, open_back_office, wait_for_content
from tests.browser.storefront import LOOKS, ORDINARY, go_to
from tests.stacks import ProcessStack, Shopper

pytestmark = [pytest.mark.shop, pytest.mark.xdist_group("breakable")]

METHOD = {"code": "parcel", "title": "Parcel", "price": 490}


@pytest.fixture(scope="module")
def running(breakable: ProcessStack) -> ProcessStack:
    """A shop that no other worker uses."""
    return breakable


@pytest.fixture(autouse=True)
def clean_prices(admin: Shopper) -> Iterator[None]:
    """Leave the shop without methods, rates and coupons, also after a failure."""
    yield
    for method in read(admin, "/shipping-methods"):
        assert admin.delete(f"/shipping-methods/{method['code']}").status_code == 204
    for rate in read(admin, "/tax-rates"):
        assert admin.delete(f"/tax-rates/{rate['id']}").status_code == 204
    while found := read(admin, "/coupons?limit=100"):
        for coupon in found:
            assert admin.delete(f"/coupons/{coupon['code']}").status_code == 204


@pytest.fixture
def in_berlin(page: Page) -> Iterator[Page]:
    """The page, in a time zone that is one hour ahead of UTC in winter."""
    developer_tools = page.context.new_cdp_session(page)
    developer_tools.send("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Berlin"})
    yield page
    developer_tools.send("Emulation.setTimezoneOverride", {"timezoneId": ""})
    developer_tools.detach()


def read(admin: Shopper, path: str) -> list[dict[str, Any]]:
    answer = admin.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def make(admin: Shopper, path: str, **body: Any) -> dict[str, Any]:
    answer = admin.post(path, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def open_pricing(page: Page, path: str = "") -> None:
    open_back_office(page, f"pricing{path}")
    wait_for_content(page)


def open_dialog(page: Page, button: str) -> Locator:
    page.get_by_role("button", name=button, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def save(page: Page) -> None:
    confirm(page, "Save")
    wait_for_content(page)


def row(page: Page, words: str) -> Locator:
    return page.get_by_role("row").filter(has_text=words)


def show_total(page: Page) -> Locator:
    page.get_by_role("button", name="Show the total").click()
    return page.get_by_role("region", name="What the customer pays")


def test_a_method_with_prices_by_weight_is_saved_and_listed(page, admin, complaints, take_screenshot):
    open_pricing(page)
    dialog = open_dialog(page, "Add shipping method")
    expect(dialog.get_by_label("Title")).to_be_focused()
    dialog.get_by_label("Title").fill("Express à Köln")
    # Programs use the code, so it has plain letters.
    expect(dialog.get_by_label("Code", exact=True)).to_have_value("express-a-koln")
    dialog.get_by_label("Delivery time").fill("1 to 2 working days")
    dialog.get_by_label("Prices", exact=True).select_option("By weight")
    first = dialog.get_by_role("group", name="Price 1")
    first.get_by_label("Price (USD)").fill("4.9")
    dialog.get_by_role("button", name="Add a price").click()
    second = dialog.get_by_role("group", name="Price 2")
    expect(second.get_by_label("From (g)")).to_be_focused()
    second.get_by_label("From (g)").fill("5000")
    second.get_by_label("Price (USD)").fill("9.95")
    # A row that is removed does not count.
    dialog.get_by_role("button", name="Add a price").click()
    dialog.get_by_role("button", name="Remove price 3").click()
    dialog.get_by_label("Free from (USD)").fill("50")
    dialog.get_by_label("Countries").fill("DE, Austria")
    expect(dialog.get_by_text("Germany, Austria", exact=True)).to_be_visible()
    dialog.get_by_label("Regions").fill("DE-BE")
    dialog.get_by_label("Postal codes").fill("10*, !27498")
    dialog.get_by_label("Excluded tax classes").fill("bulky, frozen")
    take_screenshot("admin-shipping-form")
    save(page)
    [method] = read(admin, "/shipping-methods")
    assert method == {
        "code": "express-a-koln",
        "title": "Express à Köln",
        "countries": ["DE", "AT"],
        "regions": ["DE-BE"],
        "postal_codes": ["10*", "!27498"],
        "price": None,
        "prices": [
            {"from_weight_grams": 0, "from_amount": None, "price": 490},
            {"from_weight_grams": 5000, "from_amount": None, "price": 995},
        ],
        "free_from": 5000,
        "tax_class": None,
        "excluded_tax_classes": ["bulky", "frozen"],
        "delivery_time": "1 to 2 working days",
        "position": 0,
        "active": True,
    }
    expect(page.get_by_text("1 shipping method", exact=True)).to_be_visible()
    line = row(page, "Express à Köln")
    for words in ("Germany, Austria", "$4.90 from 0 g", "$9.95 from 5,000 g", "Free from $50.00", "Active"):
        expect(line).to_contain_text(words)
    take_screenshot("admin-shipping")
    assert complaints == []


def test_a_wrong_entry_is_explained_at_its_field(page, admin, complaints):
    make(admin, "/shipping-methods", **METHOD, active=False)
    open_pricing(page)
    dialog = open_dialog(page, "Add shipping method")
    dialog.get_by_label("Title").fill("Parcel")
    dialog.get_by_label("Prices", exact=True).select_option("By amount of the items")
    for place in (1, 2):
        step = dialog.get_by_role("group", name=f"Price {place}")
        step.get_by_label("From (USD)").fill("10")
        step.get_by_label("Price (USD)").fill("3")
        if place == 1:
            dialog.get_by_role("button", name="Add a price").click()
    countries, regions = dialog.get_by_label("Countries"), dialog.get_by_label("Regions")
    codes = dialog.get_by_label("Postal codes")
    countries.fill("DE, Atlantis")
    regions.fill("Bavaria")
    submit = dialog.get_by_role("button", name="Save")
    submit.click()
    twice = dialog.get_by_role("group", name="Price 2").get_by_label("From (USD)")
    expect(twice).to_be_focused()
    expect(twice).to_have_accessible_description("Another price begins here.")
    expect(countries).to_have_accessible_description(re.compile("There is no country “Atlantis”"))
    expect(regions).to_have_accessible_description(re.compile("“Bavaria” is no code of a region"))

    # What only the server knows is next to its field, too.
    twice.fill("20")
    countries.fill("DE")
    regions.fill("by")
    codes.fill("10*, ****")
    submit.click()
    expect(codes).to_be_focused()
    expect(codes).to_have_accessible_description(re.compile("must have at most three"))
    codes.fill("10*")
    submit.click()
    code = dialog.get_by_label("Code", exact=True)
    expect(code).to_be_focused()
    expect(code).to_have_accessible_description(re.compile("There is a shipping method with this code"))
    code.fill("parcel-2")
    save(page)
    added = next(each for each in read(admin, "/shipping-methods") if each["code"] == "parcel-2")
    assert (added["regions"], added["postal_codes"]) == (["DE-BY"], ["10*"])
    assert [step["from_amount"] for step in added["prices"]] == [1000, 2000]
    assert leave_out(complaints, 409, 422) == []


def test_a_method_is_edited_switched_off_and_deleted(page, admin, complaints):
    make(admin, "/shipping-methods", **METHOD, free_from=5000, countries=["DE"])
    open_pricing(page)
    expect(row(page, "Parcel")).to_contain_text("$4.90, free from $50.00")
    dialog = open_dialog(page, "Edit Parcel")
    expect(dialog.get_by_label("Price (USD)")).to_have_value("4.90")
    expect(dialog.get_by_label("Countries")).to_have_value("DE")
    dialog.get_by_label("Price (USD)").fill("0")
    dialog.get_by_label("Free from (USD)").fill("")
    dialog.get_by_label("Countries").fill("")
    save(page)
    expect(page.get_by_role("button", name="Edit Parcel")).to_be_focused()
    expect(row(page, "Parcel")).to_contain_text("Everywhere")
    expect(row(page, "Parcel")).to_contain_text("Free")
    [method] = read(admin, "/shipping-methods")
    assert (method["price"], method["free_from"], method["countries"]) == (0, None, [])

    page.get_by_role("button", name="Switch off Parcel").click()
    expect(page.get_by_role("button", name="Switch on Parcel")).to_be_focused()
    expect(row(page, "Parcel")).to_contain_text("Switched off")
    assert read(admin, "/shipping-methods")[0]["active"] is False

    dialog = open_dialog(page, "Delete Parcel")
    expect(dialog).to_contain_text("Orders keep what they paid.")
    confirm(page, "Go back")
    assert len(read(admin, "/shipping-methods")) == 1
    open_dialog(page, "Delete Parcel")
    confirm(page, "Delete")
    expect(page.get_by_role("heading", name="No shipping methods yet")).to_be_visible()
    assert read(admin, "/shipping-methods") == []
    assert complaints == []


def test_a_tax_rate_is_added_as_basis_points_changed_and_deleted(page, admin, complaints, take_screenshot):
    open_pricing(page, "/taxes")
    dialog = open_dialog(page, "Add tax rate")
    dialog.get_by_label("Country").select_option("US")
    dialog.get_by_label("Region").fill("ca")
    dialog.get_by_label("Tax class").fill("food")
    dialog.get_by_label("Rate (%)").fill("5.5")
    dialog.get_by_label("Title").fill("Sales tax")
    save(page)
    [rate] = read(admin, "/tax-rates")
    expected = {"country": "US", "region": "US-CA", "tax_class": "food", "rate": 550, "title": "Sales tax"}
    assert rate == {"id": rate["id"], **expected}
    for words in ("United States, US-CA", "food", "5.5 %"):
        expect(row(page, "Sales tax")).to_contain_text(words)
    take_screenshot("admin-taxes")

    # A second rate of the same place and class is a mistake.
    dialog = open_dialog(page, "Add tax rate")
    dialog.get_by_label("Country").select_option("US")
    dialog.get_by_label("Region").fill("US-CA")
    dialog.get_by_label("Tax class").fill("food")
    dialog.get_by_label("Rate (%)").fill("7.255")
    dialog.get_by_label("Title").fill("Again")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Rate (%)")).to_be_focused()
    dialog.get_by_label("Rate (%)").fill("7.25")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Country")).to_have_accessible_description(
        re.compile("There is a tax rate for this place and class")
    )
    page.keyboard.press("Escape")

    dialog = open_dialog(page, "Edit Sales tax")
    expect(dialog.get_by_label("Rate (%)")).to_have_value("5.5")
    dialog.get_by_label("Rate (%)").fill("19")
    save(page)
    expect(row(page, "Sales tax")).to_contain_text("19 %")
    assert read(admin, "/tax-rates")[0]["rate"] == 1900
    dialog = open_dialog(page, "Delete Sales tax")
    expect(dialog).to_contain_text("Orders keep what they paid.")
    confirm(page, "Delete")
    expect(page.get_by_role("heading", name="No tax rates yet")).to_be_visible()
    assert read(admin, "/tax-rates") == []
    assert leave_out(complaints, 409) == []


def test_a_coupon_with_dates_is_added_edited_and_switched_off(in_berlin, admin, complaints, take_screenshot):
    page = in_berlin
    open_pricing(page, "/coupons")
    dialog = open_dialog(page, "Add coupon")
    dialog.get_by_label("Code").fill("WINTER")
    dialog.get_by_label("Percentage (%)").fill("15")
    dialog.get_by_label("Minimum (USD)").fill("49.99")
    dialog.get_by_label("Categories").fill("kitchen, garden/tools")
    dialog.get_by_label("Products").fill("12, twelve")
    dialog.get_by_label("Start").fill("2998-12-01T00:00:00")
    dialog.get_by_label("End").fill("2997-12-24T18:30:00")
    dialog.get_by_label("Uses in all").fill("10")
    dialog.get_by_label("Uses per customer").fill("2")
    take_screenshot("admin-coupon-form")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Products")).to_have_accessible_description(
        re.compile("“twelve” is not the number of a product")
    )
    dialog.get_by_label("Products").fill("12, 15")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("End")).to_be_focused()
    expect(dialog.get_by_label("End")).to_have_accessible_description(re.compile("End must be after starts"))
    dialog.get_by_label("End").fill("2998-12-24T18:30:00")
    save(page)
    [coupon] = read(admin, "/coupons")
    del coupon["created_at"]
    assert coupon == {
        "code": "WINTER",
        "percent": 15,
        "amount": None,
        "free_shipping": False,
        "minimum": 4999,
        "products": [12, 15],
        "categories": ["kitchen", "garden/tools"],
        "starts": "2998-11-30T23:00:00Z",
        "ends": "2998-12-24T17:30:00Z",
        "limit": 10,
        "limit_per_customer": 2,
        "first_order_only": False,
        "active": True,
        "uses": 0,
    }
    line = row(page, "WINTER")
    for words in (
        "15 %",
        "From $49.99",
        "Products 12, 15",
        "2 times per customer",
        "0 of 10",
        "Not started",
    ):
        expect(line).to_contain_text(words)
    take_screenshot("admin-coupons")

    dialog = open_dialog(page, "Edit WINTER")
    expect(dialog.get_by_label("Start")).to_have_value("2998-12-01T00:00")
    dialog.get_by_label("Discount", exact=True).select_option("Amount")
    dialog.get_by_label("Amount (USD)").fill("5")
    dialog.get_by_label("Start").fill("")
    dialog.get_by_label("Products").fill("")
    save(page)
    expect(page.get_by_role("button", name="Edit WINTER")).to_be_focused()
    expect(line).to_contain_text("$5.00")
    expect(line.locator(".badge")).to_have_text("Active")
    [coupon] = read(admin, "/coupons")
    assert (coupon["percent"], coupon["amount"], coupon["starts"], coupon["products"]) == (
        None,
        500,
        None,
        [],
    )

    page.get_by_role("button", name="Switch off WINTER").click()
    expect(page.get_by_role("button", name="Switch on WINTER")).to_be_focused()
    expect(line.locator(".badge")).to_have_text("Switched off")
    assert read(admin, "/coupons")[0]["active"] is False
    dialog = open_dialog(page, "Delete WINTER")
    expect(dialog).to_contain_text("Orders keep what they paid.")
    confirm(page, "Delete")
    expect(page.get_by_role("heading", name="No coupons found")).to_be_visible()
    assert read(admin, "/coupons") == []
    assert leave_out(complaints, 422) == []


def test_coupons_are_found_by_the_beginning_of_their_code_and_paged(page, admin, complaints):
    make(admin, "/coupons/generate", prefix="TEAM-", count=31, percent=5)
    gone = make(admin, "/coupons", code="Gone", free_shipping=True, ends="2020-01-01T00:00:00Z")
    open_pricing(page, "/coupons")
    expect(page.get_by_text("First 30 coupons")).to_be_visible()
    expect(row(page, "Gone")).to_contain_text("Free shipping")
    expect(row(page, "Gone").locator(".badge")).to_have_text("Ended")
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_text("32 coupons")).to_be_visible()
    # A change of a row leaves the others in place.
    page.get_by_role("button", name="Switch off Gone").click()
    expect(row(page, "Gone").locator(".badge")).to_have_text("Switched off")
    expect(page.get_by_role("row")).to_have_count(33)
    # A form that is saved without a change changes nothing.
    dialog = open_dialog(page, "Edit Gone")
    expect(dialog.get_by_label("Discount", exact=True)).to_have_value("free_shipping")
    save(page)
    assert read(admin, "/coupons")[0] == {**gone, "active": False}
    search = page.get_by_role("searchbox", name="Beginning of the code")
    search.fill("go")
    search.press("Enter")
    expect(page.get_by_text("1 coupon", exact=True)).to_be_visible()
    assert page.url.endswith("#/admin/pricing/coupons?q=go")
    search.fill("one")
    search.press("Enter")
    expect(page.get_by_role("heading", name="No coupons found")).to_be_visible()
    assert complaints == []


def test_coupons_are_generated_and_downloaded(page, admin, complaints, take_screenshot):
    open_pricing(page, "/coupons")
    dialog = open_dialog(page, "Generate coupons")
    dialog.get_by_label("Number of coupons").fill("3")
    dialog.get_by_label("Prefix").fill("SPRING-")
    dialog.get_by_label("Discount", exact=True).select_option("Amount")
    dialog.get_by_label("Amount (USD)").fill("7.5")
    dialog.get_by_role("button", name="Generate").click()
    expect(dialog.get_by_role("heading")).to_have_text("3 coupons generated")
    take_screenshot("admin-coupons-generated")
    codes = dialog.get_by_label("Codes").input_value().split("\n")
    known = read(admin, "/coupons")
    assert sorted(codes) == sorted(coupon["code"] for coupon in known)
    assert all(code.startswith("SPRING-") for code in codes)
    assert [(coupon["amount"], coupon["limit"]) for coupon in known] == [(750, 1)] * 3
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "coupons.csv"
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "code,percent,amount,free_shipping,minimum,starts,ends,limit"
    assert sorted(lines[1:]) == sorted(f"{code},,750,false,,,,1" for code in codes)
    confirm(page, "Done")
    expect(page.get_by_text("3 coupons", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Generate coupons")).to_be_focused()
    assert complaints == []


def test_the_preview_shows_what_a_cart_pays(page, admin, complaints, take_screenshot):
    heavy = add_product(admin, price=40, weight_grams=2500)
    steps = [{"from_weight_grams": 0, "price": 490}, {"from_weight_grams": 5000, "price": 990}]
    make(admin, "/shipping-methods", code="parcel", title="Parcel", prices=steps, countries=["DE"])
    make(admin, "/shipping-methods", code="letter", title="Letter", price=190, countries=["US"])
    make(admin, "/tax-rates", country="DE", rate=1900, title="VAT 19 %")
    make(admin, "/coupons", code="WELCOME10", percent=10, minimum=5000)
    open_pricing(page, "/preview")
    total = show_total(page)
    expect(total.get_by_role("alert")).to_have_text("Add a product to the cart first.")
    search = page.get_by_label("Find a product")
    expect(search).to_be_focused()
    search.fill(str(heavy["id"]))
    search.press("Enter")
    page.get_by_role("button", name=f"Add {heavy['title']}").click()
    quantity = page.get_by_label(f"Quantity of {heavy['title']}")
    expect(quantity).to_be_focused()
    page.get_by_label("Country").select_option("DE")
    page.get_by_label("Postal code").fill("10115")
    page.get_by_label("Coupon").fill("welcome10")
    # One unit costs less than the coupon needs.
    show_total(page)
    expect(total.get_by_role("alert")).to_have_text("The coupon WELCOME10 needs items for $50.00 or more.")
    quantity.fill("2")
    expect(total.get_by_role("alert")).to_have_count(0)
    show_total(page)
    expect(total.locator(".receipt-total")).to_contain_text("Total without shipping$72.00")
    total.get_by_role("button", name="Choose Parcel").click()
    # 80.00 less 8.00 and with 9.90 for five kilograms; 19/119 of the parts are 11.50 and 1.58.
    rows = total.locator(".receipt > div")
    expect(rows).to_have_text(
        [
            f"2 × {heavy['title']}$80.00",  # noqa: RUF001  # A multiplication sign.
            "Items$80.00",
            "Discount WELCOME10-$8.00",
            "Parcel$9.90",
            "Total$81.90",
            "Includes VAT 19 %$13.08",
        ]
    )
    expect(total.get_by_text("The prices do not include taxes.")).to_have_count(0)
    expect(page.locator("#announcer")).to_have_text("Total $81.90")
    expect(total.get_by_text("Chosen")).to_be_focused()
    take_screenshot("admin-preview")

    page.get_by_label("Shipping method").select_option("Letter")
    show_total(page)
    expect(total.get_by_role("alert")).to_contain_text("This shipping method is not offered")
    expect(total.get_by_role("button", name="Choose Parcel")).to_be_visible()
    page.get_by_label("Coupon").fill("NONE")
    show_total(page)
    expect(total.get_by_role("alert")).to_have_text("There is no coupon NONE. Check its spelling.")
    quantity.fill("0")
    show_total(page)
    expect(quantity).to_be_focused()
    expect(quantity).to_have_accessible_description("Value must be greater than or equal to 1.")
    page.get_by_role("button", name=f"Remove {heavy['title']}").click()
    expect(search).to_be_focused()
    assert leave_out(complaints, 409) == []


def add_the_tax(route: Route) -> None:
    """Answer as a shop whose prices do not include taxes."""
    response = route.fetch()
    body = response.json()
    taxes = [{**each, "included": False} for each in body["adjustments"]]
    route.fulfill(response=response, json={**body, "adjustments": taxes, "amount": 4760})


def test_the_preview_says_that_a_tax_is_added(page, admin, product, complaints):
    make(admin, "/tax-rates", country="DE", rate=1900, title="VAT 19 %")
    page.route("**/orders/quote", add_the_tax)
    open_pricing(page, "/preview")
    page.get_by_label("Find a product").fill(str(product))
    page.get_by_role("button", name="Find", exact=True).click()
    page.get_by_role("button", name=re.compile("^Add Test kettle")).click()
    page.get_by_label("Country").select_option("DE")
    total = show_total(page)
    expect(total.locator(".receipt > div").nth(2)).to_have_text("VAT 19 %$6.39")
    expect(total.locator(".receipt-total")).to_have_text("Total without shipping$47.60")
    expect(total).to_contain_text("The prices do not include taxes. The total adds them.")
    assert complaints == []


def set_currency(currency: str) -> Callable[[Route], None]:
    """Return a handler that answers as a shop with another currency does."""

    def answer(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        data = [{**product, "currency": currency} for product in body["data"]]
        route.fulfill(response=response, json={**body, "data": data})

    return answer


@pytest.mark.parametrize(
    ("currency", "words", "price", "free_from"),
    [
        ("USD", "$4.90, free from $50.00", 490, 5000),
        ("JPY", "¥490, free from ¥5,000", 490, 5000),
        ("KWD", "KWD\u00a04.900, free from KWD\u00a050.000", 4900, 50_000),
    ],
    ids=["USD", "JPY", "KWD"],
)
def test_an_example_is_set_up_in_the_currency_of_the_shop(
    page, admin, complaints, take_screenshot, currency, words, price, free_from
):
    page.route("**/products?limit=1", set_currency(currency))
    open_pricing(page)
    dialog = open_dialog(page, "Set up an example")
    expect(dialog).to_contain_text(f"Standard delivery: {words}")
    dialog.get_by_label("Country").select_option("DE")
    dialog.get_by_label("Rate (%)").fill("5.5")
    expect(dialog.get_by_label("Title")).to_have_value("Tax 5.5 %")
    take_screenshot(f"admin-example-{currency}")
    confirm(page, "Set up")
    expect(row(page, "Standard delivery")).to_contain_text(words)
    [method] = read(admin, "/shipping-methods")
    assert (method["price"], method["free_from"], method["countries"]) == (price, free_from, [])
    [rate] = read(admin, "/tax-rates")
    assert (rate["country"], rate["rate"], rate["title"]) == ("DE", 550, "Tax 5.5 %")
    [coupon] = read(admin, "/coupons")
    assert (coupon["code"], coupon["percent"], coupon["limit_per_customer"]) == ("WELCOME10", 10, 1)

    # People enter amounts with the decimals of the currency.
    dialog = open_dialog(page, "Edit Standard delivery")
    amount = dialog.get_by_label(f"Price ({currency})")
    expect(amount).to_have_value({"USD": "4.90", "JPY": "490", "KWD": "4.900"}[currency])
    amount.fill({"USD": "6.05", "JPY": "605", "KWD": "6.050"}[currency])
    save(page)
    assert read(admin, "/shipping-methods")[0]["price"] == {"USD": 605, "JPY": 605, "KWD": 6050}[currency]
    page.get_by_role("button", name="Delete Standard delivery").click()
    confirm(page, "Delete")
    expect(page.get_by_role("heading", name="No shipping methods yet")).to_be_visible()
    # The shop has a tax rate, so it is not new any more.
    expect(page.get_by_role("button", name="Set up an example")).to_have_count(0)
    assert complaints == []


def test_an_example_that_broke_off_is_completed(page, admin):
    open_pricing(page, "/taxes")
    dialog = open_dialog(page, "Set up an example")
    dialog.get_by_label("Country").select_option("FR")
    page.route("**/shipping-methods", lambda route: route.fulfill(status=503, json={}), times=1)
    dialog.get_by_role("button", name="Set up").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Something went wrong on our side.")
    assert len(read(admin, "/tax-rates")) == len(read(admin, "/coupons")) == 1
    confirm(page, "Set up")
    expect(row(page, "France")).to_contain_text("20 %")
    assert len(read(admin, "/shipping-methods")) == 1


def test_the_pages_and_dialogs_of_pricing_are_accessible_in_every_look(page, admin, complaints):
    countries = ["DE", "AT", "FR", "IT", "ES", "NL", "BE"]
    make(admin, "/shipping-methods", **METHOD, countries=countries, postal_codes=["!27498"], active=False)
    make(admin, "/tax-rates", country="DE", region="DE-BE", tax_class="reduced", rate=700, title="VAT 7 %")
    make(admin, "/coupons", code="A" * 50, percent=10, first_order_only=True, ends="2999-01-01T00:00:00Z")
    faults: dict[str, list[str]] = {}
    open_back_office(page, "users")
    dialogs = {
        "pricing": ["Add shipping method", "Edit Parcel", "Delete Parcel"],
        "pricing/taxes": ["Add tax rate", "Edit VAT 7 %"],
        "pricing/coupons": ["Add coupon", "Generate coupons"],
        "pricing/preview": [],
    }
    for path, buttons in dialogs.items():
        go_to(page, f"/admin/{path}")
        faults[path] = [fault for look in LOOKS for fault in look.find_faults(page)]
        ORDINARY.put_on(page)
        for button in buttons:
            dialog = open_dialog(page, button)
            if button == "Add shipping method":
                dialog.get_by_label("Prices", exact=True).select_option("By weight")
                dialog.get_by_role("button", name="Save").click()
            faults[button] = [fault for look in LOOKS for fault in look.find_faults(page)]
            ORDINARY.put_on(page)
            page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)
            expect(page.get_by_role("button", name=button, exact=True)).to_be_focused()
    go_to(page, "/admin/pricing")
    expect(row(page, "Parcel")).to_contain_text("Germany, Austria, France, Italy, Spain and 2 more")
    assert {place: found for place, found in faults.items() if found} == {}
    assert complaints == []
