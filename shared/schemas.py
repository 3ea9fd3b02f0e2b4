"""Types that several services' schemas are made of."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, JsonValue, StringConstraints


def _refuse_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


# PostgreSQL's text has every character but NUL.
Text = Annotated[str, StringConstraints(min_length=1), AfterValidator(_refuse_nul)]


def example(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return a model's `json_schema_extra`, by which the OpenAPI document has these values as its example."""
    return {"examples": [dict(values)]}


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return such a model's example, for that of another one which holds it."""
    extra: Any = model.model_config["json_schema_extra"]
    found: dict[str, Any] = extra["examples"][0]
    return found
