"""What recipes would meet in other engine versions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from pipeline.schema.base import Document
from pipeline.schema.engine import EngineName
from pipeline.schema.recipe import Text

# What blocks a recipe, then what only changes it.
Blocking = Literal["option-gone", "key-gone", "choice-gone", "value-refused"]
FindingKind = Literal[
    Blocking, "deprecated", "variable-gone", "default-changed", "choices-added", "version-approximated"
]
BLOCKING: tuple[str, ...] = ("option-gone", "key-gone", "choice-gone", "value-refused")


class UpgradeFinding(Document):
    """One setting that another engine version treats differently. ``setting`` is OPTION, OPTION.KEY or a variable."""

    kind: FindingKind
    engine: EngineName
    roles: tuple[str, ...] = Field(description="empty = not a setting of a role")
    setting: Text
    place: str = Field(default="", description="file, line and column; empty = the recipe does not state it")
    before: JsonValue = None
    after: JsonValue = None
    since: str | None = Field(default=None, description="first catalogued version with the change")
    replacement: str | None = Field(
        default=None, description="what the patch writes instead; null = not known"
    )

    @property
    def is_blocking(self) -> bool:
        """Whether the engine refuses the recipe for it."""
        return self.kind in BLOCKING


class RecipeUpgrade(Document):
    """One recipe in another engine version."""

    recipe: Text
    before: dict[str, str] = Field(description="versions that the recipe states")
    after: dict[str, str]
    findings: tuple[UpgradeFinding, ...]
    manual: tuple[str, ...] = Field(
        default=(), description="files that other recipes share, where the patch leaves an edit to the author"
    )

    @property
    def runs(self) -> bool:
        """Whether the engine takes the recipe as it is, as far as the catalogue can tell."""
        return not any(one.is_blocking for one in self.findings)


class Upgrade(Document):
    """Every selected recipe, and the changes of recipe files that are known."""

    recipes: tuple[RecipeUpgrade, ...]
    patch: str = Field(description="unified diff; empty = nothing to change")
