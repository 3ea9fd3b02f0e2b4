"""Admin routes: the metadata keys of filters."""

from apiflask import APIBlueprint

from catalog.schemas.metadata_keys import MetadataKeysIn, MetadataKeysOut
from catalog.use_cases import metadata_keys as use_cases
from shared.database import Database

KEYS = "/products/metadata-keys"


def metadata_key_routes(database: Database) -> APIBlueprint:
    """Return the admin routes of metadata keys."""
    routes = APIBlueprint("metadata_keys", __name__)

    @routes.get(KEYS)
    @routes.output(MetadataKeysOut)
    def show_metadata_keys() -> MetadataKeysOut:
        """Show the metadata keys by which the list of products can be filtered."""
        return MetadataKeysOut(keys=use_cases.list_keys(database))

    @routes.put(KEYS)
    @routes.input(MetadataKeysIn)
    @routes.output(MetadataKeysOut)
    def mark_metadata_keys(json_data: MetadataKeysIn) -> MetadataKeysOut:
        """Replace the metadata keys by which the list of products can be filtered (`meta.KEY=VALUE`)."""
        return MetadataKeysOut(keys=use_cases.mark_keys(database, json_data.keys))

    return routes
