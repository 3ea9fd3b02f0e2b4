"""Products, stock, import and export in the back office."""

import json
import re
import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import add_product, confirm, leave_out, open_back_office, place_order
from tests.stacks import Shopper

pytestmark = pytest.mark.shop


def write_lines(folder, *rows):
    """Write a JSON Lines file and return its path."""
    path = folder / "products.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_product_is_found_and_edited_twice(page, complaints, take_screenshot, admin):
    product = add_product(admin)
    open_back_office(page, "products")
    page.get_by_label("Search", exact=True).fill(product["title"])
    page.get_by_role("button", name="Apply", exact=True).click()
    page.get_by_role("link", name=product["title"]).click()
    expect(page.get_by_role("heading", name=product["title"], level=1)).to_be_visible()

    # The second edit needs the version of the first one.
    for price, version in ((45.5, 2), (46, 3)):
        page.get_by_label("Price in USD").fill(str(price))
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text(f"Version {version}, updated")).to_be_visible()
        known = admin.get(f"/products/{product['id']}?as=edited").json()
        assert (known["unit_amount"], known["version"]) == (price * 100, version)
    take_screenshot("admin-product")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("No changes to save.")).to_be_visible()

    page.get_by_label("SKU").fill("KIT-0001")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Another product for sale has this SKU.")
    assert leave_out(complaints, 409) == []


def test_an_edit_conflict_is_shown_and_the_admin_decides(page, complaints, take_screenshot, admin):
    product = add_product(admin)
    path = f"/products/{product['id']}"
    open_back_office(page, f"products/{product['id']}")
    page.get_by_label("Price in USD").fill("50")
    page.get_by_label("Brand").fill("Mine")
    theirs = {"version": 1, "price": 39, "description": "Their description."}
    assert admin.patch(path, json=theirs).status_code == 200

    page.get_by_role("button", name="Save", exact=True).click()
    conflict = page.get_by_role("alert")
    expect(conflict).to_contain_text("This product has changed since you opened it")
    expect(conflict.get_by_role("row", name="Price")).to_contain_text(re.compile("40.*39.*50"))
    expect(conflict.get_by_role("row", name="Description")).to_contain_text("unchanged")
    expect(conflict.get_by_role("row", name="Brand")).to_contain_text("Mine")
    take_screenshot("admin-product-conflict")

    conflict.get_by_role("button", name="Overwrite with my changes").click()
    expect(page.get_by_text("Version 3, updated")).to_be_visible()
    known = admin.get(f"{path}?as=edited").json()
    assert (known["unit_amount"], known["brand"]) == (5000, "Mine")
    assert known["description"] == "Their description."

    # The admin can also discard the unsaved changes.
    assert admin.patch(path, json={"version": 3, "title": "Their kettle"}).status_code == 200
    page.get_by_label("Title").fill("My kettle")
    page.get_by_role("button", name="Save", exact=True).click()
    conflict.get_by_role("button", name="Discard my changes").click()
    expect(page.get_by_label("Title")).to_have_value("Their kettle")
    expect(conflict).to_have_count(0)
    assert admin.get(f"{path}?as=edited").json()["version"] == 4
    assert leave_out(complaints, 409) == []


def test_stock_is_counted_and_reserved_units_are_explained(
    page, complaints, take_screenshot, processes, admin
):
    product = add_product(admin)
    with Shopper(processes.url) as buyer:
        assert buyer.post("/auth/guest").status_code == 201
        place_order(buyer, product["id"], card="pm_card_authenticationRequired", quantity=3)
    open_back_office(page, f"products/{product['id']}")
    stock = page.get_by_role("region", name="Stock")
    expect(stock).to_contain_text(re.compile("Reserved.*3.*Available.*7", re.DOTALL))

    stock.get_by_label("Units on hand").fill("2")
    stock.get_by_role("button", name="Save count").click()
    expect(stock.get_by_role("alert")).to_contain_text("3 units are reserved for orders, more than the 2")
    take_screenshot("admin-stock-held")
    stock.get_by_label("Units on hand").fill("25")
    stock.get_by_role("button", name="Save count").click()
    expect(stock).to_contain_text(re.compile("On hand.*25.*Available.*22", re.DOTALL))
    expect(stock.get_by_role("alert")).to_have_count(0)
    assert admin.get(f"/products/{product['id']}/stock").json()["on_hand"] == 25
    assert leave_out(complaints, 409) == []


def test_an_import_rejects_a_file_with_errors_and_lists_their_rows(
    page, complaints, take_screenshot, tmp_path, admin
):
    product = add_product(admin)
    good = {"id": product["id"], "title": "Imported kettle", "on_hand": 4}
    bad = [{"id": product["id"], "price": "a lot"}, {"sku": "NEW-1"}]
    open_back_office(page, "products/import")
    page.get_by_label("File", exact=True).set_input_files(write_lines(tmp_path, good, *bad))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("of 3 rows")
    expect(page.get_by_role("row", name="2 price")).to_be_visible()
    take_screenshot("admin-import-refused")
    assert admin.get(f"/products/{product['id']}?as=edited").json()["title"] == product["title"]

    page.get_by_label("File", exact=True).set_input_files(write_lines(tmp_path, good))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Import complete")).to_be_visible()
    take_screenshot("admin-import")
    assert admin.get(f"/products/{product['id']}?as=edited").json()["title"] == "Imported kettle"
    assert leave_out(complaints, 422) == []


def test_an_import_shows_its_progress_and_a_failure(page, complaints, tmp_path, admin):
    """The test sends the lines of the response itself, because a long import would take minutes."""
    open_back_office(page, "products/import")
    page.evaluate(
        """() => {
            const ask = window.fetch;
            window.fetch = (address, options) => {
                if (!String(address).endsWith("/products/import")) return ask(address, options);
                const body = new ReadableStream({start: (controller) => { window.answer = controller; }});
                return Promise.resolve(new Response(body));
            };
            const encoder = new TextEncoder();
            window.sendLine = (line) => window.answer.enqueue(encoder.encode(line));
        }"""
    )
    page.get_by_label("File", exact=True).set_input_files(
        write_lines(tmp_path, {"title": "Kettle", "price": 1})
    )
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Uploading and checking")).to_be_visible()
    # A line may arrive in two chunks.
    page.evaluate("""sendLine('{"status":"running","rows":40000,"applied"')""")
    page.evaluate("""sendLine(':10000,"added":0,"changed":9}\\n')""")
    expect(page.get_by_text("10,000 of 40,000 rows imported.")).to_be_visible()
    assert page.get_by_role("progressbar").evaluate("(bar) => bar.value") == 0.25
    page.evaluate(
        """sendLine('{"status":"failed","code":"unavailable","detail":"The database is away."}\\n')"""
    )
    page.evaluate("answer.close()")
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong on our side")
    assert complaints == []


def test_the_catalogue_is_exported_as_a_file(page, complaints, admin):
    open_back_office(page, "products")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert download.value.suggested_filename == "products.jsonl"
    rows = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert {"id", "sku", "title", "unit_amount", "stock"} <= rows[0].keys()
    assert len(rows) >= 120
    assert complaints == []


def test_a_product_is_added_and_deleted(page, complaints, take_screenshot, admin):
    open_back_office(page, "products")
    page.get_by_role("link", name="Add product").click()
    page.get_by_role("button", name="Add product").click()
    expect(page.get_by_label("Title")).to_be_focused()
    page.get_by_label("Title").fill("Samovar")
    page.get_by_label("Price in USD").fill("219.90")
    page.get_by_label("Units on hand").fill("3")
    take_screenshot("admin-new-product")
    page.get_by_role("button", name="Add product").click()
    expect(page.get_by_role("heading", name="Samovar", level=1)).to_be_visible()
    found = re.search(r"products/(\d+)$", page.url)
    assert found
    path = f"/products/{found[1]}"
    assert admin.get(path).json()["unit_amount"] == 21990

    page.get_by_role("button", name="Delete product").click()
    confirm(page, "Delete product")
    expect(page).to_have_url(re.compile("#/admin/products$"))
    assert admin.get(f"{path}?as=edited").status_code == 404
    assert complaints == []


def test_a_double_submit_adds_one_product(page, complaints, admin):
    title = f"Kettle {secrets.token_hex(4)}"
    open_back_office(page, "products/new")
    page.get_by_label("Title").fill(title)
    page.get_by_label("Price in USD").fill("10")
    page.locator("main form").evaluate("(form) => { form.requestSubmit(); form.requestSubmit(); }")
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    assert len(admin.get("/products", params={"q": title}).json()["data"]) == 1
    assert complaints == []


def test_a_double_submit_of_an_edit_causes_no_conflict(page, complaints, admin):
    product = add_product(admin)
    open_back_office(page, f"products/{product['id']}")
    page.get_by_label("Price in USD").fill("55")
    form = page.locator("form").filter(has=page.get_by_label("Price in USD"))
    form.evaluate("(form) => { form.requestSubmit(); form.requestSubmit(); }")
    expect(page.get_by_text("Product saved.")).to_be_visible()
    expect(page.get_by_text("Version 2, updated")).to_be_visible()
    # A second request would have an outdated version.
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert complaints == []


def test_an_edited_product_is_reset_to_its_source(page, complaints, admin):
    before = admin.get("/products/119?as=edited").json()
    open_back_office(page, "products/119")
    page.get_by_label("Title").fill("Edited here")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Edited here", level=1)).to_be_visible()
    page.get_by_role("button", name="Reset to source").click()
    confirm(page, "Reset to source")
    expect(page.get_by_role("heading", name=before["title"], level=1)).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value(before["title"])
    assert admin.get("/products/119?as=edited").json()["title"] == before["title"]
    assert complaints == []
