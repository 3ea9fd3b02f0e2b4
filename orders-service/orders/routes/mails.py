"""The route to the mails about an order."""

from uuid import UUID

from apiflask import APIBlueprint

from orders.errors import OrderNotFound
from orders.use_cases import orders
from shared.context import require_caller
from shared.database import Database
from shared.mailbox import Mailbox, MailPage, describe_page
from shared.openapi import document_errors
from shared.pages import PageQuery, decode_id


def order_mail_routes(database: Database, mailbox: Mailbox) -> APIBlueprint:
    """Return the route by which callers who see all orders read the mails about one."""
    routes = APIBlueprint("order_mails", __name__)

    @routes.get("/orders/<uuid:order_id>/mails")
    @routes.input(PageQuery, location="query")
    @routes.output(MailPage)
    @routes.doc(responses=document_errors(OrderNotFound))
    def list_order_mails(order_id: UUID, query_data: PageQuery) -> MailPage:
        """List the mails of the last 30 days about an order, newest first."""
        order = orders.find_order(database, require_caller(), order_id)
        before = decode_id(query_data.cursor)
        return describe_page(
            mailbox, *mailbox.list_mails(limit=query_data.limit, about=order.id, before=before)
        )

    return routes
