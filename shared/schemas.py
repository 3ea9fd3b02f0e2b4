"""Types that several services' schemas are made of."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _refuse_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


# PostgreSQL's text has every character but NUL.
Text = Annotated[str, StringConstraints(min_length=1), AfterValidator(_refuse_nul)]
