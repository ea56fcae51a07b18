"""What a pull request changes, and whether that is better: recipes side by side, points and curves compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.analyse.changes import ABSENT, NO_EARLIER, NO_LONGER, relative, verdict
from pipeline.schema.plan import Job
from pipeline.schema.recipe import Role
from pipeline.schema.report import IsoRow, Report, Sentence, Verdict
from pipeline.schema.review import IsoPair, RecipeDiff, ReviewData, ReviewFindings, SettingDiff

NO_VERDICT = frozenset({NO_EARLIER, NO_LONGER})  # a point that is new or gone is no gap
UNPROVEN = "simulated; not yet run on a rack"
Settings = Mapping[Role, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class RecipeVersion:
    """A recipe as one commit has it: its job, and the settings that all processes of a role have alike."""

    job: Job
    settings: Settings
    identity: str


def differences(
    before: Mapping[str, RecipeVersion], after: Mapping[str, RecipeVersion]
) -> tuple[RecipeDiff, ...]:
    """Every recipe that measures something else, by id; one that was renamed is held against its former self."""
    former = {name: _former(side, before) for name, side in after.items()}
    renamed = {old for new, old in former.items() if old is not None}
    pairs = [
        (name, before[old] if (old := former[name]) else None, side) for name, side in sorted(after.items())
    ]
    gone = [(name, side, None) for name, side in sorted(before.items()) if name not in renamed]
    return tuple(
        _difference(*pair)
        for pair in [*pairs, *gone]
        if pair[1] is None or pair[2] is None or pair[1].identity != pair[2].identity
    )


def names_before(
    diffs: Sequence[RecipeDiff], before: Mapping[str, RecipeVersion], after: Mapping[str, RecipeVersion]
) -> set[str]:
    """What the changed and removed recipes were called before."""
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
        environment=tuple(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))),
        hbm_before=before.job.hbm if before else (),
        hbm_after=after.job.hbm if after else (),
    )


def _setting_diffs(before: Settings, after: Settings) -> Iterator[SettingDiff]:
    for role in dict.fromkeys([*before, *after]):
        old, new = before.get(role, {}), after.get(role, {})
        for name in sorted(old.keys() | new.keys()):
            was, now = (_word(side.get(name)) for side in (old, new))
            if was != now:
                yield SettingDiff(role=role, name=name.removesuffix("=") or "program", before=was, after=now)


def _word(value: str | None) -> str:
    return ABSENT if value is None else value or "given"


def iso_pairs(before: Report, after: Report) -> tuple[IsoPair, ...]:
    """Both reports read at every interactivity of their grid that one of them reaches."""
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
    """The same with a verdict; ``bar``: smallest relative change of tok/s/GPU worth a person's time."""
    found_fields = {name: getattr(found, name) for name in ReviewFindings.model_fields}
    return ReviewData.model_validate(
        {**found_fields, "verdict": _overall(found, bar), "headline": _headline(found, bar)}
    )


def _overall(found: ReviewFindings, bar: float) -> Verdict:
    """One word: errors are worse; better here and worse there is for a person to weigh, so unknown; so is what could not be predicted."""
    if any(one.severity == "error" for one in found.problems):
        return "worse"
    said = {change.verdict for change in found.changes if change.reason not in NO_VERDICT}
    said |= {verdict(pair.change, bar) for pair in found.iso if pair.change is not None}
    if "worse" in said and "better" in said:
        return "unknown"
    for word in ("worse", "unknown", "better"):
        if word in said:
            return word
    return "unknown" if found.recipes and not said else "same"


def _headline(found: ReviewFindings, bar: float) -> Sentence:
    """The verdict in one line: what was changed, and what that is predicted to do."""
    errors = sum(one.severity == "error" for one in found.problems)
    if errors:
        words = (
            "{errors:count} error in the recipes: nothing was predicted"
            if errors == 1
            else "{errors:count} errors in the recipes: nothing was predicted"
        )
        return Sentence(words=words, values={"errors": errors})
    if not found.recipes:
        return Sentence(
            words="no recipe measures something else than at {base}", values={"base": found.base[:12]}
        )
    figures, values = _figures(found, bar)
    failed = sum(one.verdict == "unknown" and one.reason not in NO_VERDICT for one in found.changes)
    if failed and failed < len(found.changes):
        figures += "; not predicted: {failed:count} of {points:count} points"
        values |= {"failed": failed, "points": len(found.changes)}
    return Sentence(
        words="{what}: " + figures + " ({unproven})",
        values={"what": _what(found.recipes), "unproven": UNPROVEN, **values},
    )


def _what(recipes: Sequence[RecipeDiff]) -> str:
    """What was changed: by name where it is one thing, else counted."""
    states = [one.state for one in recipes]
    counted = ", ".join(
        f"{states.count(state)} {state}" for state in ("changed", "added", "removed") if state in states
    )
    if set(states) != {"changed"}:
        return f"{_short(recipes[0])} {states[0]}" if len(recipes) == 1 else f"recipes: {counted}"
    where = _short(recipes[0]) if len(recipes) == 1 else f"{len(recipes)} recipes"
    edits = {_edit(one) for one in recipes}
    return f"{where}, {edits.pop()}" if len(edits) == 1 and "" not in edits else where


def _short(diff: RecipeDiff) -> str:
    return f"{diff.sku} {diff.recipe.rsplit('.', 1)[-1]}"


def _edit(diff: RecipeDiff) -> str:
    """The edit in words where it is short; empty where it is not."""
    if diff.shape_before != diff.shape_after:
        return f"{diff.shape_before} → {diff.shape_after}"
    if 0 < len(diff.settings) <= 2:
        return ", ".join(
            f"{one.role} {one.name.lstrip('-')} {one.before} → {one.after}" for one in diff.settings
        )
    if diff.settings:
        return f"{len(diff.settings)} settings"
    if diff.conc_before != diff.conc_after:
        return f"conc {_list(diff.conc_before)} → {_list(diff.conc_after)}"
    return ", ".join(diff.environment) or "client settings"


def _list(concs: Sequence[int]) -> str:
    return ", ".join(map(str, concs))


def _figures(found: ReviewFindings, bar: float) -> tuple[str, dict[str, float | str]]:
    """Best and worst at equal interactivity where curves moved, else at equal concurrency where points did."""
    curves = [
        (pair.change, f"at {pair.interactivity:g} tok/s/user")
        for pair in found.iso
        if pair.change is not None
    ]
    points = [
        (one.tok_s_gpu_change, f"at conc {one.conc}")
        for one in found.changes
        if one.tok_s_gpu_change is not None
    ]
    if any(abs(change) >= bar for change, _ in curves):
        return _range(curves, bar)
    if any(abs(change) >= bar for change, _ in points):
        words, values = _range(points, bar)
        return words + (", none at equal interactivity" if curves else ""), values
    if points:
        return "predicted no change of {bar:percent} or more", {"bar": bar}
    reasons = list(
        dict.fromkeys(one.reason for one in found.changes if one.reason and one.reason not in NO_VERDICT)
    )
    return "{reason}", {
        "reason": f"not predicted: {reasons[0]}" if reasons else "nothing earlier to compare with"
    }


def _range(known: Sequence[tuple[float, str]], bar: float) -> tuple[str, dict[str, float | str]]:
    """The best and the worst, of which what stays within the bar is not worth a word."""
    (high, here), (low, there) = max(known), min(known)
    if low > -bar or high < bar:
        high, here = (high, here) if low > -bar else (low, there)
        return "predicted {high:change} tok/s/GPU {here}", {"high": high, "here": here}
    values: dict[str, float | str] = {"high": high, "here": here, "low": low, "there": there}
    if here == there:
        return "predicted {low:change} to {high:change} tok/s/GPU {here}", values
    return "predicted {high:change} tok/s/GPU {here}, {low:change} {there}", values
