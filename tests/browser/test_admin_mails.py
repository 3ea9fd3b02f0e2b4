"""The mailbox of the back office: its list, its mails, and those on the page of an order."""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, Route, expect

from tests.browser.back_office import (
    confirm,
    leave_out,
    open_back_office,
    place_order,
    read_order,
    wait_for_content,
)
from tests.browser.storefront import ORDINARY, each_set_of_looks, go_to
from tests.stacks import Shopper
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

FRAME = "iframe[title='The mail as its recipient sees it']"


@pytest.fixture
def order(product: int, guest: Shopper) -> str:
    """The id of a paid order."""
    return place_order(guest, product)


def read_mails(admin: Shopper, order: str) -> list[dict[str, Any]]:
    """Return the mails about an order, newest first."""
    answer = admin.get(f"/orders/{order}/mails")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def wait_for_mail(admin: Shopper, order: str) -> dict[str, Any]:
    """Return the one mail about an order once it was made."""
    wait_for(lambda: [mail["state"] for mail in read_mails(admin, order)] == ["kept"])
    return read_mails(admin, order)[0]


def find_frame(page: Page) -> FrameLocator:
    return page.frame_locator(FRAME)


def serve_accounts(page: Page, mails: list[dict[str, Any]]) -> None:
    """Let the page find these mails of accounts, newest first, one on each page of the list."""

    def answer(route: Route) -> None:
        place = (
            int(re.search(r"cursor=(\d+)", route.request.url).group(1))
            if "cursor" in route.request.url
            else 0
        )
        following = place + 1 if place + 1 < len(mails) else None
        route.fulfill(json={"data": mails[place : place + 1], "next": following and str(following)})

    page.route("**/auth/mails?*", answer)


def test_an_order_s_mail_is_in_the_mailbox_and_is_sent_again(page, complaints, take_screenshot, admin, order):
    mail = wait_for_mail(admin, order)
    number = read_order(admin, order)["number"]
    serve_accounts(page, [])
    open_back_office(page, "mails")
    row = page.get_by_role("row").filter(has=page.locator(f"a[href$='{mail['id']}']"))
    expect(row).to_contain_text(f"Your order {number} is confirmed")
    expect(row).to_contain_text("ada@example.com")
    expect(row).to_contain_text("Kept")
    expect(page.get_by_text("because the shop has no mail server")).to_contain_text("SMTP_URL")
    row.get_by_role("link", name=f"Your order {number} is confirmed").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(f"Your order {number} is confirmed")
    expect(find_frame(page).get_by_role("heading", level=1)).to_have_text("Thank you for your order")
    expect(find_frame(page).locator("body")).to_contain_text(f"Your order {number} of")
    expect(page.locator("pre")).to_contain_text(f"Your order {number} of")
    take_screenshot("admin-mail")

    page.get_by_role("button", name="Send again").click()
    confirm(page, "Send again")
    expect(page.get_by_text("Sending the mail again.")).to_be_visible()
    again = read_mails(admin, order)
    assert [each["resend_of"] for each in again] == [mail["id"], None]
    # The page is that of the new mail, and shows its state without a reload.
    expect(page).to_have_url(re.compile(again[0]["id"]))
    expect(page.locator(".page-title .badge")).to_have_text("Kept")
    page.get_by_role("link", name=mail["id"][-8:]).click()
    expect(page).to_have_url(re.compile(mail["id"]))
    page.get_by_role("link", name=f"Order …{order[-8:]}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {number}")
    assert complaints == []


def test_the_page_of_an_order_lists_its_mails_and_sends_them_again(
    page, complaints, take_screenshot, admin, order
):
    wait_for_mail(admin, order)
    open_back_office(page, f"orders/{order}")
    mails = page.get_by_role("region", name="Mails", exact=True)
    expect(mails.get_by_role("row")).to_have_count(2)
    mails.get_by_role("button", name="Send again").click()
    confirm(page, "Send again")
    expect(mails.get_by_role("row")).to_have_count(3)
    expect(mails.locator(".badge")).to_have_text(["Kept", "Kept"])
    # An event of the order has a mail, too.
    page.get_by_role("button", name="Mark as shipped").click()
    confirm(page, "Mark as shipped")
    expect(mails.get_by_role("row").nth(1)).to_contain_text("is on its way")
    expect(mails.locator(".badge")).to_have_text(["Kept", "Kept", "Kept"])
    take_screenshot("admin-order-mails")
    assert complaints == []


def test_the_mails_of_all_services_are_one_list_by_time(page, complaints, admin, guest, product):
    orders = [place_order(guest, product) for _ in range(2)]
    older, newer = (wait_for_mail(admin, order) for order in orders)
    # Of these three mails of accounts, one is newer than both, one between them, and one older.
    newest = f"{'f' * 8}{newer['id'][8:]}"
    between = f"{older['id'][:-12]}{'f' * 12}"
    oldest = f"{'0' * 8}{older['id'][8:]}"
    accounts = [
        {**older, "id": mail_id, "subject": subject, "about": "0199c0de-0000-7000-8000-0123456789ab"}
        for mail_id, subject in ((newest, "Newest"), (between, "Between"), (oldest, "Oldest"))
    ]
    serve_accounts(page, accounts)
    open_back_office(page, "mails")
    wait_for_content(page)
    more = page.get_by_role("button", name="Show more")
    while more.is_visible():
        more.click()
        expect(more.and_(page.locator("[aria-disabled]"))).to_have_count(0)
    links = (
        page.get_by_role("table").locator("th a").evaluate_all("(links) => links.map((link) => link.hash)")
    )
    found = [link.rpartition("/")[2] for link in links]
    ours = [newest, newer["id"], between, older["id"], oldest]
    assert [each for each in found if each in ours] == ours
    assert found == sorted(set(found), reverse=True)
    expect(page.get_by_role("link", name="User …456789ab").first).to_be_visible()
    assert complaints == []


def test_the_mailbox_works_without_a_source_and_filters_by_state(page, complaints, admin, order):
    mail = wait_for_mail(admin, order)
    page.route(
        "**/auth/mails?*", lambda route: route.fulfill(status=404, json={"status": 404, "code": "not_found"})
    )
    open_back_office(page, "mails")
    expect(page.locator(f"a[href$='{mail['id']}']")).to_be_visible()
    page.get_by_label("Status").select_option("sent")
    expect(page.get_by_role("heading", name="No mails found")).to_be_visible()
    expect(page).to_have_url(re.compile("#/admin/mails\\?state=sent$"))
    expect(page.get_by_text("because the shop has no mail server")).to_have_count(0)
    page.get_by_label("Status").select_option("kept")
    expect(page.locator(f"a[href$='{mail['id']}']")).to_be_visible()
    assert leave_out(complaints, 404) == []


def show_as(page: Page, **changes: Any) -> None:
    """Let the page find each mail with these changes."""

    def answer(route: Route) -> None:
        got = route.fetch()
        route.fulfill(response=got, json={**got.json(), **changes})

    page.route(re.compile(r"/orders/mails/[^/]+$"), answer)


def test_a_dead_mail_says_why_and_is_tried_again(page, complaints, take_screenshot, admin, order):
    mail = wait_for_mail(admin, order)
    show_as(page, state="dead", attempts=14, error="550 No such user here", subject=None)
    page.route("**/resend", lambda route: route.fulfill(status=202, json={**mail, "state": "waiting"}))
    open_back_office(page, f"mails/orders/{mail['id']}")
    expect(page.locator(".page-title .badge")).to_have_text("Not sent")
    expect(page.get_by_role("main")).to_contain_text("550 No such user here")
    # A mail whose template has an error has no preview.
    expect(page.get_by_text("A template of this mail has an error")).to_be_visible()
    expect(page.locator(FRAME)).to_have_count(0)
    take_screenshot("admin-mail-dead")
    page.get_by_role("button", name="Retry").click()
    confirm(page, "Retry")
    expect(page.locator(".page-title .badge")).to_have_text("Waiting")
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    expect(page).to_have_url(re.compile(mail["id"]))
    # The page follows the mail, which fails again.
    expect(page.locator(".page-title .badge")).to_have_text("Not sent")
    assert complaints == []


def test_a_refused_attempt_to_send_a_mail_again_is_shown(page, complaints, admin, order):
    mail = wait_for_mail(admin, order)
    problem = {"status": 409, "code": "mail_waiting", "detail": "This mail is still to be sent."}
    page.route("**/resend", lambda route: route.fulfill(status=409, json=problem))
    open_back_office(page, f"mails/orders/{mail['id']}")
    page.get_by_role("button", name="Send again").click()
    confirm(page, "Send again")
    expect(page.get_by_role("alert")).to_have_text("This mail is still to be sent.")
    assert leave_out(complaints, 409) == []


@each_set_of_looks
def test_the_pages_of_mails_are_accessible_in_every_look(
    page, complaints, take_screenshot, admin, order, looks
):
    mail = wait_for_mail(admin, order)
    serve_accounts(page, [])
    open_back_office(page, "users")
    faults = {}
    for path in ("mails", f"mails/orders/{mail['id']}"):
        go_to(page, f"/admin/{path}")
        faults[path] = [fault for look in looks for fault in look.find_faults(page)]
        for look in looks:
            look.put_on(page)
            take_screenshot(f"admin-{look.name}-{path.split('/')[0]}-{path.count('/')}")
        ORDINARY.put_on(page)
    assert {path: found for path, found in faults.items() if found} == {}
    assert complaints == []


def test_the_frame_of_a_mail_has_its_styles_and_runs_no_script(page, complaints, admin, order):
    mail = wait_for_mail(admin, order)
    hostile = """<body onload="parent.document.title = 'run'"><script>parent.document.title = 'run'</script>
        <p id="shown" style="color: rgb(1, 2, 3)">Shown</p><a href="javascript:parent.stop()">Run</a>
        <img src="/assets/icon.svg" onerror="parent.document.title = 'run'"></body>"""

    def add_scripts(route: Route) -> None:
        got = route.fetch()
        assert got.ok
        route.fulfill(response=got, body=got.text().replace("</body>", hostile))

    page.route("**/preview", add_scripts)
    open_back_office(page, f"mails/orders/{mail['id']}")
    shown = find_frame(page).locator("#shown")
    expect(shown).to_have_css("color", "rgb(1, 2, 3)")
    expect(find_frame(page).locator("h1")).to_have_css("font-size", "24px")
    expect(page).to_have_title(re.compile("^Your order"))
    # The browser says what it has blocked.
    blocked = [each for each in complaints if "Content Security Policy" in each or "sandboxed" in each]
    assert any("script" in each for each in blocked)
    assert any("icon.svg" in each for each in blocked)


def test_a_link_of_a_mail_opens_a_tab_of_the_shop(page, complaints, admin, order):
    mail = wait_for_mail(admin, order)
    open_back_office(page, f"mails/orders/{mail['id']}")
    with page.expect_popup() as opened:
        find_frame(page).get_by_role("link", name="View your order").click()
    # PUBLIC_URL has another host than the page, so that the customer is signed out there.
    expect(opened.value.get_by_role("heading", level=1)).to_have_text("This order is not shown here")
    expect(opened.value).to_have_url(re.compile(f"/#/orders/{order}$"))
    assert opened.value.evaluate("window.opener") is None
    assert complaints == []


@pytest.fixture
def other_site() -> Iterator[str]:
    """The URL of another site, whose page has any address in a frame: `?URL`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = self.path.partition("?")[2]
            content = f"<title>Other</title><iframe src='{address}'></iframe>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Do not log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_another_site_cannot_frame_a_mail_and_a_stranger_cannot_read_it(
    page, make_page, complaints, running, admin, order, other_site
):
    mail = wait_for_mail(admin, order)
    path = f"/orders/mails/{mail['id']}/preview"
    open_back_office(page, "mails")
    assert page.request.get(path).status == 200
    page.goto(f"{other_site}/?{running.url}{path}")
    wait_for(lambda: any("frame-ancestors" in each for each in complaints))
    expect(page.frame_locator("iframe").get_by_text("Thank you for your order")).to_have_count(0)
    stranger = make_page()
    assert stranger.request.get(path).status == 401
