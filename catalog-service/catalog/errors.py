"""catalog-service's refusals.

Problem
├── ProductNotFound     404  product_not_found     (NotFound)
├── CatalogueLoading    503  catalogue_loading     (Unavailable)
└── UpstreamFailed      the upstream's own status  upstream_failed
"""

from shared.errors import NotFound, Problem, Unavailable


class ProductNotFound(NotFound):
    """There is no such product for sale."""

    code = "product_not_found"
    detail = "There is no such product."


class CatalogueLoading(Unavailable):
    """The first copy of the product source is still on its way."""

    code = "catalogue_loading"
    detail = "The catalogue is being loaded for the first time; try again in a moment."


class UpstreamFailed(Problem):
    """The product source failed, and there is no copy to serve: its status and message are passed on.

    Its 401 and 403 are about our credentials there and not about the caller's here, so they become 502; so
    does whatever is no error status.
    """

    code = "upstream_failed"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status if 400 <= status <= 599 and status not in {401, 403} else 502
