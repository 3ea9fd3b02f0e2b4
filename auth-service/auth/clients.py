"""The client of orders-service, which knows the customers with carts and orders."""

from collections.abc import Callable, Sequence

from shared.errors import ServiceUnreachable
from shared.service_calls import ServiceClient, ServiceTokens

MOST_ASKED = 1000  # Customers in one call.


class OwnTokens(ServiceTokens):
    """Service tokens that auth-service signs for itself."""

    def __init__(self, issue: Callable[[], str]) -> None:
        # The base class would request tokens with a client secret, which auth-service does not have.
        self._issue = issue

    def current(self) -> str:
        """Return a new token; raise KeysUnavailable if no key can sign."""
        return self._issue()

    def forget(self, token: str) -> None:
        """Do nothing: each call gets a new token anyway."""


class OrdersClient(ServiceClient):
    """Requests facts about customers from orders-service."""

    def __init__(self, base_url: str, tokens: ServiceTokens) -> None:
        super().__init__(base_url, tokens, timeout=(0.5, 5.0), pool=1, retries=0)

    def find_known(self, customers: Sequence[str]) -> frozenset[str]:
        """Return the customers, of up to 1000, who have a cart, an order or an idempotency key.

        Raises ServiceUnreachable if orders-service does not respond correctly.
        """
        answer = self.request("POST", "/internal/customers/known", json={"customers": list(customers)})
        if answer.status_code != 200:
            raise ServiceUnreachable(f"It responded with status {answer.status_code}.")
        try:
            known = answer.json()["known"]
        except (ValueError, KeyError, TypeError) as error:
            raise ServiceUnreachable("Its response is malformed.") from error
        if not isinstance(known, list) or not all(isinstance(each, str) for each in known):
            raise ServiceUnreachable("Its response is malformed.")
        return frozenset(known)
