"""The errors of catalog-service.

Problem
├── ProductNotFound      404  product_not_found      (NotFound)
├── VariantNotFound      404  variant_not_found      (NotFound)
├── CategoryNotFound     404  category_not_found     (NotFound)
├── ImageNotFound        404  image_not_found        (NotFound)
├── ReservationNotFound  404  reservation_not_found  (NotFound)
├── SyncNotFound         404  sync_not_found         (NotFound)
├── SaleNotFound         404  sale_not_found         (NotFound)
├── VersionConflict      409  version_conflict
├── SkuTaken             409  sku_taken
├── VariantExists        409  variant_exists
├── LastVariant          409  last_variant
├── TooManyVariants      409  too_many_variants
├── SlugTaken            409  slug_taken
├── CategoryTaken        409  category_taken
├── StockHeld            409  stock_held
├── ImportRunning        409  import_running
├── OutOfStock           409  out_of_stock
├── ProductUnavailable   409  product_unavailable
├── ReservationConflict  409  reservation_conflict
├── ReservationClosed    409  reservation_closed
├── UploadTooSlow        408  upload_too_slow
├── ReservationLapsed    410  reservation_lapsed
├── VariantRequired      422  variant_required
│   └── ItemVariantRequired  409  variant_required
├── OptionValuesInvalid  422  option_values_invalid
├── NotFromSource        422  not_from_source
├── ImportRefused        422  import_refused
├── ImageRefused         422  image_refused
├── TooManyImages        422  too_many_images
├── StockInconsistent    500  stock_inconsistent
├── CatalogueLoading     503  catalogue_loading      (Unavailable)
├── UploadsBusy          503  uploads_busy           (Unavailable)
├── SourcePaused         503  source_paused          (Unavailable)
└── UpstreamFailed       the upstream's own status   upstream_failed
    ├── PageTooLarge     502  upstream_failed
    └── CopyRefused      502  upstream_failed
"""

import math

from shared.errors import NotFound, Problem, Unavailable


class ProductNotFound(NotFound):
    """No product for sale has this id."""

    code = "product_not_found"
    detail = "There is no such product."


class VariantNotFound(NotFound):
    """The product has no variant for sale with this id."""

    code = "variant_not_found"
    detail = "The product has no such variant."


class VariantExists(Problem):
    """Another variant of the product has the same option values; `variant_id` is its id."""

    status = 409
    code = "variant_exists"
    detail = "Another variant of the product has the same option values."


class LastVariant(Problem):
    """A product keeps at least one variant."""

    status = 409
    code = "last_variant"
    detail = "This is the last variant of the product; remove the product instead."


class TooManyVariants(Problem):
    """The product has as many variants as a product may have."""

    status = 409
    code = "too_many_variants"
    detail = "A product has at most 250 variants."


class VariantRequired(Problem):
    """The product has several variants, and the caller named none of them."""

    status = 422
    code = "variant_required"
    detail = "The product has several variants; name one of them."


class ItemVariantRequired(VariantRequired):
    """An item of an order names a product with several variants; `lines` has the products."""

    # orders-service reads every refusal of a reservation from a 409.
    status = 409
    detail = "A product has several variants; see lines."


class OptionValuesInvalid(Problem):
    """A variant does not have exactly one known value for each option; `options` has the options."""

    status = 422
    code = "option_values_invalid"


class CategoryNotFound(NotFound):
    """No category has this path."""

    code = "category_not_found"
    detail = "There is no such category."


class CategoryTaken(Problem):
    """Another category with products has the new path."""

    status = 409
    code = "category_taken"
    detail = "Another category has this path."


class SlugTaken(Problem):
    """Another product has or had this slug; `product_id` is its id."""

    status = 409
    code = "slug_taken"
    detail = "Another product has or had this slug."


class ImageNotFound(NotFound):
    """No image has this name or, for a product, this id."""

    code = "image_not_found"
    detail = "There is no such image."


class ReservationNotFound(NotFound):
    """The order never had a reservation."""

    code = "reservation_not_found"
    detail = "There is no reservation for this order."


class OutOfStock(Problem):
    """Fewer units are available than requested; `lines` has the products and their stock."""

    status = 409
    code = "out_of_stock"
    detail = "There is not enough stock; see lines."


class ProductUnavailable(Problem):
    """A product is not, or is no longer, for sale; `lines` has the products."""

    status = 409
    code = "product_unavailable"
    detail = "A product is not for sale; see lines."


class ReservationConflict(Problem):
    """The order's reservation is for another customer or for other lines."""

    status = 409
    code = "reservation_conflict"
    detail = "The order already has a different reservation."


class ReservationClosed(Problem):
    """The order's reservation has ended and cannot be renewed."""

    status = 409
    code = "reservation_closed"
    detail = "The reservation for this order has ended."


class ReservationLapsed(Problem):
    """The stock was released because it was not committed in time; the order may reserve again."""

    status = 410
    code = "reservation_lapsed"
    detail = "The reservation has lapsed and its stock was released."


class StockInconsistent(Problem):
    """The new stock of a product violates a constraint, because its counts were already wrong."""

    status = 500
    code = "stock_inconsistent"
    detail = "The stock count of a product is inconsistent; an operator must correct it."


class CatalogueLoading(Unavailable):
    """The first copy of the product source has not finished."""

    code = "catalogue_loading"
    detail = "The catalogue is loading for the first time; try again in a moment."


class SyncNotFound(NotFound):
    """No copy of the source has been made yet."""

    code = "sync_not_found"
    detail = "The product source has not been copied yet."


class SaleNotFound(NotFound):
    """The variant has no planned or running sale."""

    code = "sale_not_found"
    detail = "This variant has no sale."


class VersionConflict(Problem):
    """The product has changed since the caller read it; `version` is the current version."""

    status = 409
    code = "version_conflict"
    detail = "The product has changed since you read it; reload it and try again."


class SkuTaken(Problem):
    """Another product for sale has this SKU; `product_id` is its id."""

    status = 409
    code = "sku_taken"
    detail = "Another product for sale has this SKU."


class StockHeld(Problem):
    """The new count is lower than the units held for orders; `reserved` is that number."""

    status = 409
    code = "stock_held"
    detail = "More units than that are held for orders."


class ImportRunning(Problem):
    """An import is running, which locks the assignment of SKUs."""

    status = 409
    code = "import_running"
    detail = "A product import is running; try again when it has finished."


class NotFromSource(Problem):
    """The product is the shop's own and cannot follow a source."""

    status = 422
    code = "not_from_source"
    detail = "The product is the shop's own and does not come from the product source."


class ImportRefused(Problem):
    """Rows of an import are invalid, so none was imported; `errors` lists the first of them."""

    status = 422
    code = "import_refused"
    detail = "Some rows are invalid, so nothing was imported; see errors."


class ImageRefused(Problem):
    """The file is not an image that the shop accepts; the detail says why."""

    status = 422
    code = "image_refused"
    detail = "The file is not a PNG, JPEG, WebP or GIF image."


class TooManyImages(Problem):
    """The product already has as many images as it may have."""

    status = 422
    code = "too_many_images"
    detail = "The product already has 50 images."


class UploadTooSlow(Problem):
    """The file did not arrive in time, while other uploads may be waiting."""

    status = 408
    code = "upload_too_slow"
    detail = "The file did not arrive within a minute."


class UploadsBusy(Unavailable):
    """Another image is being read or decoded, and enough uploads already wait for it."""

    code = "uploads_busy"
    detail = "Other images are being uploaded; try again in a moment."
    headers = {"Retry-After": "3"}


class SourcePaused(Unavailable):
    """The product source has failed several times in a row, and copying is paused."""

    code = "source_paused"
    detail = "The product source has failed several times in a row, so copying is paused."

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.headers = {"Retry-After": str(math.ceil(seconds))}


class UpstreamFailed(Problem):
    """The product source failed, and there is no copy to serve; pass on its status and message.

    Its 401 and 403 concern our credentials there, not the caller's here, so they become 502, as does a status
    that is not an error. A failure that `is_transient` is worth a retry, after `retry_after` seconds if set.
    """

    code = "upstream_failed"

    def __init__(
        self, status: int, detail: str, *, is_transient: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status if 400 <= status <= 599 and status not in {401, 403} else 502
        self.is_transient = is_transient
        self.retry_after = retry_after
        if retry_after is not None and self.status in {429, 503}:
            self.headers = {"Retry-After": str(math.ceil(retry_after))}


class PageTooLarge(UpstreamFailed):
    """A page of the source exceeds the size limit, which protects the replica's memory."""

    def __init__(self) -> None:
        super().__init__(502, "The product source returned a page that is too large.")


class CopyRefused(UpstreamFailed):
    """The source has lost so many products that it is more likely broken than sold out."""

    def __init__(self, missing: int, known: int) -> None:
        super().__init__(
            502,
            f"The product source has lost {missing} of {known} products at once, so nothing was copied."
            " To accept the removals, request a sync with allow_removals.",
        )
