"""catalog-service's refusals.

Problem
├── ProductNotFound      404  product_not_found      (NotFound)
├── ReservationNotFound  404  reservation_not_found  (NotFound)
├── OutOfStock           409  out_of_stock
├── ProductUnavailable   409  product_unavailable
├── ReservationConflict  409  reservation_conflict
├── ReservationClosed    409  reservation_closed
├── ReservationLapsed    410  reservation_lapsed
├── CatalogueLoading     503  catalogue_loading      (Unavailable)
└── UpstreamFailed       the upstream's own status   upstream_failed
"""

from shared.errors import NotFound, Problem, Unavailable


class ProductNotFound(NotFound):
    """There is no such product for sale."""

    code = "product_not_found"
    detail = "There is no such product."


class ReservationNotFound(NotFound):
    """Nothing was ever reserved for this order."""

    code = "reservation_not_found"
    detail = "There is no reservation for this order."


class OutOfStock(Problem):
    """Not as many are there as are wanted; `lines` says of which product, and how many there are."""

    status = 409
    code = "out_of_stock"
    detail = "There is not enough stock; see lines."


class ProductUnavailable(Problem):
    """A product is not for sale, or not any more; `lines` says which."""

    status = 409
    code = "product_unavailable"
    detail = "A product is not for sale; see lines."


class ReservationConflict(Problem):
    """The order's reservation is for another customer or for other lines."""

    status = 409
    code = "reservation_conflict"
    detail = "Something else is reserved for this order."


class ReservationClosed(Problem):
    """The order's reservation has ended, and it cannot begin again."""

    status = 409
    code = "reservation_closed"
    detail = "The reservation for this order has ended."


class ReservationLapsed(Problem):
    """The stock was not committed in time and was given back; it may be reserved again."""

    status = 410
    code = "reservation_lapsed"
    detail = "The reservation has lapsed; its stock was given back."


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
