"""Slugs: unique, made from the title, kept when the title changes; former slugs redirect."""

import pytest
from sqlalchemy import text

from catalog.use_cases.admin import create_product
from catalog.variants import NewVariant
from shared.migrate import upgrade
from shared.service import migrations_of
from tests.catalog.rows import put_products

SLUGS = {
    "Walnut Chopping Board": "walnut-chopping-board",
    "  Crème brûlée — set™ (2 pieces)!": "creme-brulee-set-2-pieces",
    "Straße & Łódź": "strasse-lodz",
    "Chef's knife, 20 cm": "chefs-knife-20-cm",
    "1984": "1984",
    "茶 teapot 🫖": "teapot",
    "茶": "product",
    "🫖": "product",
    "x" * 500: "x" * 80,
    "</script>": "script",
}


@pytest.fixture
def send(client, auth):
    """Call catalog-service with the sample as an admin."""

    def send(method, path, body=None):
        return client.open(path, method=method, json=body, headers=auth.bearer(role="admin"))

    return send


def read_slugs(database):
    with database.transaction() as connection:
        query = text("SELECT product_id, slug FROM product_slugs WHERE is_current ORDER BY product_id")
        return {row.product_id: row.slug for row in connection.execute(query)}


def test_a_slug_is_made_of_the_title(database):
    wrong = {}
    with database.transaction() as connection:
        for title, expected in SLUGS.items():
            found = connection.execute(text("SELECT title_slug(:title)"), {"title": title}).scalar()
            if found != expected:
                wrong[title] = found
    assert wrong == {}


def test_products_with_the_same_title_get_a_number(database):
    put_products(database, *[{"id": number, "title": "Mug"} for number in range(1, 14)])
    slugs = read_slugs(database)
    assert list(slugs.values())[:9] == ["mug", *[f"mug-{number}" for number in range(2, 10)]]
    assert [slugs[number] for number in range(10, 14)] == [f"mug-{number}" for number in range(10, 14)]
    assert len(set(slugs.values())) == 13


def test_a_batch_with_equal_titles_names_each_product(database):
    put_products(database, {"id": 1, "title": "Mug 13"}, {"id": 2, "title": "Mug"})
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand)"
                " SELECT id, 'S-' || id, 'Mug', 'things', 1, '', 1 FROM generate_series(3, 40) AS id"
            )
        )
    slugs = read_slugs(database)
    assert set(slugs) == set(range(1, 41))
    assert len(set(slugs.values())) == 40
    # Another product's title had made this one already.
    assert slugs[13] == "mug-13-11"


def test_a_further_variant_has_no_slug(database):
    put_products(database, {"id": 1, "title": "Shirt"})
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand,"
                " parent_id, removed_at, option_values)"
                " VALUES (2, 'S-2', '', '', 1, '', 1, 1, 'infinity', '{}')"
            )
        )
    assert read_slugs(database) == {1: "shirt"}


def test_a_slug_stays_when_the_title_changes_unless_an_admin_sets_one(send):
    made = send("POST", "/products", {"title": "Tea Pot", "unit_amount": 1}).json
    path = f"/products/{made['id']}"
    assert made["slug"] == "tea-pot"
    renamed = send("PATCH", path, {"version": 1, "title": "Coffee Pot"}).json
    assert (renamed["slug"], renamed["version"]) == ("tea-pot", 2)
    changed = send("PATCH", path, {"version": 2, "slug": "coffee-pot"}).json
    assert (changed["slug"], changed["version"]) == ("coffee-pot", 3)
    assert changed["edited"] == []
    assert send("PATCH", path, {"version": 3, "slug": "coffee-pot"}).json["version"] == 3

    shown = send("GET", "/products/by-slug/coffee-pot").json
    assert shown == send("GET", path).json
    former = send("GET", "/products/by-slug/tea-pot")
    assert (former.status_code, former.headers["Location"]) == (308, "/products/by-slug/coffee-pot")
    back = send("PATCH", path, {"version": 3, "slug": "tea-pot"}).json
    assert back["slug"] == "tea-pot"
    assert send("GET", "/products/by-slug/coffee-pot").status_code == 308


def test_a_slug_that_another_product_has_or_had_is_refused(send):
    first = send("POST", "/products", {"title": "Tea Pot", "unit_amount": 1}).json
    second = send("POST", "/products", {"title": "Tea Pot", "unit_amount": 1}).json
    assert second["slug"] == "tea-pot-2"
    send("PATCH", f"/products/{first['id']}", {"version": 1, "slug": "pot"})
    for slug in ("pot", "tea-pot"):
        answer = send("PATCH", f"/products/{second['id']}", {"version": 1, "slug": slug, "title": "New"})
        assert (answer.status_code, answer.json["code"]) == (409, "slug_taken")
        assert answer.json["product_id"] == first["id"]
    shown = send("GET", f"/products/{second['id']}").json
    assert (shown["slug"], shown["title"], shown["version"]) == ("tea-pot-2", "Tea Pot", 1)
    assert send("GET", "/products/by-slug/tea-pot-2").status_code == 200


@pytest.mark.parametrize(
    "slug", ["", " ", "Tea", "tea pot", "-tea", "tea-", "tea--pot", "tea/pot", "té", 5, None, "x" * 101]
)
def test_an_invalid_slug_is_refused(send, slug):
    answer = send("PATCH", "/products/1", {"version": 1, "slug": slug})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "slug"


def test_an_unknown_slug_and_one_of_a_removed_product_are_404(send):
    made = send("POST", "/products", {"title": "Tea Pot", "unit_amount": 1}).json
    assert send("DELETE", f"/products/{made['id']}").status_code == 204
    for slug in ("tea-pot", "nothing", "a%00b", "%F0%9F%AB%96", "1"):
        answer = send("GET", f"/products/by-slug/{slug}")
        assert (answer.status_code, answer.json["code"]) == (404, "product_not_found"), slug


def test_concurrent_products_with_the_same_title_get_different_slugs(database, concurrently):
    values = {"title": "Tea Pot", "category": "x", "unit_amount": 1, "description": "", "images": []}

    def create(connected):
        return create_product(connected, values, [NewVariant({}, 1)]).product.slug

    slugs = concurrently(*[create] * 4)
    assert sorted(slugs) == ["tea-pot", "tea-pot-2", "tea-pot-3", "tea-pot-4"]


def test_the_migration_gives_each_existing_product_a_slug(make_old_database):
    """In two batches; the second one has titles of the first."""
    database = make_old_database("catalog-service", before="0009")
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand,"
                " removed_at)"
                " SELECT id, 'S-' || id, 'Mug ' || id % 5200, 'things', 1, '', 1,"
                " CASE WHEN id = 7 THEN now() END FROM generate_series(1, 5500) AS id"
            )
        )
    upgrade(database, migrations_of("catalog-service"))
    slugs = read_slugs(database)
    assert set(slugs) == set(range(1, 5501))
    assert (slugs[7], slugs[5207], slugs[5200]) == ("mug-7", "mug-7-2", "mug-0")


def test_the_work_for_equal_titles_grows_with_their_number_only(database):
    """Also in a session that planned while there were hardly any products."""
    add = text("""
        INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand)
        SELECT id, 'E-' || id, 'Equal', 'things', 1, '', 1 FROM generate_series(CAST(:a AS int), :b) AS id
    """)
    count = text(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"
        " WHERE relid = CAST('product_slugs' AS regclass)"
    )
    with database.transaction() as connection:
        connection.execute(text("ANALYZE products, product_slugs"))
        for number in range(1, 12):
            connection.execute(add, {"a": number, "b": number})
        before = connection.execute(count).scalar_one()
        connection.execute(add, {"a": 101, "b": 1100})
        read = connection.execute(count).scalar_one() - before
    # A look at each of some thirty candidates for a product, not at the slugs of all others.
    assert read < 1000 * 100, read
