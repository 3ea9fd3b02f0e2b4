"""Admin routes: the images of products."""

import time
from functools import partial
from io import BytesIO
from typing import IO, Any, cast

from apiflask import APIBlueprint
from flask import request
from pydantic import ValidationError
from werkzeug.formparser import FormDataParser
from werkzeug.wsgi import LimitedStream

from catalog.encoder import Encoder
from catalog.errors import (
    ImageNotFound,
    ImageRefused,
    ProductNotFound,
    TooManyImages,
    UploadsBusy,
    UploadTooSlow,
)
from catalog.routes.bodies import drain_refused_bodies
from catalog.schemas.images import ImageChange, ImageOut
from catalog.use_cases import images as use_cases
from catalog.use_cases.images import Upload
from shared.app import reads_body
from shared.database import Database
from shared.errors import MalformedBody, UnsupportedMediaType, ValidationFailed
from shared.openapi import document_errors, refer

UPLOAD_SECONDS = 60.0  # For the whole body; the gateway waits at most 15 s for the next byte.
CHUNK = 65536
MAX_UPLOAD = 10 * 1024 * 1024  # Bytes; the gateway has the same limit.
FORM = "multipart/form-data"
TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_BINARY = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": _BINARY, "alt": {"type": "string", "maxLength": 300}},
}


def upload_routes(database: Database, encoder: Encoder) -> APIBlueprint:
    """Return the admin routes of images."""
    routes = APIBlueprint("uploads", __name__)
    drain_refused_bodies(routes)

    @routes.post("/products/<int:product_id>/images")
    @routes.output(ImageOut, status_code=201)
    @routes.doc(
        responses={
            200: refer(ImageOut, "The product already has this image."),
            **document_errors(
                ProductNotFound,
                UnsupportedMediaType,
                MalformedBody,
                ImageRefused,
                TooManyImages,
                UploadsBusy,
                UploadTooSlow,
            ),
        },
        extensions={
            "requestBody": {
                "content": {
                    FORM: {"schema": _FORM},
                    **{kind: {"schema": _BINARY} for kind in TYPES},
                }
            }
        },
    )
    @reads_body
    def add_image(product_id: int) -> Any:
        """Add an image of at most 10 MiB as the product's last: PNG, JPEG, WebP or GIF.

        The body is a form with the file as `image` and an optional `alt`, or the file itself. The shop stores
        WebP files of 480 and 1200 pixels without the metadata. PNG and GIF have at most 16 megapixels, JPEG
        50, WebP 5. 422 is `image_refused` or `too_many_images`; 503 is `uploads_busy`: try again.
        """
        image, is_new = use_cases.add_image(database, encoder, product_id, _read_upload)
        return ImageOut.of(image), 201 if is_new else 200

    @routes.patch("/products/<int:product_id>/images/<int:image_id>")
    @routes.input(ImageChange)
    @routes.output(ImageOut)
    @routes.doc(responses=document_errors(ProductNotFound, ImageNotFound))
    def change_image(product_id: int, image_id: int, json_data: ImageChange) -> ImageOut:
        """Change the alt text of an image, or its position."""
        alt = (json_data.alt or "") if "alt" in json_data.model_fields_set else None
        changed = use_cases.change_image(database, product_id, image_id, alt=alt, position=json_data.position)
        return ImageOut.of(changed)

    @routes.delete("/products/<int:product_id>/images/<int:image_id>")
    @routes.output({}, status_code=204)
    @routes.doc(responses=document_errors(ProductNotFound, ImageNotFound))
    def remove_image(product_id: int, image_id: int) -> Any:
        """Remove an image from a product. Its files stay for a day, because pages in caches name them."""
        use_cases.remove_image(database, product_id, image_id)
        return "", 204

    return routes


def _read_upload() -> Upload:
    """Read the body into memory, never into a temporary file: the container's /tmp is memory, too."""
    request.max_content_length = MAX_UPLOAD
    stream: IO[bytes] = request.stream  # Enforces max_content_length.
    if request.content_length is not None:
        # The server ends a truncated body like a complete one; LimitedStream detects the difference.
        stream = cast(IO[bytes], LimitedStream(stream, request.content_length))
    body = _TimedStream(stream)
    if request.mimetype.startswith("image/"):
        return Upload(b"".join(iter(partial(body.read, CHUNK), b"")), "")
    if request.mimetype != FORM:
        raise UnsupportedMediaType
    parser = FormDataParser(lambda *_args, **_options: BytesIO(), max_form_parts=10, silent=False)
    try:
        _, fields, files = parser.parse(
            cast(IO[bytes], body), FORM, request.content_length, request.mimetype_params
        )
    except ValueError:
        raise MalformedBody("The body is not a valid form.") from None
    if "image" not in files:
        raise _refuse("image", "Field required")
    return Upload(files["image"].read(), _read_alt(fields.get("alt", "")))


class _TimedStream:
    """A body that must arrive in time, because it is the upload's turn meanwhile."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._end = time.monotonic() + UPLOAD_SECONDS

    def read(self, size: int) -> bytes:
        if time.monotonic() > self._end:
            raise UploadTooSlow
        return self._stream.read(size)


def _read_alt(text: str) -> str:
    try:
        return ImageChange(alt=text).alt or ""
    except ValidationError as error:
        raise _refuse("alt", error.errors(include_input=False, include_url=False)[0]["msg"]) from None


def _refuse(field: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"location": "form", "field": field, "detail": detail}])
