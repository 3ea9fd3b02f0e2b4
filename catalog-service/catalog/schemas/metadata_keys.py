"""Request and response bodies for the metadata keys of filters."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from catalog.schemas.fields import MetadataKey
from shared.schemas import Body, example

MAX_KEYS = 50


class MetadataKeysIn(Body):
    """The metadata keys by which customers can filter the list of products."""

    model_config = ConfigDict(json_schema_extra=example({"keys": ["material", "washable"]}))

    keys: Annotated[list[MetadataKey], Field(max_length=MAX_KEYS)]


class MetadataKeysOut(BaseModel):
    """The metadata keys by which customers can filter the list of products, by name."""

    model_config = ConfigDict(json_schema_extra=example({"keys": ["material", "washable"]}))

    keys: list[str]
