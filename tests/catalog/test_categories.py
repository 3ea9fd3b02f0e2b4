"""Categories as paths: the tree, filters and facets with what is below, and moving a branch."""

import io
import json
from contextlib import closing
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.category_tree import count_with_below, is_within, trace_path
from catalog.domain import Filter, Sort
from catalog.repository import categories as repository
from catalog.repository.category_words import MAX_KEYS
from catalog.schemas.imports import to_line
from catalog.use_cases import products as use_cases
from catalog.use_cases.admin import export_products
from catalog.use_cases.categories import change_category, find_category, list_categories
from catalog.use_cases.imports import import_products
from catalog.use_cases.reservations import release_reservation
from shared.database import connect
from tests.catalog.fake_source import reserve
from tests.catalog.rows import SOURCE, begin_catalogue, list_ids, put_products
from tests.catalog.upstreams import execute, make_product

TREE = {
    1: "kitchen",
    2: "kitchen/knives",
    3: "kitchen/knives/bread",
    4: "kitchenware",
    5: "garden/tools",
    6: "Bath / Body",
}


@pytest.fixture
def shop(database):
    """A catalogue with a tree of categories."""
    begin_catalogue(database)
    put_products(database, *[{"id": number, "category": path} for number, path in TREE.items()])
    use_cases.recount(database)
    return database


@pytest.fixture
def send(client, auth):
    """Call catalog-service with the sample as an admin."""

    def send(method, path, body=None):
        return client.open(path, method=method, json=body, headers=auth.bearer(role="admin"))

    return send


def recount(database):
    execute(database, "UPDATE recount SET due_at = now()")
    use_cases.recount(database)


def read_tree(database):
    """Return the number of products and the children of each category."""
    found, _following, _age = list_categories(database, SOURCE, after="", limit=100)
    return {each.path: (each.count, [child.path for child in each.children]) for each in found}


def read_paths(database):
    """Return the category of each product as the shop shows it."""
    found = use_cases.list_products(database, SOURCE, Filter(), Sort.ID, limit=100)
    return {product.id: product.category for product in found.products}


def find_within(database, *paths):
    return list_ids(database, Filter(categories=paths))


def read_facets(database, wanted):
    found = use_cases.list_products(database, SOURCE, wanted, Sort.ID, limit=1, with_facets=True).facets
    return {each.name: each.count for each in found.categories}


def test_a_path_is_split_at_slashes_between_names():
    paths = {
        "kitchen": ["kitchen"],
        "kitchen/knives/bread": ["kitchen", "kitchen/knives", "kitchen/knives/bread"],
        "Bath / Body": ["Bath / Body"],
        "a//b": ["a//b"],
        "/a": ["/a"],
        "a/": ["a/"],
    }
    assert {path: trace_path(path) for path in paths} == paths
    assert is_within("kitchen/knives", "kitchen")
    assert not is_within("kitchenware", "kitchen")
    assert count_with_below([("a/b", 2), ("a", 1), ("a/c", 4)]) == {"a": 7, "a/b": 2, "a/c": 4}


def test_a_category_counts_the_products_below_it(shop):
    assert read_tree(shop) == {
        "Bath / Body": (1, []),
        "garden": (1, ["garden/tools"]),
        "garden/tools": (1, []),
        "kitchen": (3, ["kitchen/knives"]),
        "kitchen/knives": (2, ["kitchen/knives/bread"]),
        "kitchen/knives/bread": (1, []),
        "kitchenware": (1, []),
    }


def test_a_filter_by_category_includes_the_categories_below(shop):
    assert find_within(shop, "kitchen") == [1, 2, 3]
    assert find_within(shop, "kitchen/knives") == [2, 3]
    assert find_within(shop, "garden", "kitchen/knives", "kitchen/knives/bread") == [2, 3, 5]
    assert find_within(shop, "kit") == find_within(shop, "kitchen/") == []


def test_a_filter_includes_a_new_category_before_the_recount(shop):
    put_products(shop, {"id": 7, "category": "brand new"})
    assert find_within(shop, "brand new") == [7]


def test_each_kind_of_facet_counts_what_is_below_a_category(shop):
    everything = {path: number for path, (number, _children) in read_tree(shop).items()}
    wrong = {
        str(wanted): found
        for wanted in (
            Filter(),
            Filter(categories=("kitchen",)),
            Filter(in_stock=True),
            Filter(categories=("kitchen", "kitchen/knives"), lowest=1),
        )
        if (found := read_facets(shop, wanted)) != everything
    }
    assert wrong == {}


def test_the_brands_of_a_category_are_those_of_the_products_below_each_once(shop):
    put_products(
        shop,
        {"id": 1, "category": "kitchen", "brand": "Acme"},
        {"id": 2, "category": "kitchen/knives", "brand": "Acme"},
    )
    recount(shop)
    wanted = Filter(categories=("kitchen", "kitchen/knives"))
    facets = use_cases.list_products(shop, SOURCE, wanted, Sort.ID, limit=1, with_facets=True).facets
    assert [(each.name, each.count) for each in facets.brands] == [("Acme", 2)]


def test_moving_a_category_moves_what_is_below_and_nothing_else(shop):
    before = [tuple(row) for row in execute_rows(shop, "SELECT id, version, xmin::text FROM products")]
    change_category(shop, "kitchen", {"path": "home/cooking"})
    assert read_paths(shop) == {
        1: "home/cooking",
        2: "home/cooking/knives",
        3: "home/cooking/knives/bread",
        4: "kitchenware",
        5: "garden/tools",
        6: "Bath / Body",
    }
    tree = read_tree(shop)
    assert tree["home"] == (3, ["home/cooking"])
    assert tree["home/cooking/knives"] == (2, ["home/cooking/knives/bread"])
    assert "kitchen" not in tree
    assert find_within(shop, "home") == [1, 2, 3]
    assert find_within(shop, "kitchen") == []
    assert read_facets(shop, Filter(in_stock=True)) == {path: number for path, (number, _) in tree.items()}
    # No product is written, so no reservation waits.
    assert [
        tuple(row) for row in execute_rows(shop, "SELECT id, version, xmin::text FROM products")
    ] == before


NAMES = {
    # Of the branch and of each category in it, with words of the product.
    "cooking": [1, 2, 3],
    "blades": [2, 3],
    "cooking blades": [2, 3],
    "cooking steel": [1, 2],
    "steel blades": [2],
    "blade oak": [3],
    # The title that an admin set for a category is that of the categories below, too.
    "sharp": [2, 3],
    '"sharp things" steel': [2],
    "SHARP-THINGS": [2, 3],
    '"cooking blades"': [2, 3],
    '"blades cooking"': [],
    "oak or blades": [2, 3, 4],
    "steel -blades": [1, 5],
    "-cooking steel": [5],
    "--cooking steel": [5],
    "steel - pot": [1],
    "cooking -steel": [3],
    # The names with which products were added.
    "kitchen knives": [2, 3],
    "kitchenware": [4],
    # A word of the key of another category is no name of this one.
    "cooking kitchenware": [],
    "garden cooking": [],
}


def test_search_finds_products_by_the_current_names_of_their_category(shop):
    put_products(
        shop,
        {"id": 1, "category": "kitchen", "title": "Steel pot"},
        {"id": 2, "category": "kitchen/knives", "title": "Steel knife"},
        {"id": 3, "category": "kitchen/knives/bread", "description": "With a handle of oak."},
        {"id": 4, "category": "kitchenware", "title": "Oak board"},
        {"id": 5, "category": "garden/tools", "title": "Steel spade"},
    )
    recount(shop)
    change_category(shop, "kitchen/knives", {"path": "kitchen/blades", "title": "Sharp things"})
    change_category(shop, "kitchen", {"path": "cooking"})
    wrong = {}
    for words, expected in NAMES.items():
        for sort in (Sort.ID, Sort.PRICE, None):
            found = sorted(list_ids(shop, Filter(words=words), sort))
            if found != expected:
                wrong[words, sort] = found
    assert wrong == {}
    facets = read_facets(shop, Filter(words="blades"))
    assert facets == {"cooking": 2, "cooking/blades": 2, "cooking/blades/bread": 1}


def test_search_finds_the_current_name_of_any_number_of_categories(shop):
    """Of more than MAX_KEYS categories, the query has the first words of their keys only."""
    count = MAX_KEYS + 1
    put_products(
        shop,
        *[{"id": 100 + n, "category": f"part {n}/of", "title": f"Bolt {n % 2}"} for n in range(count)],
        {"id": 200, "category": "!!!", "title": "Bolt 0"},
    )
    recount(shop)
    for path in [*(f"part {n}" for n in range(count)), "!!!"]:
        change_category(shop, path, {"path": f"spares/{path}"})
    found = list_ids(shop, Filter(words="spares"))
    # No word is in the key of the last category, so search knows none of its products.
    assert found == [100 + n for n in range(count)]
    assert list_ids(shop, Filter(words='"bolt 1" spare')) == [100 + n for n in range(count) if n % 2]
    assert list_ids(shop, Filter(words="bolt -spares")) == [200]


def test_a_new_name_is_found_at_once_and_a_name_that_is_no_longer_current_is_not(shop):
    change_category(shop, "kitchen", {"path": "cooking"})
    change_category(shop, "cooking", {"path": "cuisine", "title": "Cuisine & more"})
    assert list_ids(shop, Filter(words="cuisine")) == list_ids(shop, Filter(words="more")) == [1, 2, 3]
    assert list_ids(shop, Filter(words="cooking")) == []
    change_category(shop, "cuisine", {"title": None})
    assert list_ids(shop, Filter(words="more")) == []
    # The first name is a word of each product.
    assert list_ids(shop, Filter(words="kitchen")) == [1, 2, 3]


def test_a_new_category_at_a_former_path_is_not_found_by_the_name_of_the_moved_one(
    sample_app, database, send
):
    send("PATCH", "/categories/kitchen", {"path": "cooking"})
    made = send("POST", "/products", {"title": "Sink", "unit_amount": 1, "category": "kitchen"}).json["id"]
    found = {each["id"] for each in send("GET", "/products?q=cooking&limit=100").json["data"]}
    cooking = {each["id"] for each in send("GET", "/products?category=cooking&limit=100").json["data"]}
    assert len(cooking) == 12
    assert found >= cooking
    assert made not in found


def test_a_product_of_a_moved_category_ranks_like_one_of_a_category_that_always_had_the_name(shop):
    same = {"title": "Steel dish", "description": "For soup."}
    put_products(
        shop,
        {"id": 11, "category": "old", **same},
        {"id": 12, "category": "bowls", **same},
        {"id": 13, "category": "other", "title": "Steel lid", "description": "It fits any bowls."},
        {"id": 14, "category": "other", "title": "Steel pan", "description": "For soup."},
        {"id": 15, "category": "other", "title": "Bowls", "description": "For soup."},
    )
    recount(shop)
    change_category(shop, "old", {"path": "bowls/old"})
    # After a title with the word, and before a description.
    assert list_ids(shop, Filter(words="bowls"), None) == [15, 12, 11, 13]


def test_a_typo_in_the_current_name_of_a_category_is_corrected_after_the_recount(shop):
    change_category(shop, "kitchen", {"path": "cuisine", "title": "Gastronomy"})
    recount(shop)
    found = {}
    for words in ("cuisnie", "gastronmy", "gastronomy"):
        page = use_cases.list_products(shop, SOURCE, Filter(words=words), None, limit=10)
        found[words] = (page.corrected, sorted(product.id for product in page.products))
    assert found == {
        "cuisnie": ("cuisine", [1, 2, 3]),
        "gastronmy": ("gastronomy", [1, 2, 3]),
        "gastronomy": (None, [1, 2, 3]),
    }


def execute_rows(database, statement):
    with database.transaction() as connection:
        return connection.execute(text(statement)).all()


def test_titles_and_positions_move_with_their_category(shop):
    change_category(shop, "kitchen/knives", {"title": "Sharp things", "position": 3})
    change_category(shop, "kitchen", {"path": "cooking"})
    placed = find_category(shop, "cooking/knives")
    assert (placed.category.title, placed.category.position) == ("Sharp things", 3)
    assert [crumb.title for crumb in placed.breadcrumbs] == ["Cooking", "Sharp things"]
    cleared = change_category(shop, "cooking/knives", {"title": None})
    assert (cleared.category.title, cleared.category.position) == ("Knives", 3)


def test_children_are_in_the_order_of_position_and_title(shop):
    put_products(shop, *[{"id": 10 + n, "category": f"kitchen/{name}"} for n, name in enumerate("cab")])
    recount(shop)
    change_category(shop, "kitchen/c", {"position": -1})
    change_category(shop, "kitchen/a", {"title": "Zest"})
    children = find_category(shop, "kitchen").category.children
    assert [child.path for child in children] == ["kitchen/c", "kitchen/b", "kitchen/knives", "kitchen/a"]


def test_former_paths_lead_to_the_category_also_after_further_moves(shop):
    change_category(shop, "kitchen", {"path": "home/cooking"})
    change_category(shop, "home", {"path": "house"})
    assert find_category(shop, "kitchen") == "house/cooking"
    assert find_category(shop, "kitchen/knives/bread") == "house/cooking/knives/bread"
    assert find_category(shop, "home/cooking/knives") == "house/cooking/knives"
    change_category(shop, "house/cooking", {"path": "kitchen"})
    assert find_category(shop, "kitchen").category.count == 3
    assert find_category(shop, "home/cooking") == "kitchen"


def test_a_new_category_at_a_former_path_is_separate(sample_app, database, send):
    assert send("PATCH", "/categories/kitchen", {"path": "home/kitchen"}).status_code == 200
    made = send("POST", "/products", {"title": "Sink", "unit_amount": 1, "category": "kitchen"}).json
    moved = send("POST", "/products", {"title": "Pan", "unit_amount": 1, "category": "home/kitchen"}).json
    assert (made["category"], moved["category"]) == ("kitchen", "home/kitchen")
    assert [each["id"] for each in send("GET", "/products?category=kitchen").json["data"]] == [made["id"]]
    assert moved["id"] in [
        each["id"] for each in send("GET", "/products?category=home&limit=100").json["data"]
    ]
    recount(database)
    counted = {each["path"]: each["count"] for each in send("GET", "/categories").json["data"]}
    assert (counted["kitchen"], counted["home/kitchen"]) == (1, 13)
    changed = send("PATCH", f"/products/{moved['id']}", {"version": 1, "category": "kitchen"}).json
    assert changed["category"] == "kitchen"


def test_an_export_after_a_move_is_imported_without_a_change(shop):
    change_category(shop, "kitchen", {"path": "home/cooking"})
    put_products(shop, {"id": 8, "category": "garden"})
    lines = [json.dumps(to_line(product, "USD")) for product in export_products(shop)]
    assert any('"home/cooking/knives"' in line for line in lines)
    *_, done = import_products(shop, io.BytesIO("\n".join(lines).encode()), "USD")
    assert (done.rows, done.added, done.changed) == (len(TREE) + 1, 0, 0)
    row = b'{"title": "Whisk", "unit_amount": 5, "category": "home/cooking"}'
    *_, done = import_products(shop, io.BytesIO(row), "USD")
    assert done.added == 1
    assert len(find_within(shop, "home/cooking")) == 4


def test_a_copy_of_the_source_follows_a_moved_category(upstream, copy, database):
    upstream.products = [make_product(1, category="kitchen/knives"), make_product(2, category="garden")]
    copy()
    recount(database)
    change_category(database, "kitchen", {"path": "home/cooking"})
    upstream.products = [
        *upstream.products,
        make_product(3, category="kitchen/knives"),
        make_product(4, category="kitchen/pans"),
    ]
    copy()
    recount(database)
    paths = {
        row.id: row.category
        for row in execute_rows(
            database,
            "SELECT id, coalesce(path, category) AS category FROM products"
            " LEFT JOIN category_keys ON key = category",
        )
    }
    assert paths == {
        1: "home/cooking/knives",
        2: "garden",
        3: "home/cooking/knives",
        4: "home/cooking/pans",
    }


def test_a_checkout_does_not_wait_for_a_move(shop, settings):
    order = uuid4()
    with shop.transaction() as moving, closing(connect(settings)) as database:
        repository.lock_paths(moving)
        repository.move_paths(moving, {"kitchen": "cooking", "kitchen/knives": "cooking/knives"})
        held = reserve(database, order, {1: 1, 2: 1})
        assert [line.product_id for line in held.lines] == [1, 2]
        release_reservation(database, order)
    assert find_within(shop, "cooking") == [1, 2]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("nowhere", {"title": "x"}, 404, "category_not_found"),
        ("kitchen", {"path": "desk"}, 409, "category_taken"),
        ("kitchen", {"path": "kitchen/knives"}, 422, "validation_failed"),
        ("kitchen", {}, 422, "validation_failed"),
        ("kitchen", {"path": "x" * 101}, 422, "validation_failed"),
        *[
            ("kitchen", {"path": path}, 422, "validation_failed")
            for path in ("/a", "a/", "a//b", "a / b", "../b", "a/.", "", None, 5, "a\0b")
        ],
        ("kitchen", {"position": "1"}, 422, "validation_failed"),
        ("kitchen", {"position": None}, 422, "validation_failed"),
        ("kitchen", {"title": "x" * 101}, 422, "validation_failed"),
        ("kitchen", {"name": "x"}, 422, "validation_failed"),
        ("kit%00chen", {"title": "x"}, 404, "category_not_found"),
    ],
)
def test_an_invalid_change_of_a_category_is_refused(send, path, body, status, code):
    answer = send("PATCH", f"/categories/{path}", body)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert send("GET", "/categories/kitchen").json["title"] == "Kitchen"


def test_a_category_is_shown_with_breadcrumbs_and_moves_redirect(send):
    moved = send("PATCH", "/categories/kitchen", {"path": "home/Küche", "title": " Küche & mehr "})
    assert moved.status_code == 200
    assert moved.json["title"] == "Küche & mehr"
    shown = send("GET", "/categories/home/Küche").json
    assert shown["breadcrumbs"] == [
        {"path": "home", "title": "Home"},
        {"path": "home/Küche", "title": "Küche & mehr"},
    ]
    former = send("GET", "/categories/kitchen")
    assert (former.status_code, former.headers["Location"]) == (308, "/categories/home/K%C3%BCche")
    product = send("GET", "/products/1").json
    assert (product["category"], product["breadcrumbs"]) == ("home/Küche", shown["breadcrumbs"])
    facets = send("GET", "/products?facets=true").json["facets"]["categories"]
    assert {"name": "home/Küche", "title": "Küche & mehr", "count": 12} in facets
    assert send("GET", "/categories/nowhere").status_code == 404


def test_the_last_page_of_categories_follows_the_first(send):
    first = send("GET", "/categories?limit=4").json
    rest = send("GET", f"/categories?limit=100&cursor={first['next']}").json
    paths = [each["path"] for each in first["data"] + rest["data"]]
    assert paths == sorted(paths)
    assert rest["next"] is None
