"""Images of a product: uploaded in the back office, seen in the shop."""

import base64
import re
import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.back_office import add_product, open_back_office
from tests.catalog.drawn import draw

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
