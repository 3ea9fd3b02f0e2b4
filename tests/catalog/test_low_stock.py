"""The list of variants whose stock is at or below their threshold."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.use_cases.low_stock import list_low_stock
from shared.migrate import upgrade
from shared.service import migrations_of
from tests.catalog.fake_source import reserve
from tests.catalog.rows import begin_catalogue, put_products
from tests.catalog.test_plans import explain, indexes

SIZES = [{"name": "Size", "values": ["S", "M", "L"]}]
BAD_QUERIES = ["cursor=x", "cursor=WzFd", "cursor=WyJhIiwxXQ", "cursor=Wy0xLDFd", "limit=0", "stock=1"]


class Admin:
    """An admin with a client of the catalogue."""

    def __init__(self, client, auth):
        self.client = client
        self.headers = auth.bearer(role="admin")

    def send(self, method, path, body=None, status=200):
        answer = self.client.open(path, method=method, json=body, headers=self.headers)
        assert answer.status_code == status, answer.json
        return answer.json if answer.data else None

    def low(self, query=""):
        return self.send("GET", f"/products/low-stock?{query}")

    def low_ids(self):
        return [each["variant_id"] for each in self.low()["data"]]

    def create(self, **fields):
        priced = {} if "variants" in fields else {"price": 5}
        return self.send("POST", "/products", {"title": "Mug", **priced, **fields}, 201)


@pytest.fixture
def admin(client, auth):
    return Admin(client, auth)


def test_a_variant_is_listed_while_its_stock_is_at_or_below_its_threshold(admin, database):
    begin_catalogue(database)
    mug = admin.create(on_hand=5, low_stock_threshold=4)["id"]
    stock = f"/products/{mug}/stock"
    seen = []

    def note(step):
        seen.append((step, admin.low_ids() == [mug]))

    note("5 units of 4")
    reserve(database, uuid4(), {mug: 1})
    note("one of 5 reserved")
    admin.send("PUT", stock, {"on_hand": 6})
    note("6 counted, one reserved")
    admin.send("PUT", stock, {"on_hand": 5})
    note("5 counted, one reserved")
    admin.send("PATCH", f"/products/{mug}", {"version": 1, "low_stock_threshold": 3})
    note("a lower threshold")
    admin.send("PATCH", f"/products/{mug}", {"version": 2, "low_stock_threshold": 4})
    note("a higher threshold")
    admin.send("PATCH", f"/products/{mug}", {"version": 3, "low_stock_threshold": None})
    note("no threshold")
    admin.send("PATCH", f"/products/{mug}", {"version": 4, "low_stock_threshold": 2**31})
    note("the highest threshold")
    admin.send("DELETE", f"/products/{mug}", status=204)
    note("a removed product")
    assert seen == [
        ("5 units of 4", False),
        ("one of 5 reserved", True),
        ("6 counted, one reserved", False),
        ("5 counted, one reserved", True),
        ("a lower threshold", False),
        ("a higher threshold", True),
        ("no threshold", False),
        ("the highest threshold", True),
        ("a removed product", False),
    ]


def test_each_variant_has_its_own_threshold_and_a_withdrawn_one_is_not_listed(admin):
    rows = [("S", 0, 0), ("M", 9, 3), ("L", 1, 2)]
    variants = [
        {"options": {"Size": size}, "price": 5, "on_hand": units, "low_stock_threshold": threshold}
        for size, units, threshold in rows
    ]
    shirt = admin.create(title="Shirt", options=SIZES, variants=variants)["id"]
    small, medium, large = (each["id"] for each in admin.send("GET", f"/products/{shirt}/variants")["data"])
    found = admin.low()["data"]
    assert [(each["variant_id"], each["title"], each["stock"]) for each in found] == [
        (small, "S", 0),
        (large, "L", 1),
    ]
    assert {(each["product_id"], each["product_title"]) for each in found} == {(shirt, "Shirt")}
    admin.send("DELETE", f"/products/{shirt}/variants/{small}", status=204)
    assert admin.low_ids() == [large]
    admin.send("PATCH", f"/products/{shirt}/variants/{medium}", {"version": 1, "low_stock_threshold": 9})
    assert admin.low_ids() == [medium, large]


def test_the_pages_have_each_variant_once_and_reject_other_cursors(admin):
    made = [admin.create(low_stock_threshold=0)["id"] for _ in range(5)]
    found, cursor = [], None
    while True:
        page = admin.low("limit=2" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["data"]) <= 2
        found += [each["variant_id"] for each in page["data"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == made
    answers = {
        query: admin.client.get(f"/products/low-stock?{query}", headers=admin.headers).status_code
        for query in BAD_QUERIES
    }
    assert answers == dict.fromkeys(BAD_QUERIES, 422)


def test_the_list_reads_only_the_index_of_low_variants(database):
    with database.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand,
                    low_stock_threshold)
                SELECT id, id, 'Thing', 'things', 500, '', 1, (id % 100 = 0)::int
                FROM generate_series(1, 3000) AS id
            """)
        )
        connection.execute(text("ANALYZE products"))
    nodes = explain(database, lambda: list_low_stock(database, after=(1000, 1000), limit=100))
    assert "products_low_stock" in indexes(nodes)
    [scan] = [node for node in nodes if node.get("Index Name") == "products_low_stock"]
    assert scan["Actual Rows"] == 20
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]


def test_a_reservation_above_the_threshold_writes_no_index(database):
    """PostgreSQL counts such an update as heap-only (HOT)."""
    put_products(database, {"id": 1, "on_hand": 100})
    count = text("SELECT pg_stat_get_xact_tuples_hot_updated('products'::regclass)")
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET low_stock_threshold = 5 WHERE id = 1"))
        before = connection.execute(count).scalar_one()
        connection.execute(text("UPDATE products SET reserved = reserved + 1 WHERE id = 1"))
        after = connection.execute(count).scalar_one()
    assert after == before + 1


def test_variants_with_a_threshold_are_marked_by_the_migration(make_old_database):
    old = make_old_database("catalog-service", before="0012")
    put_products(old, *[{"id": number, "on_hand": 5} for number in (1, 2, 3)])
    with old.transaction() as connection:
        connection.execute(text("UPDATE products SET low_stock_threshold = 3 + id WHERE id < 3"))
    upgrade(old, migrations_of("catalog-service"))
    found, _next = list_low_stock(old, after=None, limit=10)
    assert [variant.id for variant in found] == [2]
