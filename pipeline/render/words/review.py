"""The headline of a review, in plain text."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.render.tables import ICONS, short
from pipeline.render.text import number
from pipeline.render.words.length import fitted
from pipeline.render.words.reasons import given_text, reason_text
from pipeline.schema.reasons import FieldDiff
from pipeline.schema.review import PlacedChange, Prediction, RecipeDiff, ReviewData


def review_headline(data: ReviewData) -> str:
    """Return the verdict's icon, what was changed and what that is predicted to do.

    A line that is too long loses, in this order: the remark on the rack, the SKU, the edit, the name, its end.
    """
    return fitted([f"{ICONS[data.verdict]} {line}" for line in _lines(data)])


def _lines(data: ReviewData) -> list[str]:
    """Return the headline, the longest wording first."""
    found = data.prediction
    match found.kind:
        case "errors":
            return [f"{found.errors} error{'s' * (found.errors > 1)} in the recipes: nothing was predicted"]
        case "unchanged":
            return [f"no recipe measures something else than at {data.base[:12]}"]
        case "unseen":
            return _unseen_lines(found.unseen, data.recipes)
    effect = _effect(found)
    full, *shorter = _subjects(data.recipes)
    shortened = [f"{subject}: {effect} (simulated)" for subject in (full, *shorter)]
    return [f"{full}: {effect} (simulated; not yet run on a rack)", *shortened]


def _unseen_lines(unseen: Sequence[FieldDiff], recipes: Sequence[RecipeDiff]) -> list[str]:
    """Return which settings are not simulated and of which recipe, the longest wording first."""
    names = unseen_names(unseen)
    subject = (
        f"{recipes[0].sku} {short(recipes[0].recipe)}" if len(recipes) == 1 else f"{len(recipes)} recipes"
    )
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    said = [", ".join(names), f"{names[0]}{more}"]
    ends = (
        f"; effect on {subject} unknown until it runs on a rack",
        f"; effect on {subject} unknown",
        "; effect unknown",
    )
    return [f"{one}: not simulated{end}" for one in said for end in ends]


def unseen_names(unseen: Sequence[FieldDiff]) -> list[str]:
    """Return fields that are not simulated as they are called in a recipe; the parts of one JSON option are one.

    >>> unseen_names([FieldDiff(field=f"decode.flags.speculative-config.{key}", before=None, after="1") for key in "ab"])
    ['decode speculative-config']
    """
    names = []
    for diff in unseen:
        role, _, rest = diff.field.partition(".")
        kind, _, name = rest.partition(".")
        names.append(f"{role} {name.partition('.')[0]}" if kind in ("flags", "env") else diff.field)
    return list(dict.fromkeys(names))


def _effect(found: Prediction) -> str:
    words = _prediction(found)
    if found.unseen:
        words += f"; not simulated: {', '.join(unseen_names(found.unseen))}"
    if 0 < found.points_failed < found.points:
        words += f"; not predicted: {found.points_failed} of {found.points} points"
    return words


def _prediction(found: Prediction) -> str:
    match found.kind:
        case "moved":
            beside = ", none at equal interactivity" if found.is_level_on_curves else ""
            return f"predicted {_changes(found.changes)}{beside}"
        case "level":
            return f"predicted no change of {number(found.bar, 'percent')} or more"
        case "failed":
            return f"not predicted: {reason_text(found.reason)}"
    return "no earlier point to compare with"


def _changes(changes: Sequence[PlacedChange]) -> str:
    """Return the best and the worst change, or the only one."""
    first, last = changes[0], changes[-1]
    if first is last:
        return f"{number(first.change, 'change')} tok/s/GPU {_place(first)}"
    if first.at == last.at:
        return (
            f"{number(last.change, 'change')} to {number(first.change, 'change')} tok/s/GPU {_place(first)}"
        )
    return (
        f"{number(first.change, 'change')} tok/s/GPU {_place(first)}, "
        f"{number(last.change, 'change')} {_place(last)}"
    )


def _place(change: PlacedChange) -> str:
    if change.axis == "conc":
        return f"at conc {number(change.at, 'conc')}"
    return f"at {number(change.at, 'grid')} tok/s/user"


def _subjects(recipes: Sequence[RecipeDiff]) -> list[str]:
    """Return what was changed, the longest wording first."""
    states = [one.state for one in recipes]
    counts = {state: states.count(state) for state in ("changed", "added", "removed") if state in states}
    counted = f"recipes: {', '.join(f'{count} {state}' for state, count in counts.items())}"
    first = recipes[0]
    if set(states) != {"changed"}:
        named = [f"{first.sku} {short(first.recipe)} {first.state}", f"{short(first.recipe)} {first.state}"]
        return [*(named if len(recipes) == 1 else ()), counted]
    names = (
        [f"{first.sku} {short(first.recipe)}", short(first.recipe)]
        if len(recipes) == 1
        else [f"{len(recipes)} recipes"]
    )
    edits = {_edit(one) for one in recipes}
    edit = edits.pop() if len(edits) == 1 else ""
    return [*([f"{name}, {edit}" for name in names] if edit else ()), *names, counted]


def _edit(diff: RecipeDiff) -> str:
    """Return the edit of one recipe, shortened where it has many parts."""
    if diff.shape_before != diff.shape_after:
        return f"{diff.shape_before} → {diff.shape_after}"
    if 0 < len(diff.settings) <= 2:
        return ", ".join(
            f"{one.role} {one.name.lstrip('-')} {given_text(one.before)} → {given_text(one.after)}"
            for one in diff.settings
        )
    if diff.settings:
        return f"{len(diff.settings)} settings"
    if diff.conc_before != diff.conc_after:
        return f"conc {', '.join(map(str, diff.conc_before))} → {', '.join(map(str, diff.conc_after))}"
    return ", ".join(diff.environment) or "client settings"
