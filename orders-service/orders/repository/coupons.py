"""Coupons and their uses. `repository.orders` takes a use, and a trigger gives it back."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import CouponUsage, StoredCoupon
from orders.tables import coupon_uses, coupons
from orders.totals import Coupon

LISTS = ("products", "categories")
TIMES = ("starts", "ends")
NOT_OF_COUPON = {"id", "key", "use_limit", "created_at", "deleted_at", "order_id"}
IS_KEPT = coupons.c.deleted_at.is_(None)
# Orders of the same account, or of the same email address, that were not cancelled.
HAS_ORDERED = """EXISTS (
        SELECT FROM orders
        WHERE (orders.customer = :coupon_customer OR lower(email) = :coupon_customer)
            AND status <> 'cancelled')
"""
FIND_USAGE = text(
    """
    SELECT to_json(coupons) AS coupon,
        coalesce((SELECT known.uses FROM coupon_customers AS known
                  WHERE coupon_id = coupons.id AND customer = :coupon_customer), 0) AS customer_uses,
        first_order_only AND {ordered} AS has_ordered
    FROM coupons WHERE key = :coupon_key AND deleted_at IS NULL
""".replace("{ordered}", HAS_ORDERED)
)


def make_key(code: str) -> str:
    """Return a code as it is compared, without regard to case."""
    return unicodedata.normalize("NFKC", code).strip().casefold()


def find_usage(connection: Connection, code: str, customer: str) -> CouponUsage | None:
    """Return the coupon with this code and how the customer has used it, or None."""
    values = {"coupon_key": make_key(code), "coupon_customer": customer}
    row = connection.execute(FIND_USAGE, values).first()
    return CouponUsage(to_coupon(row.coupon), row.customer_uses, row.has_ordered) if row else None


def find_coupon_of_order(connection: Connection, order_id: UUID) -> Coupon:
    """Return the coupon that an order uses."""
    query = (
        select(func.to_json(coupons.table_valued()))
        .join(coupon_uses, coupon_uses.c.coupon_id == coupons.c.id)
        .where(coupon_uses.c.order_id == order_id)
    )
    return to_coupon(connection.execute(query).scalar_one())


def list_coupons(
    connection: Connection, *, wanted: str | None, before: UUID | None, limit: int
) -> list[StoredCoupon]:
    """Return coupons, newest first; `wanted` is the beginning of a code."""
    query = select(coupons).where(IS_KEPT).order_by(coupons.c.id.desc()).limit(limit)
    if wanted is not None:
        query = query.where(coupons.c.key.startswith(make_key(wanted), autoescape=True))
    if before is not None:
        query = query.where(coupons.c.id < before)
    return [_to_stored(row._mapping) for row in connection.execute(query)]


def find_coupon(connection: Connection, code: str, *, lock: bool = False) -> StoredCoupon | None:
    """Return the coupon with this code, or None; with `lock`, until the transaction ends."""
    query = select(coupons).where(IS_KEPT, coupons.c.key == make_key(code))
    row = connection.execute(query.with_for_update() if lock else query).first()
    return _to_stored(row._mapping) if row else None


def insert_coupons(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[StoredCoupon]:
    """Add coupons and return them, without those whose code is taken."""
    statement = insert(coupons).on_conflict_do_nothing().returning(coupons)
    found = connection.execute(statement, [_to_row(row) for row in rows])
    return [_to_stored(row._mapping) for row in found]


def update_coupon(connection: Connection, coupon_id: UUID, values: Mapping[str, Any]) -> None:
    """Change a coupon; orders that use it already keep their totals."""
    connection.execute(update(coupons).where(coupons.c.id == coupon_id).values(_to_row(values)))


def delete_coupon(connection: Connection, code: str) -> bool:
    """Remove a coupon, whose uses remain in the books; return whether there was one."""
    removed = update(coupons).where(IS_KEPT, coupons.c.key == make_key(code))
    return connection.execute(removed.values(deleted_at=func.now())).rowcount == 1


def to_coupon(stored: Mapping[str, Any]) -> Coupon:
    """Return the coupon of a row or of its JSON."""
    values = {name: value for name, value in stored.items() if name not in NOT_OF_COUPON}
    for name in LISTS:
        values[name] = tuple(values[name])
    for name in TIMES:
        if isinstance(values[name], str):
            values[name] = datetime.fromisoformat(values[name])
    return Coupon(**values, limit=stored["use_limit"])


def _to_stored(row: Mapping[Any, Any]) -> StoredCoupon:
    return StoredCoupon(row["id"], to_coupon(row), row["created_at"])


def _to_row(values: Mapping[str, Any]) -> dict[str, Any]:
    row = {**values, "use_limit": values.get("limit")}
    row.pop("limit", None)
    if "code" in row:
        row["key"] = make_key(row["code"])
    return row
