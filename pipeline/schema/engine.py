"""The engine catalogue: the command-line options, nested settings and variables of one engine version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from pipeline.schema.base import Document, Stored
from pipeline.schema.recipe import Text

EngineName = Literal["vllm", "dynamo"]
ValueType = Literal[
    "bool", "int", "size", "float", "str", "json", "unknown"
]  # size: an integer, also as 16k or 1M
RELEASE = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class EngineSetting(Document):
    """What the source of an engine says about one value: an option, or a field of a nested configuration."""

    type: ValueType = "unknown"
    choices: tuple[JsonValue, ...] | None = Field(default=None, description="null = any value of the type")
    default: JsonValue = Field(default=None, description="only where has_default")
    has_default: bool = Field(default=False, description="whether the source states a literal default")
    deprecated: bool = False
    config: str | None = Field(
        default=None, description="nested configuration that a JSON value is; a key of `configs`"
    )


class EngineOption(EngineSetting):
    """One command-line option, without its leading dashes."""

    aliases: tuple[str, ...] = Field(default=(), description="other names, short ones too, without dashes")
    negatable: bool = Field(default=False, description="whether --no-NAME exists")
    nargs: int | Literal["?", "*", "+"] | None = Field(
        default=None, description="as argparse: null = one value, 0 = none"
    )


def _table(name: str, settings: Mapping[str, EngineSetting], depth: int) -> str:
    """Return ``"name": {…}`` with one setting a line, indented by ``depth``."""
    blank = " " * depth
    if not settings:
        return f'{blank}"{name}": {{}}'
    lines = [
        f'{blank} "{key}": {one.model_dump_json(exclude_defaults=True)}' for key, one in settings.items()
    ]
    return f'{blank}"{name}": {{\n' + ",\n".join(lines) + f"\n{blank}}}"


class Engine(Stored):
    """One version of an engine as its own source describes it; made by ``rackbench engine``.

    For Dynamo, ``options`` are those of its vLLM worker. That worker takes the options of vLLM as well.
    """

    engine: EngineName
    version: Annotated[str, Field(pattern=r"^\d+\.\d+(\.\d+)?$")]
    wheel: Text = Field(description="file that was read")
    wheel_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: Text
    options: dict[str, EngineOption]
    frontend: dict[str, EngineOption] = Field(
        default_factory=dict, description="options of Dynamo's frontend; empty for vLLM"
    )
    configs: dict[str, dict[str, EngineSetting]] = Field(
        default_factory=dict, description="fields of nested configurations, by the name of the configuration"
    )
    variables: tuple[str, ...] = Field(
        default=(), description="environment variables that the Python source reads"
    )

    def to_json(self) -> str:
        """Return JSON with one option or setting a line; what is not stated has its default."""
        lines = [f' "{name}": {json.dumps(value)}' for name, value in self._facts()]
        tables = [_table(name, getattr(self, name), 1) for name in ("options", "frontend")]
        inner = ",\n".join(_table(name, settings, 2) for name, settings in self.configs.items())
        configs = f' "configs": {{\n{inner}\n }}' if inner else ' "configs": {}'
        return "{\n" + ",\n".join([*lines, *tables, configs]) + "\n}\n"

    def _facts(self) -> Iterator[tuple[str, Any]]:
        for name in ("engine", "version", "wheel", "wheel_sha256", "licence", "variables"):
            yield name, getattr(self, name)
        yield "schema", self.schema_version

    def option(self, name: str) -> tuple[str, EngineOption] | None:
        """Return the name and the option that a word without leading dashes selects; None for no option.

        A word selects by name, by alias or, where that form exists, by ``no-`` and one of these.
        """
        for word in (name, name.removeprefix("no-")):
            for known, option in self._named(word):
                if word == name or option.negatable:
                    return known, option
        return None

    def _named(self, word: str) -> list[tuple[str, EngineOption]]:
        if word in self.options:
            return [(word, self.options[word])]
        return [(known, option) for known, option in self.options.items() if word in option.aliases]


def release(version: str) -> tuple[int, int, int] | None:
    """Return the release numbers at the start of a version; None where it does not start with any.

    >>> release("1.2.0.dev20260426"), release("v0.20.0"), release("main")
    ((1, 2, 0), (0, 20, 0), None)
    """
    found = RELEASE.match(version.removeprefix("v"))
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


class EngineChoice(Document):
    """The catalogue entry that answers for a version."""

    engine: Engine
    asked: Text
    exact: bool = Field(description="false: the catalogue lacks the version, and this is the nearest one")


def nearest_engine(engines: dict[str, Engine], name: EngineName, version: str) -> EngineChoice | None:
    """Return the entry of a version, or of the nearest one; None for a version without release numbers.

    A development version stands for the release that it precedes. The nearest is the newest release that is
    not newer, else the oldest one.
    """
    wanted = release(version)
    known = {release(one.version): one for one in engines.values() if one.engine == name}
    if wanted is None or not known:
        return None
    ordered = sorted((key, one) for key, one in known.items() if key is not None)
    older = [one for key, one in ordered if key <= wanted]
    engine = older[-1] if older else ordered[0][1]
    return EngineChoice(engine=engine, asked=version, exact=version.removeprefix("v") == engine.version)
