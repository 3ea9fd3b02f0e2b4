"""Orders of guests: found by a mailed link, or added to the account that has verified their address."""

from datetime import timedelta
from uuid import UUID

from orders.clients import AccountsClient, PaymentsClient
from orders.domain import Order
from orders.errors import LinkInvalid
from orders.order_mails import LOOKUP
from orders.repository import links, orders
from shared import outbox
from shared.context import Caller
from shared.database import Connection, Database
from shared.link_tokens import hash_token, make_token
from shared.mail import CHANNEL, ENDPOINT
from shared.mailbox import repeat
from shared.outbox import Message, NewMessage
from shared.outbox_tasks import insert_task

MAIL_LOOKUP = "mail_lookup"
LINK_LIFE = timedelta(days=7)
MOST_MAILS, MAILS_WITHIN = 3, timedelta(minutes=10)  # To one address, so that no caller can flood a mailbox.
MOST_CLAIMED = 100  # Orders in one call.


def request_lookup(database: Database, number: int, email: str) -> None:
    """Mail a link to the order with this number and address; the caller does not learn if there is one."""
    with database.autocommit() as connection:
        insert_task(connection, MAIL_LOOKUP, email.lower(), {"number": number, "email": email})


def run_mail_lookup(connection: Connection, message: Message) -> None:
    """Mail the link to the address that is stored with the order, not to the one that the caller typed."""
    number = message.data["number"]
    found = links.find_order_of(connection, number, message.data["email"])
    if found is None:
        return
    order_id, email = found
    if outbox.count_recent_messages(connection, email, [LOOKUP], MAILS_WITHIN) < MOST_MAILS:
        outbox.insert_message(connection, _make_mail(connection, order_id, number, email))


def renew_mail(connection: Connection, message: Message) -> NewMessage | None:
    """Return the message that repeats a mail, with a new link if it has one."""
    if message.kind != LOOKUP:
        return repeat(message)
    order_id = UUID(message.subject)
    return _make_mail(connection, order_id, message.data["number"], message.recipient or "")


def open_link(database: Database, token: str) -> Order:
    """Return the order of a mailed link; raise LinkInvalid."""
    with database.autocommit() as connection:
        order_id = links.find_linked_order(connection, hash_token(token))
        order = orders.find_order(connection, order_id) if order_id else None
    if order is None:
        raise LinkInvalid
    return order


def list_claimable(database: Database, accounts: AccountsClient, caller: Caller) -> list[Order]:
    """Return the orders of guests with the caller's verified address, oldest first.

    An address that is not verified may belong to a different person, so it finds nothing.
    """
    ids = _find_claimable(database, accounts, caller)
    with database.transaction() as connection:
        return [order for each in ids if (order := orders.find_order(connection, each))]


def claim_orders(
    database: Database, accounts: AccountsClient, payments: PaymentsClient, caller: Caller
) -> int:
    """Assign those orders to the caller, and return how many there were.

    payments-service changes the customer first, so that a call that fails can be repeated.
    """
    ids = _find_claimable(database, accounts, caller)
    if not ids:
        return 0
    payments.reassign(ids, caller.sub)
    with database.transaction() as connection:
        return orders.reassign_orders(connection, ids, caller.sub)


def _find_claimable(database: Database, accounts: AccountsClient, caller: Caller) -> list[UUID]:
    email = accounts.find_verified_email(caller.sub)
    if email is None:
        return []
    with database.autocommit() as connection:
        found = links.read_orders_with_email(
            connection, email, except_customer=caller.sub, limit=MOST_CLAIMED
        )
    # A customer with an account may have ordered to this address, and keeps that order.
    guests = accounts.find_guests(set(found.values())) if found else frozenset()
    return [order_id for order_id, customer in found.items() if customer in guests]


def _make_mail(connection: Connection, order_id: UUID, number: int, email: str) -> NewMessage:
    token = make_token()
    links.insert_link(connection, hash_token(token), order_id, LINK_LIFE)
    return NewMessage(
        CHANNEL, ENDPOINT, str(order_id), LOOKUP, {"number": number}, recipient=email, secret=token
    )
