"""Images of a product: uploaded in the back office, seen in the shop."""

import base64
import re
import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import add_product, leave_out, open_back_office
from tests.catalog.drawn import draw, is_close
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

# The keyboard and the mouse of a test cannot hand a file over, so a script fires the event with a real file.
HAND_OVER = """(zone, [kind, encoded, name]) => {
    const bytes = Uint8Array.from(atob(encoded), (sign) => sign.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, {type: "image/png"}));
    const options = {bubbles: true, cancelable: true};
    zone.dispatchEvent(kind === "drop"
        ? new DragEvent("drop", {...options, dataTransfer: data})
        : new ClipboardEvent("paste", {...options, clipboardData: data}));
}"""


def hand_over(zone, kind, data):
    """Drop or paste a file."""
    zone.evaluate(HAND_OVER, [kind, base64.b64encode(data).decode(), f"{kind}.png"])


def test_images_are_chosen_dropped_and_pasted_and_seen_in_the_shop(page, complaints, take_screenshot, admin):
    product = add_product(admin)
    path = f"/products/{product['id']}?as=edited"
    open_back_office(page, f"products/{product['id']}")
    panel = page.get_by_role("region", name="Images")
    zone = panel.get_by_role("group", name=re.compile("paste or drop"))
    rows = panel.get_by_role("listitem")

    chosen = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": draw("JPEG", (900, 600), "#b04030")}
    page.get_by_label("Choose images").set_input_files([chosen])
    expect(rows).to_have_count(1)
    hand_over(zone, "drop", draw(size=(600, 900), colour="#30b040"))
    expect(rows).to_have_count(2)
    hand_over(zone, "paste", draw(size=(700, 700), colour="#3040b0"))
    expect(rows).to_have_count(3)
    assert [each["height"] for each in admin.get(path).json()["media"]] == [600, 900, 700]

    alt = f"A pasted kettle {secrets.token_hex(3)}"
    panel.get_by_label("Alt text of image 3").fill(alt)
    panel.get_by_label("Alt text of image 3").press("Enter")
    # The keyboard moves it to the front; the button keeps the focus.
    panel.get_by_role("button", name="Move image 3 left").focus()
    page.keyboard.press("Enter")
    expect(panel.get_by_role("button", name="Move image 2 left")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel.get_by_label("Alt text of image 1")).to_have_value(alt)
    panel.get_by_role("button", name="Delete image 3").click()
    expect(rows).to_have_count(2)
    take_screenshot("admin-images")
    assert [each["height"] for each in admin.get(path).json()["media"]] == [700, 600]

    # The form next to it still saves, although the version has changed.
    page.get_by_label("Title").fill(f"{product['title']} in copper")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Product saved.")).to_be_visible()

    page.goto(f"/#/?q={product['title'].replace(' ', '+')}")
    shown = page.get_by_role("img", name=alt)
    expect(shown).to_be_visible()
    page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=shown.element_handle())
    assert re.search(r"/images/[0-9a-f]{32}-480\.webp \d+w", shown.get_attribute("srcset"))
    page.goto(f"/#/products/{product['id']}")
    expect(page.get_by_role("img", name=alt).first).to_be_visible()
    page.get_by_role("button", name="Show image 2 of 2").click()
    expect(page.get_by_role("button", name="Show image 2 of 2")).to_have_attribute("aria-pressed", "true")
    take_screenshot("product-gallery")
    assert complaints == []


def upload(admin, product_id, colour):
    """Add an image of one colour to a product; return its id."""
    files = {"image": (f"{colour}.png", draw(size=(600, 400), colour=colour), "image/png")}
    answer = admin.post(f"/products/{product_id}/images", files=files)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def wait_for_images(admin, product_id, count):
    """Wait until the gateway's cache has no older copy of the product."""
    wait_for(lambda: len(admin.get(f"/products/{product_id}").json()["media"]) == count)


def read_colour(picture):
    """Return red, green and blue of a picture, reduced to one pixel; None until the browser has loaded it."""
    return picture.evaluate(
        """(image) => {
            if (image.tagName !== "IMG" || !image.complete || !image.naturalWidth) return null;
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 1;
            const pen = canvas.getContext("2d");
            pen.drawImage(image, 0, 0, 1, 1);
            return Array.from(pen.getImageData(0, 0, 1, 1).data.slice(0, 3));
        }"""
    )


def expect_colour(picture, colour):
    """Wait until a picture shows a file of one colour."""
    wanted = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
    expect(picture).to_be_visible()
    wait_for(lambda: (found := read_colour(picture)) is not None and is_close(found, wanted))


def expect_placeholder(picture):
    """Wait until a product shows the drawing of a box, and no broken picture."""
    expect(picture).to_have_class("picture picture-missing")
    expect(picture.locator("svg")).to_be_visible()


def test_an_uploaded_picture_is_shown_wherever_the_product_is_bought(
    page, shop, complaints, take_screenshot, admin
):
    red, green = "#b04030", "#30a050"
    product = add_product(admin)
    image = upload(admin, product["id"], red)
    shop.add_to_cart(product["id"])
    # A new page has none of the products of the page before in memory.
    page.reload()
    expect_colour(shop.open_cart().get_by_role("listitem").locator(".picture"), red)
    take_screenshot("pictures-cart")
    page.keyboard.press("Escape")
    shop.fill_in_address()
    page.reload()
    expect_colour(page.get_by_label("Order summary").locator(".picture"), red)
    take_screenshot("pictures-checkout")
    shop.fill_in_address()
    shop.place_order()
    shop.expect_status("Paid")
    order = shop.order_id
    ordered = page.get_by_role("region", name="Items").locator(".picture")

    def show(*, back_office):
        """Open the order again, in the shop or in the back office."""
        if back_office:
            open_back_office(page, f"orders/{order}")
        else:
            shop.open(f"/orders/{order}")
        page.reload()
        expect(page.get_by_role("region", name="Items")).to_contain_text(product["title"])

    # The order of a guest; the back office takes the session afterwards.
    show(back_office=False)
    expect_colour(ordered, red)
    take_screenshot("pictures-order")
    assert admin.delete(f"/products/{product['id']}/images/{image}").status_code == 204
    wait_for_images(admin, product["id"], 0)
    show(back_office=False)
    expect_placeholder(ordered)
    take_screenshot("pictures-order-deleted")
    upload(admin, product["id"], green)
    wait_for_images(admin, product["id"], 1)
    show(back_office=False)
    expect_colour(ordered, green)

    show(back_office=True)
    expect_colour(ordered, green)
    take_screenshot("pictures-admin-order")
    assert complaints == []
    # A page that was open for days may name a file that is gone.
    page.route("**/images/*.webp", lambda route: route.fulfill(status=404))
    show(back_office=True)
    expect_placeholder(ordered)
    page.unroute("**/images/*.webp")
    assert admin.delete(f"/products/{product['id']}").status_code == 204
    wait_for(lambda: admin.get(f"/products/{product['id']}").status_code == 404)
    show(back_office=True)
    expect_placeholder(ordered)
    assert leave_out(complaints, 404) == []


def test_a_file_that_is_no_image_is_refused_with_its_name(page, complaints, admin):
    product = add_product(admin)
    open_back_office(page, f"products/{product['id']}")
    panel = page.get_by_role("region", name="Images")
    script = {"name": "logo.png", "mimeType": "image/png", "buffer": b"<svg><script>alert(1)</script></svg>"}
    page.get_by_label("Choose images").set_input_files([script])
    expect(panel.get_by_role("alert")).to_contain_text(
        "logo.png: The file is not a PNG, JPEG, WebP or GIF image."
    )
    expect(panel.get_by_role("listitem")).to_have_count(0)
    assert [each for each in complaints if "422" not in each] == []
