"""Recipes against other engine versions: what is gone, refused, renamed or has another default."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pydantic import JsonValue

from pipeline.deployment import launcher_owned
from pipeline.deployment.settings import is_negation, parsed, positive
from pipeline.errors import PipelineError
from pipeline.load.engine_values import choice_hint, value_problem
from pipeline.load.nodes import Node
from pipeline.load.recipe_set import RecipeSet
from pipeline.load.replacements import nested
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.engine import Engine, EngineName, EngineOption, EngineSetting, nearest_engine, release
from pipeline.schema.recipe import ROLES, Recipe, Role
from pipeline.schema.upgrade import RecipeUpgrade, UpgradeFinding

Versions = Mapping[EngineName, str]
PREFIXES: Mapping[EngineName, str] = {"vllm": "VLLM_", "dynamo": "DYN_"}  # of the variables of an engine


def upgraded(recipe_set: RecipeSet, recipe: Recipe, versions: Versions) -> RecipeUpgrade:
    """Return what a recipe would meet in other versions; PipelineError for a version without release numbers."""
    after: dict[str, str] = dict(recipe.versions)
    after.update({str(name): version for name, version in versions.items()})
    found: dict[tuple[object, ...], list[UpgradeFinding]] = {}
    for name in versions:
        for finding in _EngineChange.of(recipe_set, recipe, name, versions[name]).findings():
            place = finding.place if finding.is_blocking else ""
            found.setdefault((finding.kind, finding.engine, finding.setting, place), []).append(finding)
    merged = [
        same[0].model_copy(update={"roles": tuple(dict.fromkeys(role for one in same for role in one.roles))})
        for same in found.values()
    ]
    ordered = sorted(merged, key=lambda one: (not one.is_blocking, one.engine, one.kind, one.setting))
    return RecipeUpgrade(recipe=recipe.id, before=recipe.versions, after=after, findings=tuple(ordered))


@dataclass(frozen=True, slots=True)
class _EngineChange:
    """One engine of a recipe, from one version to another."""

    recipe: Recipe
    node: Node
    catalogue: Catalogue
    old: Engine | None
    new: Engine
    wanted: str

    @classmethod
    def of(cls, recipe_set: RecipeSet, recipe: Recipe, name: EngineName, wanted: str) -> _EngineChange:
        catalogue = recipe_set.catalogue
        new, old = nearest_engine(catalogue.engines, name, wanted), catalogue.engine(name, recipe)
        if new is None:
            known = ", ".join(one.version for one in catalogue.engines.values() if one.engine == name)
            raise PipelineError(
                f"{name} {wanted!r} has no release number", hint=f"catalogued: {known or 'none'}"
            )
        return cls(
            recipe, recipe_set.nodes[recipe.id], catalogue, old.engine if old else None, new.engine, wanted
        )

    def findings(self) -> Iterator[UpgradeFinding]:
        if self.wanted.removeprefix("v") != self.new.version:
            yield self._finding("version-approximated", (), self.new.engine, after=self.new.version)
        for role in ROLES:
            flags = self.node.at((role, "flags"))
            for name, value in self.recipe.pools[role].flags.items():
                if value is not None and positive(name) not in launcher_owned.OPTIONS:
                    yield from self._flag(role, name, value, flags.at((name,)))
            yield from self._variables(role)
        yield from self._defaults()

    def _flag(self, role: Role, name: str, value: JsonValue, node: Node) -> Iterator[UpgradeFinding]:
        was, now = (engine.option(name) if engine else None for engine in (self.old, self.new))
        if was is None and now is None:
            return  # of the other engine, or unknown to both
        if now is None:
            since = self._since(lambda engine: engine.option(name) is None)
            yield self._finding("option-gone", (role,), name, place=_place(node), since=since, before=value)
            return
        _, option = now
        before = was[1] if was else EngineOption()
        yield from self._value(role, name, value, (before, option), node)
        yield from self._keys(role, positive(name), parsed(value), (before, option), node)
        if option.deprecated and not before.deprecated:
            yield self._finding("deprecated", (role,), name, place=_place(node))

    def _value(
        self, role: Role, name: str, value: JsonValue, options: tuple[EngineOption, EngineOption], node: Node
    ) -> Iterator[UpgradeFinding]:
        before, option = options
        if value_problem(option, value, is_negated=is_negation(name)):
            kind = "choice-gone" if choice_hint(option, value) else "value-refused"
            yield self._finding(kind, (role,), name, place=_place(node), before=value, after=_choices(option))
        elif before.choices and option.choices and (more := set(option.choices) - set(before.choices)):
            yield self._finding("choices-added", (role,), name, before=value, after=sorted(map(str, more)))

    def _keys(
        self,
        role: Role,
        path: str,
        value: JsonValue,
        settings: tuple[EngineSetting, EngineSetting],
        node: Node,
    ) -> Iterator[UpgradeFinding]:
        """Yield the keys of a nested configuration that the new version does not have."""
        was, now = settings
        config = now.config or ""
        keys = self.new.configs.get(config)
        old = self.old.configs.get(was.config or "", {}) if self.old else {}
        if keys is None or not isinstance(value, dict):
            return
        for key, inner in value.items():
            place = node.at((key,)) if isinstance(node.value, dict) else node
            known, before = keys.get(key), old.get(key, EngineSetting())
            made = nested(path, key, inner)
            facts = {
                "place": _place(place),
                "before": inner,
                "replacement": f"{made[0]}: {made[1]}" if made else None,
            }
            name = f"{path}.{key}"
            if known is None:
                since = self._since(partial(_lacks, config, key))
                yield self._finding("key-gone", (role,), name, since=since, **facts)
            elif isinstance(inner, dict):
                yield from self._keys(role, name, inner, (before, known), place)
            elif choice_hint(known, inner):
                yield self._finding("choice-gone", (role,), name, after=_choices(known), **facts)
            elif known.deprecated and not before.deprecated:
                yield self._finding("deprecated", (role,), name, **facts)

    def _variables(self, role: Role) -> Iterator[UpgradeFinding]:
        for name in self.recipe.pools[role].env:
            is_own = name.startswith(PREFIXES[self.new.engine])  # others are read by NCCL, UCX and so on
            if self.old and is_own and name in self.old.variables and name not in self.new.variables:
                node = self.node.at((role, "env", name))
                since = self._since(partial(_reads_not, name))
                yield self._finding("variable-gone", (role,), name, place=_place(node), since=since)

    def _defaults(self) -> Iterator[UpgradeFinding]:
        """Yield the options that a role leaves to the engine, and whose literal default is another one."""
        for name, option in self.new.options.items():
            was = self.old.options.get(name) if self.old else None
            is_known = was is not None and was.has_default and option.has_default
            if was is None or not is_known or was.default == option.default or name in launcher_owned.OPTIONS:
                continue
            roles = tuple(
                role for role in ROLES if not {name, f"no-{name}"} & self.recipe.pools[role].flags.keys()
            )
            if roles:
                yield self._finding("default-changed", roles, name, before=was.default, after=option.default)

    def _since(self, is_gone: Callable[[Engine], bool]) -> str | None:
        """Return the first catalogued version after the recipe's, up to the new one, that has a property."""
        first = release(self.old.version) if self.old else None
        last = release(self.new.version)
        known = {
            release(one.version): one
            for one in self.catalogue.engines.values()
            if one.engine == self.new.engine
        }
        newer = sorted(key for key in known if key and first and last and first < key <= last)
        return next((known[key].version for key in newer if is_gone(known[key])), None)

    def _finding(self, kind: str, roles: Sequence[str], setting: str, **fields: object) -> UpgradeFinding:
        return UpgradeFinding.model_validate(
            {"kind": kind, "engine": self.new.engine, "roles": tuple(roles), "setting": setting, **fields}
        )


def _lacks(config: str, key: str, engine: Engine) -> bool:
    return key not in engine.configs.get(config, {})


def _reads_not(name: str, engine: Engine) -> bool:
    return name not in engine.variables


def _choices(setting: EngineSetting) -> JsonValue:
    return list(setting.choices) if setting.choices else None


def _place(node: Node) -> str:
    mark = node.key or node.mark
    return f"{mark.path}:{mark.line}:{mark.col}"
