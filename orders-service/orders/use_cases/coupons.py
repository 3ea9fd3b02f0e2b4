"""Coupons, which an editor keeps, and whether a customer may use one."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from orders.domain import StoredCoupon
from orders.errors import CouponExists, CouponNotFound, CouponNotUsable
from orders.repository import coupons
from orders.totals import Coupon
from shared.context import Caller
from shared.database import Database
from shared.errors import ValidationFailed

log = logging.getLogger(__name__)

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # Without signs that look alike.
RANDOM_LENGTH = 10  # 49 bits, so that guessing a code is hopeless.


def name_customer(caller: Caller, email: str | None) -> str:
    """Return who uses a coupon: the account, or the email address of a guest in lower case."""
    return email.lower() if caller.role == "guest" and email else caller.sub


def find_coupon(database: Database, code: str, customer: str) -> Coupon:
    """Return the coupon with this code; raise CouponNotUsable unless the customer may use it now."""
    with database.autocommit() as connection:
        usage = coupons.find_usage(connection, code, customer)
    if usage is None:
        raise CouponNotUsable("unknown", code)
    return usage.check(datetime.now(UTC))


def list_coupons(
    database: Database, *, wanted: str | None, before: UUID | None, limit: int
) -> tuple[list[StoredCoupon], UUID | None]:
    """Return a page of coupons, newest first, and the position of the next page."""
    with database.autocommit() as connection:
        page = coupons.list_coupons(connection, wanted=wanted, before=before, limit=limit + 1)
    more = len(page) > limit
    return page[:limit], page[limit - 1].id if more else None


def show_coupon(database: Database, code: str) -> StoredCoupon:
    """Return a coupon; raise CouponNotFound."""
    _check_code(code)
    with database.autocommit() as connection:
        found = coupons.find_coupon(connection, code)
    if found is None:
        raise CouponNotFound
    return found


def add_coupon(database: Database, values: Mapping[str, Any]) -> StoredCoupon:
    """Add a coupon; raise CouponExists or ValidationFailed."""
    with database.autocommit() as connection:
        added = coupons.insert_coupons(connection, [_complete(values)])
    if not added:
        raise CouponExists
    log.info("Coupon %s added", added[0].coupon.code)
    return added[0]


def generate_coupons(
    database: Database, terms: Mapping[str, Any], *, prefix: str, count: int
) -> list[StoredCoupon]:
    """Add coupons with random codes, each with one use if the terms have no limit; return them."""
    terms = _complete({**terms, "limit": terms["limit"] or 1})
    made: list[StoredCoupon] = []
    with database.transaction() as connection:
        while len(made) < count:
            rows = [{**terms, "code": _make_code(prefix)} for _ in range(count - len(made))]
            made += coupons.insert_coupons(connection, rows)
    log.info("%d coupons generated", count)
    return made


def change_coupon(database: Database, code: str, changes: Mapping[str, Any]) -> StoredCoupon:
    """Change a coupon; raise CouponNotFound or ValidationFailed."""
    _check_code(code)
    with database.transaction() as connection:
        known = coupons.find_coupon(connection, code, lock=True)
        if known is None:
            raise CouponNotFound
        terms = {name: value for name, value in asdict(known.coupon).items() if name != "uses"}
        coupons.update_coupon(connection, known.id, _complete({**terms, **changes}))
        changed = coupons.find_coupon(connection, code)
    if changed is None:
        raise CouponNotFound
    log.info("Coupon %s changed", changed.coupon.code)
    return changed


def remove_coupon(database: Database, code: str) -> None:
    """Remove a coupon; raise CouponNotFound."""
    _check_code(code)
    with database.autocommit() as connection:
        if not coupons.delete_coupon(connection, code):
            raise CouponNotFound
    log.info("Coupon %s removed", code)


def _check_code(code: str) -> None:
    """Raise CouponNotFound for a code that PostgreSQL cannot store; a path may contain any text."""
    if "\0" in code:
        raise CouponNotFound


def _complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked terms of a coupon; raise ValidationFailed."""
    kinds = [values["percent"] is not None, values["amount"] is not None, values["free_shipping"]]
    if sum(kinds) != 1:
        detail = "give one of percent, amount and free_shipping"
        raise ValidationFailed([{"location": "json", "field": "percent", "detail": detail}])
    starts, ends = values["starts"], values["ends"]
    if starts is not None and ends is not None and ends <= starts:
        raise ValidationFailed([{"location": "json", "field": "ends", "detail": "must be after starts"}])
    # A customer has one first order, even of two that are placed at the same moment.
    return {**values, "limit_per_customer": 1} if values["first_order_only"] else dict(values)


def _make_code(prefix: str) -> str:
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
