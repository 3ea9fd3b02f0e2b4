"""Options, variants and low stock in the back office."""

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.back_office import (
    add_product,
    confirm,
    leave_out,
    open_back_office,
    place_order,
    wait_for_content,
)
from tests.browser.storefront import ORDINARY, PHONE_IN_THE_DARK
from tests.stacks import Shopper

pytestmark = pytest.mark.shop

COLUMNS = ["sku", "unit_amount", "compare_at_amount", "on_hand", "weight_grams", "low_stock_threshold"]


def make_variants(*rows):
    """Return the bodies of variants from their options and what differs from a price of 40 dollars."""
    return [{"options": options, "unit_amount": 4000, "on_hand": 10, **others} for options, others in rows]


def add_shirt(admin, sizes=("S", "M"), **fields):
    """Add a product in these sizes."""
    title = f"Shirt {secrets.token_hex(4)}"
    body = {
        "title": title,
        "options": [{"name": "Size", "values": list(sizes)}],
        "variants": make_variants(*[({"Size": size}, fields) for size in sizes]),
    }
    answer = admin.post("/products", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def read_variants(admin, product):
    """Return the variants of a product by their titles."""
    found = admin.get(f"/products/{product['id']}/variants").json()["data"]
    return {variant["title"]: variant for variant in found}


def open_product(page: Page, product) -> None:
    open_back_office(page, f"products/{product['id']}")
    wait_for_content(page)


def cell(page: Page, column: str, title: str) -> Locator:
    return page.get_by_label(f"{column}, {title}", exact=True)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def expect_saved(page: Page) -> None:
    expect(page.get_by_text("Product saved.").last).to_be_visible()
    wait_for_content(page)


def paste(target: Locator, text: str) -> None:
    target.evaluate(
        """(node, text) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            const event = new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true});
            if (node.dispatchEvent(event)) throw new Error("The paste was left to the browser.");
        }""",
        text,
    )


def test_a_product_with_options_is_added_by_keyboard(page, complaints, take_screenshot, admin):
    title = f"Shirt {secrets.token_hex(4)}"
    open_back_office(page, "products/new")
    page.get_by_label("Title").fill(title)
    page.get_by_label("Price in USD").fill("49.90")
    page.get_by_label("This product has options").focus()
    page.keyboard.press("Space")
    # The focus moves to the name of the first option.
    page.keyboard.type("Size")
    page.get_by_label("Add a value to Size").focus()
    page.keyboard.type("S,M")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Add an option").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("Colour")
    page.get_by_label("Add a value to Colour").focus()
    for colour in ("White", "Blue"):
        page.keyboard.type(colour)
        page.keyboard.press("Enter")
    expect(page.get_by_text("4 variants.")).to_be_visible()

    # Enter and the arrows move, Escape restores, and typing replaces a cell.
    cell(page, "Units on hand", "S / White").focus()
    page.keyboard.type("12")
    page.keyboard.press("Enter")
    page.keyboard.type("7")
    page.keyboard.press("ArrowDown")
    expect(cell(page, "Units on hand", "M / White")).to_be_focused()
    page.keyboard.type("99")
    page.keyboard.press("Escape")
    expect(cell(page, "Units on hand", "M / White")).to_have_value("0")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(cell(page, "Price in USD", "M / White")).to_be_focused()
    page.keyboard.type("1,5")
    page.keyboard.press("Tab")
    expect(cell(page, "Compare-at price", "M / White")).to_be_focused()
    expect(cell(page, "Price in USD", "M / White")).to_have_value("1.50")
    page.get_by_label("Sell M / Blue").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("3 variants, 1 combination left out.")).to_be_visible()
    cell(page, "Weight in g", "all variants").focus()
    page.keyboard.type("250")
    page.keyboard.press("Enter")
    take_screenshot("admin-new-variants")
    page.get_by_role("button", name="Add product").press("Enter")
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()

    found = re.search(r"products/(\d+)$", page.url)
    assert found
    variants = read_variants(admin, {"id": found[1]})
    assert {name: [variant[column] for column in COLUMNS[1:]] for name, variant in variants.items()} == {
        "S / White": [4990, None, 12, 250, None],
        "S / Blue": [4990, None, 7, 250, None],
        "M / White": [150, None, 0, 250, None],
    }
    assert complaints == []


def test_cells_pasted_from_a_spreadsheet_fill_rows_and_columns(page, complaints, admin):
    shirt = add_shirt(admin, sizes=("S", "M", "L"))
    before = read_variants(admin, shirt)
    open_product(page, shirt)
    paste(cell(page, "Price in USD", "M"), "$1,250.50\t1300\t8\r\n19,9\t\t3\r\n7\t8\t9\r\n")
    expect(page.get_by_text("Pasted 2 rows of 3 columns. The other cells did not fit.")).to_be_visible()
    expect(cell(page, "Price in USD", "M")).to_have_value("1250.50")
    expect(cell(page, "Price in USD", "L")).to_have_value("19.90")
    # The toast undoes the whole block.
    page.get_by_role("button", name="Undo").click()
    expect(cell(page, "Price in USD", "M")).to_have_value("40.00")
    paste(cell(page, "Price in USD", "M"), "$1,250.50\t1300\t8\r\n19,9\t\t3\r\n")
    save(page)
    expect_saved(page)
    found = {
        name: [variant[column] for column in COLUMNS[1:4]]
        for name, variant in read_variants(admin, shirt).items()
    }
    assert found == {"S": [4000, None, 10], "M": [125050, 130000, 8], "L": [1990, None, 3]}
    assert read_variants(admin, shirt)["S"]["version"] == before["S"]["version"]
    assert complaints == []


def test_a_wrong_cell_is_named_and_a_refused_variant_keeps_what_was_typed(page, complaints, admin):
    shirt = add_shirt(admin)
    open_product(page, shirt)
    cell(page, "Price in USD", "M").fill("a lot")
    save(page)
    expect(page.get_by_text("Price in USD: Enter a number, such as 12 or 12.50.", exact=True)).to_be_visible()
    expect(cell(page, "Price in USD", "M")).to_be_focused()
    cell(page, "Price in USD", "M").fill("45")
    cell(page, "SKU", "S").fill("KIT-0001")
    save(page)
    expect(page.get_by_text("1 variant not saved. The table says why.")).to_be_visible()
    expect(page.get_by_text("Another product or variant for sale has this SKU.", exact=True)).to_be_visible()
    expect(cell(page, "SKU", "S")).to_have_value("KIT-0001")
    expect(cell(page, "SKU", "S")).to_have_attribute("aria-invalid", "true")
    variants = read_variants(admin, shirt)
    assert variants["M"]["unit_amount"] == 4500
    # A retry sends only what was not saved.
    sku = f"SHIRT-{secrets.token_hex(4)}"
    cell(page, "SKU", "S").fill(sku)
    save(page)
    expect_saved(page)
    again = read_variants(admin, shirt)
    assert again["S"]["sku"] == sku
    assert again["M"]["version"] == variants["M"]["version"]
    assert leave_out(complaints, 409) == []


def test_a_save_that_lost_its_answers_is_repeated_without_a_second_variant(page, complaints, admin):
    shirt = add_shirt(admin)
    open_product(page, shirt)
    page.get_by_label("Title").fill(f"{shirt['title']}, long")
    page.get_by_label("Add a value to Size").fill("L")
    page.keyboard.press("Enter")
    cell(page, "Price in USD", "L").fill("55")
    lost = []

    def lose_first_answer(route):
        method = route.request.method
        if method == "GET" or method in lost:
            route.continue_()
            return
        assert route.fetch().status in {200, 201}
        lost.append(method)
        route.abort("connectionfailed")

    page.route("**/products/**", lose_first_answer)
    save(page)
    expect(page.get_by_text("Could not reach the shop.")).to_be_visible()
    with page.expect_event("requestfailed", lambda request: request.method == "POST"):
        save(page)
    expect(page.get_by_text("Could not reach the shop.")).to_be_visible()
    save(page)
    expect_saved(page)
    assert lost == ["PATCH", "POST"]
    variants = read_variants(admin, shirt)
    assert {name: variant["unit_amount"] for name, variant in variants.items()} == {
        "S": 4000,
        "M": 4000,
        "L": 5500,
    }
    assert admin.get(f"/products/{shirt['id']}?as=edited").json()["title"] == f"{shirt['title']}, long"
    assert [each for each in complaints if "ERR_CONNECTION_FAILED" not in each] == []


def test_two_admins_change_the_same_product_and_neither_loses_an_entry(page, complaints, admin):
    shirt = add_shirt(admin)
    open_product(page, shirt)
    cell(page, "Price in USD", "S").fill("50")
    cell(page, "Weight in g", "S").fill("300")
    cell(page, "Price in USD", "M").fill("60")
    variants = read_variants(admin, shirt)
    theirs = {"S": {"unit_amount": 3900, "low_stock_threshold": 4}, "M": {"weight_grams": 700}}
    for title, change in theirs.items():
        path = f"/products/{shirt['id']}/variants/{variants[title]['id']}"
        body = {"version": variants[title]["version"], **change}
        assert admin.patch(path, json=body).status_code == 200
    save(page)
    notice = "Price in USD is now 39.00. Your entry is kept; save again to replace it."
    expect(page.get_by_text(notice, exact=True)).to_be_visible()
    expect(cell(page, "Price in USD", "S")).to_have_value("50.00")
    expect(cell(page, "Low stock at", "S")).to_have_value("4")
    # The other variant was changed in another cell, so both changes are saved.
    saved = read_variants(admin, shirt)
    assert (saved["M"]["unit_amount"], saved["M"]["weight_grams"]) == (6000, 700)
    assert saved["S"]["unit_amount"] == 3900
    save(page)
    expect_saved(page)
    saved = read_variants(admin, shirt)["S"]
    assert (saved["unit_amount"], saved["weight_grams"], saved["low_stock_threshold"]) == (5000, 300, 4)

    # A changed title is a conflict of the product, and changed options stop the save.
    cell(page, "Price in USD", "S").fill("51")
    page.get_by_label("Title").fill("My shirt")
    version = admin.get(f"/products/{shirt['id']}?as=edited").json()["version"]
    path = f"/products/{shirt['id']}"
    assert admin.patch(path, json={"version": version, "title": "Their shirt"}).status_code == 200
    save(page)
    conflict = page.get_by_role("alert")
    expect(conflict.get_by_role("row", name="Title")).to_contain_text("Their shirt")
    conflict.get_by_role("button", name="Overwrite with my changes").click()
    expect_saved(page)
    known = admin.get(f"{path}?as=edited").json()
    assert (known["title"], known["unit_amount"]) == ("My shirt", 5100)
    sizes = [{"name": "Size", "values": ["S", "M", "L"]}]
    assert admin.patch(path, json={"version": known["version"], "options": sizes}).status_code == 200
    cell(page, "Price in USD", "S").fill("52")
    save(page)
    expect(conflict).to_contain_text("The options of this product have changed since you opened it")
    expect(cell(page, "Price in USD", "S")).to_have_value("52.00")
    conflict.get_by_role("button", name="Load the current version").click()
    expect(page.get_by_role("button", name="Edit L", exact=True)).to_be_visible()
    assert admin.get(f"{path}?as=edited").json()["unit_amount"] == 5100
    assert complaints == []


def test_units_that_were_sold_meanwhile_are_shown_before_a_count_is_saved(page, complaints, admin):
    shirt = add_shirt(admin)
    small = read_variants(admin, shirt)["S"]["id"]
    open_product(page, shirt)
    cell(page, "Units on hand", "S").fill("12")
    path = f"/products/{shirt['id']}/variants/{small}/stock"
    assert admin.put(path, json={"on_hand": 8}).status_code == 200
    save(page)
    notice = "Units on hand is now 8. Your entry is kept; save again to replace it."
    expect(page.get_by_text(notice, exact=True)).to_be_visible()
    assert admin.get(path).json()["on_hand"] == 8
    save(page)
    expect_saved(page)
    assert admin.get(path).json()["on_hand"] == 12
    assert complaints == []


def test_an_option_is_added_and_the_existing_variants_get_the_chosen_value(page, complaints, admin):
    shirt = add_shirt(admin)
    before = read_variants(admin, shirt)
    open_product(page, shirt)
    page.get_by_role("button", name="Add an option").click()
    page.keyboard.type("Colour")
    page.get_by_label("Add a value to Colour").fill("White,Blue")
    page.keyboard.press("Enter")
    save(page)
    question = page.get_by_label("The 2 existing variants have")
    expect(question).to_be_focused()
    expect(question).to_have_attribute("aria-invalid", "true")
    assert read_variants(admin, shirt) == before
    question.select_option("Blue")
    page.get_by_label("Sell M / White").uncheck()
    save(page)
    expect_saved(page)
    after = read_variants(admin, shirt)
    assert list(after) == ["S / White", "S / Blue", "M / Blue"]
    for size in ("S", "M"):
        assert after[f"{size} / Blue"]["id"] == before[size]["id"]
        assert after[f"{size} / Blue"]["sku"] == before[size]["sku"]
    assert complaints == []


def test_removing_a_value_or_all_options_is_explained_before_it_happens(page, complaints, admin):
    shirt = add_shirt(admin, sizes=("S", "M", "L"))
    before = read_variants(admin, shirt)
    open_product(page, shirt)
    page.get_by_role("button", name="Remove S", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("the shop stops selling 1 variant: S.")
    dialog.get_by_role("button", name="Go back").click()
    expect(page.get_by_role("button", name="Remove S", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove S", exact=True).click()
    confirm(page, "Remove S")
    assert set(read_variants(admin, shirt)) == {"S", "M", "L"}
    save(page)
    expect_saved(page)
    assert set(read_variants(admin, shirt)) == {"M", "L"}

    page.get_by_role("button", name="Edit M", exact=True).click()
    page.get_by_label("Rename M").fill("Medium")
    page.keyboard.press("Enter")
    save(page)
    expect_saved(page)
    assert read_variants(admin, shirt)["Medium"]["id"] == before["M"]["id"]

    page.get_by_label("This product has options").uncheck()
    dialog.get_by_label("The product keeps the SKU, price and stock of").select_option("L")
    expect(dialog).to_contain_text("the shop stops selling 1 variant: Medium.")
    dialog.get_by_role("button", name="Remove options").click()
    expect(page.get_by_role("table", name="Variants")).to_have_count(0)
    page.get_by_label("Price in USD").fill("44")
    save(page)
    expect(page.get_by_role("region", name="Stock")).to_be_visible()
    [kept] = read_variants(admin, shirt).values()
    assert (kept["id"], kept["options"], kept["unit_amount"]) == (before["L"]["id"], {}, 4400)
    # The only variant has a number of its own, and errors appear without the table.
    page.get_by_label("SKU").fill("KIT-0001")
    page.get_by_label("Price in USD").fill("45")
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("Another product or variant for sale has this SKU.")
    page.get_by_label("SKU").fill(kept["sku"])
    save(page)
    expect_saved(page)
    expect(page.get_by_role("alert")).to_have_count(0)
    assert admin.get(f"/products/{shirt['id']}?as=edited").json()["unit_amount"] == 4500
    assert leave_out(complaints, 409) == []


def test_a_product_gets_options_and_keeps_its_stock(page, complaints, admin):
    product = add_product(admin, on_hand=9)
    open_product(page, product)
    page.get_by_label("This product has options").check()
    expect(page.get_by_role("region", name="Stock")).to_be_hidden()
    page.keyboard.type("Size")
    page.get_by_label("Add a value to Size").fill("Small,Large")
    page.keyboard.press("Enter")
    page.get_by_label("The existing variant has").select_option("Small")
    cell(page, "Units on hand", "Large").fill("3")
    save(page)
    expect_saved(page)
    variants = read_variants(admin, product)
    assert {name: variant["on_hand"] for name, variant in variants.items()} == {"Small": 9, "Large": 3}
    assert variants["Small"]["id"] == product["id"]
    assert complaints == []


def test_a_count_below_the_reserved_units_and_a_product_without_variants_are_refused(
    page, complaints, processes, admin
):
    product = add_product(admin)
    with Shopper(processes.url) as buyer:
        assert buyer.post("/auth/guest").status_code == 201
        place_order(buyer, product["id"], card="pm_card_authenticationRequired", quantity=3)
    open_product(page, product)
    page.get_by_label("This product has options").check()
    page.keyboard.type("Size")
    page.keyboard.press("Enter")
    page.keyboard.type("S,M,")
    page.get_by_label("The existing variant has").select_option("S")
    cell(page, "Units on hand", "S").fill("2")
    save(page)
    notice = "3 reserved for orders, more than you counted. Include packed units."
    expect(page.get_by_text(notice, exact=True)).to_be_visible()
    expect(cell(page, "Units on hand", "S")).to_have_value("2")
    # The rest was saved.
    assert list(read_variants(admin, product)) == ["S", "M"]
    page.get_by_label("Sell S").uncheck()
    page.get_by_label("Sell M").uncheck()
    save(page)
    expect(page.get_by_text("Keep at least one variant.")).to_be_visible()
    page.get_by_label("Sell S").check()
    cell(page, "Units on hand", "S").fill("5")
    save(page)
    expect_saved(page)
    variants = read_variants(admin, product)
    assert {name: variant["on_hand"] for name, variant in variants.items()} == {"S": 5}
    assert leave_out(complaints, 409) == []


def test_more_combinations_than_a_product_may_have_are_refused_before_they_are_made(page, complaints):
    open_back_office(page, "products/new")
    page.get_by_label("This product has options").check()
    page.keyboard.type("Size")
    page.get_by_label("Add a value to Size").fill(",".join(f"S{number}" for number in range(50)))
    expect(page.get_by_text("50 variants.")).to_be_visible()
    page.get_by_role("button", name="Add an option").click()
    page.keyboard.type("Colour")
    page.get_by_label("Add a value to Colour").fill("a,b,c,d,e,f")
    page.keyboard.press("Enter")
    expect(page.get_by_text("With “f” there would be 300 combinations.")).to_be_visible()
    expect(page.get_by_text("250 variants.", exact=True)).to_be_visible()
    assert complaints == []


def test_the_further_fields_of_a_product_are_saved_with_their_types(page, complaints, admin):
    product = add_product(admin, metadata={"material": "copper", "boxes": 2})
    open_product(page, product)
    page.get_by_label("Tax class").fill("reduced")
    page.get_by_label("Compare-at price").fill("49.95")
    page.get_by_label("Weight in g").fill("1200")
    page.get_by_label("Low stock at").fill("3")
    page.get_by_role("button", name="Add a field").click()
    page.keyboard.type("material")
    save(page)
    expect(page.get_by_text("There are two fields material.")).to_be_visible()
    assert admin.get(f"/products/{product['id']}?as=edited").json()["version"] == 1
    page.get_by_label("Name").last.fill("fragile")
    page.get_by_label("Type").last.select_option("Yes or no")
    save(page)
    expect_saved(page)
    saved = admin.get(f"/products/{product['id']}?as=edited").json()
    assert saved["metadata"] == {"boxes": 2, "fragile": True, "material": "copper"}
    assert (saved["tax_class"], saved["compare_at_amount"]) == ("reduced", 4995)
    [variant] = read_variants(admin, product).values()
    assert (variant["weight_grams"], variant["low_stock_threshold"]) == (1200, 3)
    save(page)
    expect(page.get_by_text("No changes to save.")).to_be_visible()
    page.get_by_role("button", name="Remove material").click()
    save(page)
    expect(page.get_by_text("Version 3, updated")).to_be_visible()
    assert "material" not in admin.get(f"/products/{product['id']}?as=edited").json()["metadata"]
    assert complaints == []


def test_the_product_list_shows_variants_with_low_stock(page, complaints, take_screenshot, admin):
    shirt = add_shirt(admin, low_stock_threshold=10)
    open_back_office(page)
    page.get_by_role("region", name="Stock").get_by_role("link", name="low in stock").click()
    row = page.get_by_role("row", name=f"{shirt['title']} M")
    expect(row).to_contain_text(re.compile("10.*10"))
    expect(page.get_by_label("Category")).to_be_disabled()
    take_screenshot("admin-low-stock")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name=shirt["title"], level=1)).to_be_visible()
    page.go_back()
    expect(row).to_be_visible()
    page.get_by_role("combobox", name="Stock").select_option("Any")
    expect(page.get_by_role("table", name="Products")).to_be_visible()
    expect(page.get_by_label("Category")).to_be_enabled()
    assert complaints == []


def test_the_table_of_variants_is_accessible_and_scrolls_inside_itself(page, complaints, admin):
    shirt = add_shirt(admin, sizes=("S", "An unusually long size"))
    open_product(page, shirt)
    page.get_by_role("button", name="Edit S", exact=True).click()
    page.get_by_label("Sell S").uncheck()
    faults = [fault for look in (ORDINARY, PHONE_IN_THE_DARK) for fault in look.find_faults(page)]
    assert faults == []
    inside = page.locator(".variants-scroll").evaluate("(node) => node.scrollWidth > node.clientWidth")
    assert inside
    # A cell that gets the focus is not hidden by the column of the variants.
    PHONE_IN_THE_DARK.put_on(page)
    cell(page, "Low stock at", "An unusually long size").focus()
    sku = cell(page, "SKU", "An unusually long size")
    sku.focus()
    heading = page.get_by_role("rowheader", name="Sell An unusually long size")
    edges = [each.bounding_box() for each in (heading, sku)]
    assert edges[0]["x"] + edges[0]["width"] <= edges[1]["x"] + 1
    assert complaints == []


def test_a_variant_has_further_fields_of_its_own(page, complaints, take_screenshot, admin):
    shirt = add_shirt(admin, sizes=("S", "M", "L"))
    small, medium = (read_variants(admin, shirt)[size] for size in "SM")
    body = {"version": medium["version"], "metadata": {"ean": "4006381333931", "washable": True}}
    assert admin.patch(f"/products/{shirt['id']}/variants/{medium['id']}", json=body).status_code == 200
    open_product(page, shirt)
    shown = page.get_by_role("button", name="Further fields, M: ean: 4006381333931; washable: yes")
    expect(shown).to_be_visible()

    # The arrows reach the cell, and Enter opens the dialog.
    cell(page, "Low stock at", "S").focus()
    page.keyboard.press("ArrowRight")
    added = page.get_by_role("button", name="Further fields, S: Add")
    expect(added).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(shown).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Further fields of S")
    dialog.get_by_role("button", name="Add a field").press("Enter")
    page.keyboard.type("material")
    dialog.get_by_role("button", name="Done").click()
    # A field without a value is not taken.
    expect(dialog.get_by_label("Value")).to_be_focused()
    page.keyboard.type("linen")
    take_screenshot("admin-variant-fields-dialog")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    edited = page.get_by_role("button", name="Further fields, S: material: linen")
    expect(edited).to_be_focused()

    # A dialog that the admin leaves changes nothing.
    shown.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove ean").click()
    page.keyboard.press("Escape")
    expect(shown).to_be_focused()
    assert read_variants(admin, shirt)["S"]["metadata"] == {}
    page.get_by_label("Add a value to Size").fill("XL")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Further fields, XL: Add")).to_be_visible()
    take_screenshot("admin-variant-fields")
    save(page)
    expect_saved(page)
    after = read_variants(admin, shirt)
    assert {size: variant["metadata"] for size, variant in after.items()} == {
        "S": {"material": "linen"},
        "M": {"ean": "4006381333931", "washable": True},
        "L": {},
        "XL": {},
    }
    assert after["S"]["version"] > small["version"]
    assert complaints == []


def test_further_fields_that_another_admin_changed_meanwhile_are_shown(page, complaints, admin):
    shirt = add_shirt(admin)
    open_product(page, shirt)
    page.get_by_role("button", name="Further fields, M: Add").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Add a field").click()
    dialog.get_by_label("Name").fill("material")
    dialog.get_by_label("Value").fill("wool")
    dialog.get_by_role("button", name="Done").click()
    medium = read_variants(admin, shirt)["M"]
    body = {"version": medium["version"], "metadata": {"washable": False}}
    assert admin.patch(f"/products/{shirt['id']}/variants/{medium['id']}", json=body).status_code == 200
    save(page)
    details = page.get_by_role("region", name="Details")
    expect(details.get_by_text("Further fields is now washable: no. Your entry is kept")).to_be_visible()
    mine = page.get_by_role("button", name="Further fields, M: material: wool")
    expect(mine).to_be_focused()
    save(page)
    expect_saved(page)
    assert read_variants(admin, shirt)["M"]["metadata"] == {"material": "wool"}
    assert complaints == []
