"""Bodies of images."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from catalog.media import MOST_IMAGES, StoredImage
from shared.schemas import BLANK_IS_NONE, Body, Integer, Line, example

MAX_ALT = 300
Alt = Annotated[Line | None, Field(max_length=MAX_ALT), BLANK_IS_NONE]
HASH = "6f1ed002ab5595859014ebf0951522d9"


class ImageOut(BaseModel):
    """A stored image of a product; `width` and `height` are those of the larger file."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": 3,
                "alt": "The board on a kitchen table",
                "width": 1200,
                "height": 900,
                "colour": "#a3764d",
                "urls": {"480": f"/images/{HASH}-480.webp", "1200": f"/images/{HASH}-1200.webp"},
            }
        )
    )

    id: int
    alt: str
    width: int
    height: int
    colour: str = Field(description="The average colour as #rrggbb, to show while the image loads.")
    urls: dict[str, str] = Field(description="WebP files by size: both sides of the image fit in it.")

    @classmethod
    def of(cls, image: StoredImage) -> "ImageOut":
        """Return the response body for an image."""
        return cls.model_validate(image, from_attributes=True)


class ImageChange(Body):
    """Changes to an image; an absent field stays."""

    model_config = ConfigDict(
        json_schema_extra=example({"alt": "The board on a kitchen table", "position": 0})
    )

    alt: Alt = Field(default=None, description="What the image shows, for customers who do not see it.")
    position: Annotated[Integer, Field(ge=0, lt=MOST_IMAGES)] | None = Field(
        default=None, description="The new index in `images`, from 0; an index past the end is the end."
    )
