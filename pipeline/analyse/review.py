"""What a pull request changes, and whether that is better: recipes, points and curves compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.analyse.changes import differing, relative, verdict
from pipeline.deployment.replayed import is_replayed
from pipeline.schema.plan import Job
from pipeline.schema.reasons import FieldDiff
from pipeline.schema.recipe import Recipe, Role
from pipeline.schema.report import IsoRow, Report, Verdict
from pipeline.schema.review import (
    IsoPair,
    PlacedChange,
    Prediction,
    RecipeDiff,
    ReviewData,
    ReviewFindings,
    SettingDiff,
)

Settings = Mapping[Role, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class RecipeVersion:
    """A recipe at one commit: its job, and the settings that all processes of a role share."""

    job: Job
    settings: Settings
    identity: str


def differences(
    before: Mapping[str, RecipeVersion], after: Mapping[str, RecipeVersion]
) -> tuple[RecipeDiff, ...]:
    """Return every recipe whose measurement changes, by id.

    A renamed recipe is compared with its former version.
    """
    former = {name: _former(side, before) for name, side in after.items()}
    renamed = {old for new, old in former.items() if old is not None}
    pairs = [
        (name, before[old] if (old := former[name]) else None, side) for name, side in sorted(after.items())
    ]
    removed = [(name, side, None) for name, side in sorted(before.items()) if name not in renamed]
    return tuple(
        _difference(*pair)
        for pair in [*pairs, *removed]
        if pair[1] is None or pair[2] is None or pair[1].identity != pair[2].identity
    )


def names_before(
    diffs: Sequence[RecipeDiff], before: Mapping[str, RecipeVersion], after: Mapping[str, RecipeVersion]
) -> set[str]:
    """Return the former ids of the changed and removed recipes."""
    changed = {_former(after[one.recipe], before) for one in diffs if one.state == "changed"}
    return {name for name in changed if name} | {one.recipe for one in diffs if one.state == "removed"}


def _former(side: RecipeVersion, before: Mapping[str, RecipeVersion]) -> str | None:
    recipe = side.job.recipe
    return next((name for name in (recipe.id, *recipe.was) if name in before), None)


def _difference(name: str, before: RecipeVersion | None, after: RecipeVersion | None) -> RecipeDiff:
    side = after or before
    if side is None:
        raise ValueError("a difference without a side")
    old, new = (before.job.environment, after.job.environment) if before and after else ({}, {})
    return RecipeDiff(
        recipe=name,
        sku=side.job.recipe.sku,
        state="changed" if before and after else "added" if after else "removed",
        shape_before=before.job.recipe.shape if before else "",
        shape_after=after.job.recipe.shape if after else "",
        conc_before=before.job.recipe.conc if before else (),
        conc_after=after.job.recipe.conc if after else (),
        settings=tuple(_setting_diffs(before.settings, after.settings)) if before and after else (),
        unseen=_unseen(before.job.recipe, after.job.recipe) if before and after else (),
        environment=tuple(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))),
        hbm_before=before.job.hbm if before else (),
        hbm_after=after.job.hbm if after else (),
    )


def _unseen(before: Recipe, after: Recipe) -> tuple[FieldDiff, ...]:
    """Return the fields that differ between two versions of a recipe, and whose effect is not simulated."""
    found = differing(before.measured_fields, after.measured_fields)
    return tuple(diff for diff in found if not is_replayed(diff.field))


def _setting_diffs(before: Settings, after: Settings) -> Iterator[SettingDiff]:
    for role in dict.fromkeys([*before, *after]):
        old, new = before.get(role, {}), after.get(role, {})
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield SettingDiff(
                    role=role,
                    name=name.removesuffix("=") or "program",
                    before=old.get(name),
                    after=new.get(name),
                )


def iso_pairs(before: Report, after: Report) -> tuple[IsoPair, ...]:
    """Return both reports read at every interactivity of their grid that one of them reaches."""
    pairs = []
    for index, sku in enumerate(after.definition.skus):
        for old, new in zip(before.iso, after.iso, strict=True):
            pairs.append(_pair(sku, index, old, new))
    return tuple(
        one
        for one in pairs
        if one.before.total_tok_s_gpu is not None or one.after.total_tok_s_gpu is not None
    )


def _pair(sku: str, index: int, before: IsoRow, after: IsoRow) -> IsoPair:
    old, new = before.cells[index], after.cells[index]
    return IsoPair(
        sku=sku,
        interactivity=after.interactivity,
        before=old,
        after=new,
        change=relative(old.total_tok_s_gpu, new.total_tok_s_gpu),
    )


def with_verdict(found: ReviewFindings, bar: float) -> ReviewData:
    """Return the findings with a verdict; ``bar``: smallest relevant relative change of tok/s/GPU."""
    fields = {name: getattr(found, name) for name in ReviewFindings.model_fields}
    return ReviewData(**fields, verdict=_overall(found, bar), prediction=_prediction(found, bar))


def _overall(found: ReviewFindings, bar: float) -> Verdict:
    """Return one verdict: errors are worse.

    Better here and worse there is unknown, and so is a failed prediction.
    """
    if _errors(found):
        return "worse"
    verdicts = {change.verdict for change in found.changes if change.is_verdict_due}
    curves = {(pair.sku, verdict(pair.change, bar)) for pair in found.iso if pair.change is not None}
    unseen = {one.sku for one in found.recipes if one.unseen}
    # A level or better curve is no finding where a setting of one of its recipes is not simulated.
    verdicts |= {"unknown" if sku in unseen and word != "worse" else word for sku, word in curves}
    if "worse" in verdicts and "better" in verdicts:
        return "unknown"
    order: tuple[Verdict, ...] = ("worse", "unknown", "better")
    return next(
        (one for one in order if one in verdicts), "unknown" if found.recipes and not verdicts else "same"
    )


def _errors(found: ReviewFindings) -> int:
    return sum(one.severity == "error" for one in found.problems)


def _prediction(found: ReviewFindings, bar: float) -> Prediction:
    if errors := _errors(found):
        return Prediction(kind="errors", errors=errors, bar=bar)
    if not found.recipes:
        return Prediction(kind="unchanged", bar=bar)
    due = [one.reason for one in found.changes if one.reason and one.is_verdict_due]
    failed = [reason for reason in due if reason.kind != "not-simulated"]
    curves = [
        PlacedChange(change=pair.change, axis="interactivity", at=pair.interactivity)
        for pair in found.iso
        if pair.change is not None
    ]
    points = [
        PlacedChange(change=one.tok_s_gpu_change, axis="conc", at=one.conc)
        for one in found.changes
        if one.tok_s_gpu_change is not None
    ]
    moved = _beyond(curves, bar) or _beyond(points, bar)
    unseen = tuple(dict.fromkeys(diff for one in found.recipes for diff in one.unseen))
    kind: Literal["moved", "level", "failed", "new", "unseen"]
    kind = "moved" if moved else "unseen" if unseen else "level" if points else "failed" if failed else "new"
    return Prediction(
        kind=kind,
        bar=bar,
        changes=moved,
        is_level_on_curves=bool(moved and curves) and moved[0].axis == "conc",
        points=len(found.changes),
        points_failed=len(failed),
        reason=failed[0] if failed else None,
        unseen=unseen,
    )


def _beyond(changes: Sequence[PlacedChange], bar: float) -> tuple[PlacedChange, ...]:
    """Return the best and the worst of the changes that reach the bar; one where all go the same way."""
    ordered = sorted(changes, key=lambda one: (one.change, one.at))
    rises, falls = ordered and ordered[-1].change >= bar, ordered and ordered[0].change <= -bar
    best, worst = ordered[-1:] if rises else [], ordered[:1] if falls else []
    return (*best, *worst)
