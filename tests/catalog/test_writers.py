"""Who may change the catalogue: editors, admins, and integrators with `products:write`."""

import pytest

from tests.catalog.test_admin import Admin

EDITOR = {"role": "editor", "sub": "edgar"}
INTEGRATOR = {"role": "service", "sub": "app-till", "client_id": "app-till", "scope": "products:write"}
CHANGES = [
    *(("POST", "/products"), ("PATCH", "/products/1"), ("DELETE", "/products/1"), ("POST", "/products/sync")),
    *(("POST", "/products/1/variants"), ("PATCH", "/products/1/variants/1"), ("PUT", "/products/1/stock")),
    *(("PUT", "/products/1/variants/1/sale"), ("PATCH", "/categories/kitchen"), ("POST", "/products/import")),
    *(("POST", "/products/1/images"), ("PUT", "/products/metadata-keys"), ("GET", "/products/export")),
]


@pytest.mark.parametrize("claims", [EDITOR, INTEGRATOR], ids=["an editor", "an integrator"])
def test_a_writer_adds_changes_counts_and_removes_a_product(client, auth, claims):
    writer = Admin(client, auth, **claims)
    made = writer.create(title="Copper Kettle")
    changed = writer.change(made["id"], version=made["version"], title="Copper Tea Kettle")
    assert (changed.status_code, changed.json["title"]) == (200, "Copper Tea Kettle")
    assert writer.count(made["id"], 3).json["on_hand"] == 3
    assert writer.send("GET", f"/products/{made['id']}/variants").status_code == 200
    assert writer.send("DELETE", f"/products/{made['id']}").status_code == 204


def test_writing_does_not_imply_reading(client, auth):
    writer = Admin(client, auth, **INTEGRATOR)
    made = writer.create(title="Copper Kettle")
    for path in ("/products", f"/products/{made['id']}", "/categories"):
        assert writer.send("GET", path).status_code == 403, path


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "guest"},
        {"role": "customer"},
        {"role": "clerk"},
        {"role": "service", "client_id": "orders-service"},
        INTEGRATOR | {"scope": "products:read orders:read orders:fulfil"},
    ],
    ids=lambda claims: claims.get("scope", claims["role"]),
)
def test_all_others_are_refused(client, auth, claims):
    caller = Admin(client, auth, **claims)
    statuses = {(method, path): caller.send(method, path, {}).status_code for method, path in CHANGES}
    assert statuses == dict.fromkeys(CHANGES, 403)
