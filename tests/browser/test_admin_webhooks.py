"""Webhooks in the back office, with a real receiver."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from standardwebhooks import Webhook

from tests.browser.back_office import confirm, leave_out, open_back_office, place_order, wait_for_content
from tests.browser.storefront import LOOKS, ORDINARY
from tests.conftest import FakeServer
from tests.stacks import Shopper
from tests.waiting import wait_for

pytestmark = pytest.mark.shop


@pytest.fixture
def receiver(fake_server: FakeServer) -> FakeServer:
    """A receiver that accepts all messages, unless the test sets another `status`."""
    fake_server.status = 204  # type: ignore[attr-defined]

    def answer(handler, _body):
        handler.send_response(fake_server.status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    fake_server.answer = answer
    return fake_server


@pytest.fixture(autouse=True)
def no_webhooks(admin: Shopper) -> Iterator[None]:
    """Leave the shop without webhooks, also after a failure."""
    yield
    for webhook in admin.get("/webhooks").json()["data"]:
        assert admin.delete(f"/webhooks/{webhook['id']}").status_code == 204


def add_webhook(admin: Shopper, url: str, *events: str, **others: str):
    made = admin.post("/webhooks", json={"url": url, "events": list(events or ("*",)), **others})
    assert made.status_code == 201, made.text
    return made.json()


def open_webhook(page: Page, webhook) -> None:
    open_back_office(page, f"webhooks/{webhook['id']}")
    wait_for_content(page)


def test_a_webhook_is_added_and_its_secret_shown_once(page, admin, receiver, product, complaints):
    open_back_office(page, "webhooks")
    expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
    page.get_by_role("button", name="Add webhook").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("URL").fill(f"{receiver.url}/shop")
    dialog.get_by_label("Description").fill("Bookkeeping")
    dialog.get_by_label("All events of orders").uncheck()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose at least one event.")
    dialog.get_by_label("An order is paid").check()
    dialog.get_by_role("button", name="Save").click()
    secret = page.get_by_role("dialog").get_by_label("Secret")
    expect(secret).to_have_value(re.compile("^whsec_"))
    shown = secret.input_value()
    page.get_by_role("button", name="Copy secret").click()
    expect(page.get_by_text(re.compile("Secret copied|secret is selected"))).to_be_visible()
    page.get_by_role("button", name="Done").click()
    row = page.get_by_role("row").filter(has_text="Bookkeeping")
    expect(row).to_contain_text("order.paid")
    expect(row.locator(".badge")).to_have_text("Active")
    assert shown not in page.content()
    # It works: the receiver verifies a message of a real order with the secret that the page showed.
    order = place_order(admin, product)
    wait_for(lambda: receiver.requests)
    [(method, path, headers, body)] = receiver.requests
    assert (method, path) == ("POST", "/shop")
    assert Webhook(shown).verify(body, headers)["data"]["id"] == order
    assert complaints == []


def test_what_the_shop_refuses_is_shown_at_its_field(page, complaints):
    open_back_office(page, "webhooks")
    page.get_by_role("button", name="Add webhook").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("URL").fill("http://169.254.169.254/latest")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("The host has only link-local addresses")).to_be_visible()
    expect(dialog.get_by_label("URL")).to_be_focused()
    assert leave_out(complaints, 422) == []


def test_a_ping_shows_what_the_receiver_answered_and_each_attempt(page, admin, receiver, complaints):
    webhook = add_webhook(admin, f"{receiver.url}/shop")
    open_webhook(page, webhook)
    page.get_by_role("button", name="Ping").click()
    expect(page.get_by_text("The receiver accepted it with 204.")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="ping")
    expect(row.locator(".badge")).to_have_text("Sent")
    receiver.status = 404
    row.get_by_role("button", name="Redeliver").click()
    expect(page.get_by_text("The receiver answered 404.").first).to_be_visible()
    row = page.get_by_role("row").filter(has_text="ping")
    row.get_by_role("button", name="Details").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row")).to_have_count(3)
    expect(dialog.get_by_role("row").nth(1)).to_contain_text("204")
    expect(dialog.get_by_role("row").nth(2)).to_contain_text("The receiver answered 404.")
    expect(dialog.get_by_role("region", name="Body")).to_contain_text('"type": "ping"')
    [first, second] = receiver.requests[:2]
    assert first[2]["webhook-id"] == second[2]["webhook-id"]
    assert complaints == []


def test_deliveries_are_filtered_by_state_and_repeated_since_a_time(page, admin, receiver, complaints):
    webhook = add_webhook(admin, f"{receiver.url}/shop")
    assert admin.post(f"/webhooks/{webhook['id']}/ping").status_code == 202
    deliveries = f"/webhooks/{webhook['id']}/deliveries?state=sent"
    wait_for(lambda: admin.get(deliveries).json()["data"])
    open_webhook(page, webhook)
    page.get_by_label("Status").select_option("Dead")
    expect(page.get_by_role("heading", name="No deliveries found")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_role("row").filter(has_text="ping")).to_have_count(1)
    page.get_by_role("button", name="Redeliver since").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Only dead ones").uncheck()
    dialog.get_by_role("button", name="Redeliver").click()
    expect(page.get_by_text("1 message is sent again.")).to_be_visible()
    wait_for(lambda: len(receiver.requests) == 2)
    assert complaints == []


def test_a_webhook_is_edited_switched_off_and_on_and_deleted(page, admin, receiver, complaints):
    webhook = add_webhook(admin, f"{receiver.url}/shop", "order.paid", "ping")
    open_back_office(page, "webhooks")
    name = f"{receiver.url.removeprefix('http://')}/shop"
    page.get_by_role("button", name=f"Edit {name}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("An order is paid")).to_be_checked()
    dialog.get_by_label("The stock of a variant falls to its threshold").check()
    dialog.get_by_label("Description").fill("Warehouse")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row").filter(has_text="Warehouse")).to_contain_text(
        re.compile(r"order\.paid\s*stock\.low\s*ping")
    )
    page.get_by_role("button", name=f"Switch off {name}").click()
    expect(page.locator(".badge")).to_have_text("Switched off")
    assert admin.get(f"/webhooks/{webhook['id']}").json()["active"] is False
    page.get_by_role("button", name=f"Switch on {name}").click()
    expect(page.locator(".badge")).to_have_text("Active")
    page.get_by_role("button", name=f"Delete {name}").click()
    confirm(page, "Delete")
    expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
    assert admin.get("/webhooks").json()["data"] == []
    assert complaints == []


def test_a_secret_is_rotated(page, admin, receiver, complaints):
    webhook = add_webhook(admin, f"{receiver.url}/shop")
    open_webhook(page, webhook)
    page.get_by_role("button", name="New secret").click()
    page.get_by_role("dialog").get_by_role("button", name="New secret").click()
    secret = page.get_by_role("dialog").get_by_label("Secret")
    expect(secret).to_have_value(re.compile("^whsec_"))
    shown = secret.input_value()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("Old secret valid until")).to_be_visible()
    assert admin.post(f"/webhooks/{webhook['id']}/ping").status_code == 202
    wait_for(lambda: receiver.requests)
    _, _, headers, body = receiver.requests[0]
    for each in (shown, webhook["secret"]):
        assert Webhook(each).verify(body, headers)["type"] == "ping"
    assert complaints == []


def test_the_pages_and_dialogs_are_accessible_in_every_look(
    page, admin, receiver, complaints, take_screenshot
):
    add_webhook(admin, f"https://erp.example.com/{'unbreakable' * 8}", description="Bookkeeping")
    webhook = add_webhook(admin, f"{receiver.url}/shop")
    receiver.status = 500
    for _ in range(3):
        assert admin.post(f"/webhooks/{webhook['id']}/ping").status_code == 202
    wait_for(lambda: receiver.requests)
    wait_for(lambda: admin.get(f"/webhooks/{webhook['id']}").json()["error"])
    dialogs = {"webhooks": ["Add webhook"], f"webhooks/{webhook['id']}": ["Redeliver since", "Details"]}
    faults = {}

    def check(place: str) -> None:
        faults[place] = []
        for look in LOOKS:
            faults[place] += look.find_faults(page)
            look.put_on(page)
            take_screenshot(f"admin-{look.name}-webhooks-{re.sub('[^a-z]+', '-', place.lower())}")
        ORDINARY.put_on(page)

    for path, buttons in dialogs.items():
        open_back_office(page, path)
        wait_for_content(page)
        check("one" if "/" in path else "all")
        for button in buttons:
            page.get_by_role("button", name=button).first.click()
            expect(page.get_by_role("dialog")).to_be_visible()
            check(button)
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
    assert {place: found for place, found in faults.items() if found} == {}
    assert complaints == []
