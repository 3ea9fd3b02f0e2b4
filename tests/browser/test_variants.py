"""Products with variants: the choice on their page, the filters, the cart and the order."""

import re
import secrets

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.back_office import ADDRESS as SHIPPING_ADDRESS
from tests.browser.back_office import add_product, leave_out, open_back_office
from tests.browser.storefront import (
    ADDRESS,
    LOOKS,
    PATIENCE,
    PHONE,
    expect_content,
    measure_layout_shift,
)
from tests.variants import add_shirt

pytestmark = pytest.mark.shop

STOCK = {"S / Blue": 5, "S / Red": 0, "M / Blue": 3, "M / Green": 8}
AMOUNTS = {"M / Green": 2900}


@pytest.fixture
def shirt(admin):
    """A shirt whose red one in S is sold out, and which is not made in S and green."""
    return add_shirt(admin, STOCK, amounts=AMOUNTS)


def choose(page: Page, *values: str) -> None:
    """Choose a value of each option."""
    for value in values:
        page.get_by_role("radio", name=re.compile(f"^{value}")).check()


def add(page: Page) -> None:
    """Press the button that adds to the cart."""
    page.get_by_role("button", name="Add to cart", exact=True).click()


def press_until_focused(page: Page, target, key: str = "Tab") -> None:
    """Press a key until the target has the focus."""
    for _press in range(60):
        if target.evaluate("(node) => node === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError("The keyboard does not reach the target.")


def test_a_guest_buys_a_variant_by_keyboard_from_the_list_to_the_order(page, shop, shirt, complaints):
    shop.open(f"/?q={shirt.title.rpartition(' ')[2]}")
    expect(shop.cards).to_have_count(1)
    expect(shop.cards.first).to_contain_text("from $25.00")
    press_until_focused(page, page.get_by_role("link", name=f"Choose options for {shirt.title}"))
    page.keyboard.press("Enter")
    expect(shop.heading).to_have_text(shirt.title)

    press_until_focused(page, page.get_by_role("radio", name="S", exact=True))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="M", exact=True)).to_be_checked()
    press_until_focused(page, page.get_by_role("radio", name="Blue", exact=True))
    page.keyboard.press("Space")
    expect(page.get_by_role("radio", name="Blue", exact=True)).to_be_checked()
    press_until_focused(page, page.get_by_role("button", name="Add to cart", exact=True))
    page.keyboard.press("Enter")
    expect(shop.toasts).to_contain_text(f"Added {shirt.title}, M / Blue to your cart.")

    press_until_focused(page, shop.cart_button, "Shift+Tab")
    page.keyboard.press("Enter")
    press_until_focused(page, shop.cart.get_by_role("link", name="Check out"))
    page.keyboard.press("Enter")
    expect(shop.heading).to_have_text("Checkout")
    expect(page.get_by_label("Order summary")).to_contain_text(f"{shirt.title}, M / Blue")
    for label, value in ADDRESS.items():
        press_until_focused(page, page.get_by_label(label, exact=True))
        page.keyboard.type(value)
    press_until_focused(page, page.get_by_label("Email"))
    page.keyboard.type("ada@example.com")
    press_until_focused(page, page.get_by_role("button", name="Place order"))
    page.keyboard.press("Enter")
    shop.expect_status("Paid")
    link = page.get_by_role("link", name=f"{shirt.title}, M / Blue")
    expect(link).to_have_attribute("href", f"/p/{shirt.slug}?variant={shirt.id_of('M / Blue')}")
    assert complaints == []


def test_a_card_adds_the_only_variant_that_is_left(page, shop, admin, complaints):
    shirt = add_shirt(admin, {"S / Blue": 5, "M / Blue": 3})
    first, left = shirt.id_of("S / Blue"), shirt.id_of("M / Blue")
    # The row of the first variant is the product's own.
    assert first == shirt.id
    assert admin.delete(f"/products/{shirt.id}/variants/{first}").status_code == 204
    shop.open(f"/?q={shirt.title.rpartition(' ')[2]}")
    page.get_by_role("button", name=f"Add {shirt.title} to cart").click()
    expect(shop.toasts).to_contain_text(f"Added {shirt.title} to your cart.")
    line = shop.open_cart().get_by_role("listitem")
    expect(line).to_contain_text([f"{shirt.title}, M / Blue"])
    expect(line.get_by_role("link")).to_have_attribute("href", f"/p/{shirt.slug}?variant={left}")
    assert complaints == []


def test_price_stock_and_number_follow_the_choice_and_the_address_keeps_it(
    page, shop, shirt, complaints, take_screenshot
):
    shop.open(f"/products/{shirt.id}")
    product = page.locator(".product")
    expect(product.locator(".price")).to_have_text("from $25.00")
    expect(product).to_contain_text("SKU \u2013")
    choose(page, "M")
    place = page.get_by_role("button", name="Add to cart", exact=True).bounding_box()
    choose(page, "Green")
    expect(product.locator(".price")).to_have_text("$29.00")
    expect(product).to_contain_text(f"SKU {shirt.variants['M / Green']['sku']}")
    choose(page, "Blue")
    expect(product.locator(".price")).to_have_text("$25.00")
    expect(product.locator(".stock")).to_have_text("Only 3 left")
    assert page.get_by_role("button", name="Add to cart", exact=True).bounding_box() == place
    assert measure_layout_shift(page) < 0.02
    take_screenshot("product-variants")

    assert page.url.endswith(f"/p/{shirt.slug}?variant={shirt.id_of('M / Blue')}")
    page.reload()
    expect(page.get_by_role("radio", name="M", exact=True)).to_be_checked()
    expect(page.get_by_role("radio", name="Blue", exact=True)).to_be_checked()
    expect(product.locator(".price")).to_have_text("$25.00")
    page.get_by_role("button", name=f"Increase quantity for {shirt.title}").click(click_count=5)
    expect(page.get_by_label(f"Quantity of {shirt.title}")).to_have_value("3")
    assert complaints == []


def test_a_missing_choice_is_requested_and_gets_the_focus(page, shop, shirt, complaints):
    shop.open(f"/products/{shirt.id}")
    reason = page.locator("#choice-problem")
    add(page)
    expect(reason).to_have_text("Choose Size and Colour first.")
    expect(page.get_by_role("radio", name="S", exact=True)).to_be_focused()
    choose(page, "S")
    expect(reason).to_be_empty()
    add(page)
    expect(reason).to_have_text("Choose Colour first.")
    expect(page.get_by_role("radio", name="Blue", exact=True)).to_be_focused()
    expect(page.get_by_role("button", name="Add to cart", exact=True)).to_have_accessible_description(
        "Choose Colour first."
    )
    shop.expect_cart(0)
    assert complaints == []


def test_combinations_that_are_sold_out_or_do_not_exist_say_so_and_cannot_be_bought(
    page, shop, shirt, complaints, take_screenshot
):
    shop.open(f"/products/{shirt.id}")
    reason, button = (
        page.locator("#choice-problem"),
        page.get_by_role("button", name="Add to cart", exact=True),
    )
    # Red is made in S only, and sold out there.
    expect(page.get_by_role("radio", name="Red Sold out")).to_be_visible()
    choose(page, "S")
    expect(page.get_by_role("radio", name="Green Unavailable")).to_be_visible()
    choose(page, "Red")
    expect(reason).to_have_text("S / Red is sold out. Choose another combination.")
    expect(page.locator(".stock")).to_have_text("Sold out")
    expect(button).to_have_attribute("aria-disabled", "true")
    take_screenshot("product-variant-sold-out")
    # The button remains operable by keyboard, and repeats the reason.
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#announcer")).to_have_text("S / Red is sold out. Choose another combination.")
    choose(page, "Green")
    expect(reason).to_have_text("S / Green is unavailable. Choose another combination.")
    expect(page.locator(".stock")).to_have_text("Unavailable")
    assert page.url.endswith(f"/p/{shirt.slug}")
    shop.expect_cart(0)
    choose(page, "M")
    expect(reason).to_be_empty()
    expect(button).to_have_attribute("aria-disabled", "false")
    add(page)
    shop.expect_cart(1)
    assert complaints == []


def test_a_link_to_a_withdrawn_variant_asks_for_another_one(page, shop, admin, shirt, complaints):
    withdrawn = shirt.id_of("M / Blue")
    assert admin.delete(f"/products/{shirt.id}/variants/{withdrawn}").status_code == 204
    shop.open(f"/products/{shirt.id}?variant={withdrawn}")
    expect(page.locator("#choice-problem")).to_have_text(
        "This variant is no longer available. Choose another one."
    )
    choose(page, "M")
    expect(page.get_by_role("radio", name="Blue Unavailable")).to_be_visible()
    assert complaints == []


def test_a_product_with_one_variant_offers_no_choice(page, shop, admin, complaints):
    shirt = add_shirt(admin, {"S / Blue": 2, "M / Blue": 4})
    assert admin.delete(f"/products/{shirt.id}/variants/{shirt.id_of('S / Blue')}").status_code == 204
    kettle = add_product(admin)
    for product, slug, sold, title in (
        (kettle["id"], kettle["slug"], kettle["id"], kettle["title"]),
        # The product's first variant is withdrawn, so the only one has its own number.
        (shirt.id, shirt.slug, shirt.id_of("M / Blue"), f"{shirt.title}, M / Blue"),
    ):
        shop.open(f"/products/{product}")
        expect(page.get_by_role("radio")).to_have_count(0)
        with page.expect_request(f"**/cart/items/{sold}"):
            add(page)
        expect(shop.toasts).to_contain_text(f"Added {title} to your cart.")
        assert page.url.endswith(f"/p/{slug}")
    assert complaints == []


def test_a_card_whose_variant_is_no_longer_sold_leads_to_the_page_of_the_product(
    page, shop, admin, complaints
):
    shirt = add_shirt(admin, {"S / Blue": 2})
    shop.open(f"/?q={shirt.title.rpartition(' ')[2]}")
    expect(shop.cards).to_have_count(1)
    # Meanwhile another variant takes the place of the one that the card adds.
    options = [{"name": "Size", "values": ["S", "M"]}, {"name": "Colour", "values": ["Blue"]}]
    version = admin.get(f"/products/{shirt.id}", params={"at": "now"}).json()["version"]
    changed = admin.patch(f"/products/{shirt.id}", json={"version": version, "options": options})
    assert changed.status_code == 200, changed.text
    body = {"options": {"Size": "M", "Colour": "Blue"}, "unit_amount": 2500, "on_hand": 4}
    assert admin.post(f"/products/{shirt.id}/variants", json=body).status_code == 201
    assert admin.delete(f"/products/{shirt.id}/variants/{shirt.id}").status_code == 204
    page.get_by_role("button", name=f"Add {shirt.title} to cart").click()
    expect(shop.toasts).to_contain_text("Could not add to cart. The product has changed.")
    shop.toasts.get_by_role("button", name="View product").click()
    expect(shop.heading).to_have_text(shirt.title)
    add(page)
    shop.expect_cart(1)
    assert leave_out(complaints, 404) == []


def test_options_filter_the_list_and_the_address_keeps_them(page, shop, admin, complaints, take_screenshot):
    word = secrets.token_hex(4)
    names = (f"Size {word}", f"Colour {word}")
    blue = add_shirt(admin, {"S / Blue": 5, "M / Blue": 3}, names=names)
    red = add_shirt(admin, {"M / Red": 5, "L / Red": 3}, names=names)
    green = add_shirt(admin, {"XL / dark_green": 5, "L / dark_green": 1}, names=names)
    shop.open(f"/?option.{names[0]}=M".replace(" ", "%20"))
    expect(shop.cards).to_have_count(2)
    size, colour = (page.get_by_role("group", name=name, exact=True) for name in names)
    expect(size.get_by_role("checkbox", name="M", exact=True)).to_be_checked()
    expect(size.get_by_role("checkbox")).to_have_count(4)
    size.get_by_role("checkbox", name="XL", exact=True).check()
    expect(shop.cards).to_have_count(3)
    # The text of a value is unchanged.
    colour.get_by_role("checkbox", name="dark_green", exact=True).check()
    expect(shop.cards).to_have_count(1)
    expect(shop.cards).to_contain_text(green.title)
    take_screenshot("shop-option-filters")

    page.reload()
    expect(colour.get_by_role("checkbox", name="dark_green", exact=True)).to_be_checked()
    page.get_by_role("button", name=f"Remove filter: {names[1]}: dark_green").click()
    expect(shop.cards).to_have_count(3)
    page.get_by_role("button", name=f"Remove filter: {names[0]}: XL").click()
    expect(shop.cards).to_have_count(2)
    titles = [shop.cards.nth(place).get_by_role("heading").text_content() for place in range(2)]
    assert sorted(titles) == sorted([blue.title, red.title])
    page.get_by_role("button", name="Clear all").click()
    expect(shop.cards).to_have_count(24)
    assert "option" not in page.url
    assert complaints == []


def test_a_cart_keeps_two_variants_of_one_product_apart(
    page, shop, admin, shirt, complaints, take_screenshot
):
    green, blue = (shirt.id_of(title) for title in ("M / Green", "M / Blue"))
    for variant in (green, blue):
        shop.open(f"/products/{shirt.id}?variant={variant}")
        add(page)
        expect(shop.toasts).to_contain_text("to your cart")
    shop.expect_cart(2)
    cart = shop.open_cart()
    cart.get_by_role("button", name=f"Increase quantity for {shirt.title}, M / Green").click()
    expect(cart).to_contain_text("$83.00")
    cart.get_by_label(f"Quantity of {shirt.title}, M / Blue").fill("4")
    cart.get_by_label(f"Quantity of {shirt.title}, M / Blue").press("Tab")
    # Of the product there are more; of this variant there are three.
    expect(cart).to_contain_text("Only 3 left.")
    take_screenshot("cart-variants")
    cart.get_by_role("button", name="Set quantity to 3").click()
    expect(cart.locator(".cart-problem")).to_have_count(0)
    cart.get_by_role("button", name=f"Remove {shirt.title}, M / Green").click()
    expect(cart.locator(".cart-line")).to_have_count(1)
    shop.expect_cart(3)
    cart.get_by_role("link", name=f"{shirt.title}, M / Blue").click()
    expect(page.get_by_role("radio", name="Blue", exact=True)).to_be_checked()
    assert complaints == []


def test_a_refused_checkout_names_the_variant_that_is_sold_out(page, shop, admin, shirt, complaints):
    for title in ("S / Blue", "M / Blue"):
        shop.open(f"/products/{shirt.id}?variant={shirt.id_of(title)}")
        add(page)
        expect(shop.toasts).to_contain_text("to your cart")
    shop.expect_cart(2)
    shop.fill_in_address()
    path = f"/products/{shirt.id}/variants/{shirt.id_of('M / Blue')}/stock"
    assert admin.put(path, json={"on_hand": 0}).status_code == 200
    shop.place_order()
    refusal = page.get_by_role("alert").filter(has_text="Not enough in stock")
    expect(refusal.get_by_role("listitem")).to_have_text([f"{shirt.title}, M / Blue: sold out. Remove"])
    refusal.get_by_role("button", name="Remove").click()
    expect(refusal).to_contain_text("Removed.")
    shop.place_order()
    shop.expect_status("Paid")
    expect(page.locator(".cart-line")).to_contain_text([f"{shirt.title}, S / Blue"])
    assert leave_out(complaints, 409) == []


def test_a_refusal_without_a_variant_leads_to_the_choice(page, shop, shirt, complaints):
    shop.open(f"/products/{shirt.id}?variant={shirt.id_of('S / Blue')}")
    add(page)
    shop.expect_cart(1)
    shop.fill_in_address()
    problem = {
        "status": 422,
        "code": "variant_required",
        "detail": "A product has several variants.",
        "lines": [{"product_id": shirt.id}],
    }
    page.route("**/orders", lambda route: route.fulfill(status=422, json=problem))
    shop.place_order()
    refusal = page.get_by_role("alert").filter(has_text="Some items come in several variants")
    expect(refusal.get_by_role("listitem")).to_contain_text(shirt.title)
    refusal.get_by_role("link", name="Choose a variant").click()
    expect(shop.heading).to_have_text(shirt.title)
    assert leave_out(complaints, 422) == []


def test_a_signed_in_customer_keeps_the_variants_of_the_guest(page, shop, shirt, complaints):
    shop.open(f"/products/{shirt.id}?variant={shirt.id_of('M / Green')}")
    add(page)
    shop.expect_cart(1)
    shop.open("/login")
    shop.register(f"variants-{secrets.token_hex(4)}", "correct horse battery")
    # The form opens the shop once the customer is signed in.
    expect(shop.cards.first).to_be_visible()
    shop.expect_cart(1)
    shop.fill_in_address()
    shop.place_order()
    shop.expect_status("Paid")
    expect(page.locator(".cart-line")).to_contain_text([f"{shirt.title}, M / Green"])
    shop.open("/orders")
    expect(page.locator(".order-row")).to_contain_text([f"{shirt.title}, M / Green"])
    assert complaints == []


def test_pages_with_variants_fit_a_phone_and_a_screen_reader(page, shop, admin, complaints, take_screenshot):
    long = "Extra long with double stitching and a reinforced collar"
    shirt = add_shirt(admin, {**STOCK, f"{long} / Blue": 1}, amounts=AMOUNTS)
    variant = shirt.id_of(f"{long} / Blue")
    faults = []
    for path, name in (
        (f"/?q={shirt.title.rpartition(' ')[2]}", "list"),
        (f"/products/{shirt.id}", "product"),
        (f"/products/{shirt.id}?variant={shirt.id_of('S / Red')}", "sold-out"),
        (f"/products/{shirt.id}?variant={variant}", "long"),
    ):
        for look in LOOKS:
            look.put_on(page)
            shop.open(path)
            expect_content(page)
            faults += [f"{name}: {fault}" for fault in look.find_faults(page)]
            take_screenshot(f"variants-{name}-{look.name}")
    assert faults == []
    page.set_viewport_size(PHONE)
    page.emulate_media(reduced_motion="reduce")
    add(page)
    cart = shop.open_cart()
    expect(cart.get_by_role("button", name=f"Remove {shirt.title}")).to_be_in_viewport()
    assert cart.evaluate("(node) => node.scrollWidth") <= PHONE["width"]
    assert complaints == []


def test_an_order_of_the_first_variant_links_to_it(page, shop, shirt, complaints):
    shop.open("/orders")
    # Through the API, with the cookie of the page.
    order = {
        "items": [{"variant_id": shirt.id_of("S / Blue"), "quantity": 1}],
        "payment_method": "pm_card_visa",
        "shipping_address": SHIPPING_ADDRESS,
        "email": "ada@example.com",
    }
    placed = page.request.post("/orders", data=order, headers={"Idempotency-Key": secrets.token_hex()})
    assert placed.status in {201, 202}, placed.text()
    shop.open(f"/orders/{placed.json()['id']}")
    # The first variant has the product's number, and the link still names it.
    link = page.get_by_role("link", name=f"{shirt.title}, S / Blue")
    expect(link).to_have_attribute("href", f"/p/{shirt.slug}?variant={shirt.id}", timeout=PATIENCE)
    assert complaints == []


def test_a_product_is_bought_while_older_replicas_send_no_variants(page, shop, admin, complaints):
    kettle = add_product(admin)

    def send_as_before(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for name in ("variants", "options", "variant_count", "highest_unit_amount"):
            body.pop(name, None)
        for item in body.get("items", ()):
            del item["variant_id"]
        route.fulfill(response=answer, json=body)

    for path in ("**/cart", "**/cart/items/*", f"**/products/{kettle['id']}*"):
        page.route(path, send_as_before)
    shop.add_to_cart(kettle["id"])
    cart = shop.open_cart()
    cart.get_by_role("button", name=f"Increase quantity for {kettle['title']}").click()
    expect(cart).to_contain_text("$80.00")
    expect(cart.get_by_role("link", name=kettle["title"])).to_have_attribute("href", f"/p/{kettle['slug']}")
    cart.get_by_role("button", name=f"Remove {kettle['title']}").click()
    shop.expect_cart(0)
    assert complaints == []


def test_marked_metadata_keys_are_filters_beside_the_options(page, shop, admin, complaints, take_screenshot):
    # The shop is shared, so the key and the word are of this test only.
    word = f"bench{secrets.token_hex(4)}"
    key = f"wood_{secrets.token_hex(4)}"
    kinds = {"walnut": 2, "oak": 1}
    for kind, number in kinds.items():
        for _each in range(number):
            add_product(admin, title=f"{word} {kind}", metadata={key: kind, f"{key}_oiled": kind == "oak"})
    shop.open(f"/?q={word}")
    expect(shop.cards).to_have_count(3)
    legend = key.replace("_", " ").capitalize()
    panel = page.locator("#filters")
    expect(panel.get_by_text(legend)).to_have_count(0)

    before = admin.get("/products/metadata-keys").json()["keys"]
    try:
        open_back_office(page, "products")
        page.get_by_role("button", name="Filters", exact=True).click()
        dialog = page.get_by_role("dialog", name="Filters of the shop")
        names = dialog.get_by_label("Further fields")
        expect(names).to_have_value("\n".join(before))
        names.fill("\n".join([*before, "x" * 65, key]))
        dialog.get_by_role("button", name="Save").click()
        expect(names).to_have_attribute("aria-invalid", "true")
        names.fill("\n".join([*before, key, "", f" {key}_oiled "]))
        take_screenshot("admin-metadata-filters")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_have_count(0)
        assert admin.get("/products/metadata-keys").json()["keys"] == sorted([*before, key, f"{key}_oiled"])
        shop.open(f"/?q={word}&sort=price")
        group = panel.get_by_role("group", name=legend, exact=True)
        expect(group.locator(".filter")).to_have_text(["walnut2", "oak1"])
        group.get_by_role("checkbox", name="walnut").check()
        expect(shop.cards).to_have_count(2)
        chip = page.get_by_role("button", name=f"Remove filter: {legend}: walnut")
        expect(chip).to_be_visible()
        # The key ignores its own filter, so that the customer can add another value.
        expect(group.locator(".filter")).to_have_text(["walnut2", "oak1"])
        take_screenshot("shop-metadata-filters")
        page.reload()
        expect(group.get_by_role("checkbox", name="walnut")).to_be_checked()
        group.get_by_role("checkbox", name="oak").check()
        expect(shop.cards).to_have_count(3)
        oiled = panel.get_by_role("group", name=f"{legend} oiled")
        oiled.get_by_role("checkbox", name="Yes").check()
        expect(shop.cards).to_have_count(1)
        expect(page.get_by_role("button", name=f"Remove filter: {legend} oiled: Yes")).to_be_visible()
        page.get_by_role("button", name="Clear all").click()
        expect(shop.cards).to_have_count(3)
        assert "meta." not in page.url
    finally:
        assert admin.put("/products/metadata-keys", json={"keys": before}).status_code == 200
    assert leave_out(complaints, 422) == []
