"""catalog-service's refusals.

Problem
├── ProductNotFound      404  product_not_found      (NotFound)
├── ImageNotFound        404  image_not_found        (NotFound)
├── ReservationNotFound  404  reservation_not_found  (NotFound)
├── SyncNotFound         404  sync_not_found         (NotFound)
├── VersionConflict      409  version_conflict
├── SkuTaken             409  sku_taken
├── StockHeld            409  stock_held
├── ImportRunning        409  import_running
├── OutOfStock           409  out_of_stock
├── ProductUnavailable   409  product_unavailable
├── ReservationConflict  409  reservation_conflict
├── ReservationClosed    409  reservation_closed
├── ReservationLapsed    410  reservation_lapsed
├── NotFromSource        422  not_from_source
├── ImportRefused        422  import_refused
├── StockInconsistent    500  stock_inconsistent
├── CatalogueLoading     503  catalogue_loading      (Unavailable)
├── SourcePaused         503  source_paused          (Unavailable)
└── UpstreamFailed       the upstream's own status   upstream_failed
    ├── PageTooLarge     502  upstream_failed
    └── CopyRefused      502  upstream_failed
"""

import math

from shared.errors import NotFound, Problem, Unavailable


class ProductNotFound(NotFound):
    """There is no such product for sale."""

    code = "product_not_found"
    detail = "There is no such product."


class ImageNotFound(NotFound):
    """There is no such picture."""

    code = "image_not_found"
    detail = "There is no such picture."


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


class StockInconsistent(Problem):
    """The database refuses what would become of a product's stock: its books were wrong before."""

    status = 500
    code = "stock_inconsistent"
    detail = "The stock count of a product is inconsistent; an operator has to correct it."


class CatalogueLoading(Unavailable):
    """The first copy of the product source is still on its way."""

    code = "catalogue_loading"
    detail = "The catalogue is being loaded for the first time; try again in a moment."


class SyncNotFound(NotFound):
    """The source was never copied."""

    code = "sync_not_found"
    detail = "The product source was not copied yet."


class VersionConflict(Problem):
    """The product has changed since the caller saw it; `version` says what it is at now."""

    status = 409
    code = "version_conflict"
    detail = "The product has changed since; look at it again."


class SkuTaken(Problem):
    """Another product on sale has this sku; `product_id` says which."""

    status = 409
    code = "sku_taken"
    detail = "Another product on sale has this sku."


class StockHeld(Problem):
    """More is promised to orders than there is said to be; `reserved` says how much."""

    status = 409
    code = "stock_held"
    detail = "More than that is held for orders."


class ImportRunning(Problem):
    """Somebody is importing products, and nobody else may give a sku to one meanwhile."""

    status = 409
    code = "import_running"
    detail = "Products are being imported; try again when that is done."


class NotFromSource(Problem):
    """The product is the shop's own, and cannot follow a source."""

    status = 422
    code = "not_from_source"
    detail = "The product is the shop's own; no source says anything of it."


class ImportRefused(Problem):
    """Rows of an import are not right, so that none was loaded; `errors` names the first of them."""

    status = 422
    code = "import_refused"
    detail = "Some rows are not right, so nothing was loaded; see errors."


class SourcePaused(Unavailable):
    """The product source has failed again and again, and is left alone for a while."""

    code = "source_paused"
    detail = "The product source has failed several times in a row and is left alone for a while."

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.headers = {"Retry-After": str(math.ceil(seconds))}


class UpstreamFailed(Problem):
    """The product source failed, and there is no copy to serve: its status and message are passed on.

    Its 401 and 403 are about our credentials there and not about the caller's here, so they become 502; so
    does whatever is no error status. What `may_pass` is worth asking for again, after the seconds that the
    source wants if it says so.
    """

    code = "upstream_failed"

    def __init__(
        self, status: int, detail: str, *, may_pass: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status if 400 <= status <= 599 and status not in {401, 403} else 502
        self.may_pass = may_pass
        self.retry_after = retry_after
        if retry_after is not None and self.status in {429, 503}:
            self.headers = {"Retry-After": str(math.ceil(retry_after))}


class PageTooLarge(UpstreamFailed):
    """A page of the source is larger than anybody's memory should be asked for."""

    def __init__(self) -> None:
        super().__init__(502, "The product source answered with too large a page.")


class CopyRefused(UpstreamFailed):
    """The source has so little left that it is more likely broken than sold out."""

    def __init__(self, missing: int, known: int) -> None:
        super().__init__(
            502,
            f"The product source has lost {missing} of {known} products at once, so nothing was taken over;"
            " a sync with allow_removals does it all the same.",
        )
