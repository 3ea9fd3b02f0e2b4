"""Bodies of categories."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from catalog.category_tree import Category, Crumb
from catalog.schemas.products import CrumbOut
from shared.pages import PageQuery
from shared.schemas import BLANK_IS_NONE, Body, Integer, Line, example, example_of

# `.` and `..` would change an address.
UNUSABLE = {"", ".", ".."}


def _check_path(path: str) -> str:
    if any(name in UNUSABLE or name != name.strip() for name in path.split("/")):
        raise ValueError("must be names between slashes, without blanks around them")
    return path


NOT_SET: Any = Field(default_factory=lambda: None)


class CategoryQuery(PageQuery):
    """The page of categories to return."""

    cursor: str | None = Field(default=None, max_length=600, description="`next` of the previous page.")


class ChildOut(BaseModel):
    """A category directly below another one."""

    path: str
    title: str
    position: int
    count: int

    @classmethod
    def of(cls, category: Category) -> "ChildOut":
        """Return the response body for a child."""
        return cls(**{name: getattr(category, name) for name in cls.model_fields})


class CategoryOut(BaseModel):
    """A category; `name` repeats its path, and `count` includes the products of categories below."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "name": "kitchen",
                "path": "kitchen",
                "title": "Kitchen",
                "position": 0,
                "count": 12,
                "children": [{"path": "kitchen/knives", "title": "Knives", "position": 0, "count": 4}],
            }
        )
    )

    name: str
    path: str
    title: str
    position: int = Field(description="Categories with the same parent are shown by position, then by title.")
    count: int
    children: list[ChildOut] = Field(description="The categories directly below, in the order of the shop.")

    @classmethod
    def of(cls, category: Category) -> "CategoryOut":
        """Return the response body for a category."""
        children = [ChildOut.of(child) for child in category.children]
        own = ChildOut.of(category).model_dump()
        return cls(name=category.path, **own, children=children)


class ShownCategoryOut(CategoryOut):
    """A category, and the categories from the root to itself."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {**example_of(CategoryOut), "breadcrumbs": [{"path": "kitchen", "title": "Kitchen"}]}
        )
    )

    breadcrumbs: list[CrumbOut]

    @classmethod
    def of_placed(cls, category: Category, breadcrumbs: tuple[Crumb, ...]) -> "ShownCategoryOut":
        """Return the response body for a category with its breadcrumbs."""
        shown = CategoryOut.of(category).model_dump()
        return cls(**shown, breadcrumbs=[CrumbOut.of(crumb) for crumb in breadcrumbs])


class CategoryPage(BaseModel):
    """A page of categories by path, and the cursor of the next page."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(CategoryOut)], "next": None}))

    data: list[CategoryOut]
    next: str | None


class CategoryChange(Body):
    """Changes to a category; absent members stay as they are."""

    model_config = ConfigDict(
        json_schema_extra=example({"title": "Kitchen knives", "path": "kitchen/knives"})
    )

    title: Annotated[
        Annotated[Line, Field(max_length=100)] | None,
        BLANK_IS_NONE,
        Field(description="null: the name at the end of the path."),
    ] = NOT_SET
    position: Annotated[Integer, Field(ge=-1_000_000, le=1_000_000)] = NOT_SET
    path: Annotated[Line, Field(max_length=100), AfterValidator(_check_path)] = NOT_SET

    @model_validator(mode="after")
    def _require_change(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("title, position or path is required")
        return self

    def read_values(self) -> dict[str, Any]:
        """Return the given members."""
        return {name: getattr(self, name) for name in self.model_fields_set}
