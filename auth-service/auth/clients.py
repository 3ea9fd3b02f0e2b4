"""orders-service, which knows whose carts and orders there are."""

from collections.abc import Callable, Sequence

from shared.errors import ServiceUnreachable
from shared.service_calls import ServiceClient, ServiceTokens

MOST_ASKED = 1000  # Customers of one call.


class OwnTokens(ServiceTokens):
    """The service tokens of auth-service, which signs them itself."""

    def __init__(self, issue: Callable[[], str]) -> None:
        # The base would fetch tokens from auth, with a secret that auth-service does not have.
        self._issue = issue

    def current(self) -> str:
        """Return a new token; raise KeysUnavailable while there is nothing to sign with."""
        return self._issue()

    def forget(self, token: str) -> None:
        """Do nothing: the next call has another token anyway."""


class OrdersClient(ServiceClient):
    """Asks orders-service about customers."""

    def __init__(self, base_url: str, tokens: ServiceTokens) -> None:
        super().__init__(base_url, tokens, timeout=(0.5, 5.0), pool=1, retries=0)

    def find_known(self, customers: Sequence[str]) -> frozenset[str]:
        """Return those of up to 1000 customers who have a cart, an order or an idempotency key.

        Raises ServiceUnreachable unless orders-service says so.
        """
        answer = self.request("POST", "/internal/customers/known", json={"customers": list(customers)})
        if answer.status_code != 200:
            raise ServiceUnreachable(f"It answered {answer.status_code}.")
        try:
            known = answer.json()["known"]
        except (ValueError, KeyError, TypeError) as error:
            raise ServiceUnreachable("It answered something else.") from error
        if not isinstance(known, list) or not all(isinstance(each, str) for each in known):
            raise ServiceUnreachable("It answered something else.")
        return frozenset(known)
