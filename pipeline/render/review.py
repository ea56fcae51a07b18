"""The comment on a pull request."""

from __future__ import annotations

from pipeline.render.pages import environment
from pipeline.render.tables import Table, short
from pipeline.render.tables import verdict as icon
from pipeline.render.text import about, code, number, plain
from pipeline.render.words.kinds import kind_texts
from pipeline.render.words.memory import verdict_text
from pipeline.render.words.reasons import given_text, reason_text, setting_text
from pipeline.render.words.review import review_headline
from pipeline.schema.hbm import Hbm
from pipeline.schema.report import Change
from pipeline.schema.review import RecipeDiff, ReviewData


def comment(data: ReviewData) -> str:
    """Return the Markdown of the comment, verdict first."""
    names = {
        "headline": plain(review_headline(data)),
        "counts": _counts(data),
        "kind": plain("; ".join(kind_texts(data.kinds))),
        "points": _points(data),
        "iso": _iso(data),
        "unseen": _unseen(data),
        "settings": _settings(data.recipes),
        "environment": _environment_words(data.recipes),
        "fit": _fit(data.recipes),
        "problems": [
            (one.severity, code(f"{one.path}:{one.line}"), plain(one.message)) for one in data.problems
        ],
        "base": code(data.base[:12]),
        "head": code(data.head[:12]),
        "base_problems": data.base_problems,
        "is_changed": bool(data.recipes),
    }
    return environment(is_html=False).get_template("review.md.j2").render(names)


def _counts(data: ReviewData) -> str:
    states = [one.state for one in data.recipes]
    counted = [
        f"{states.count(state)} {state}" for state in ("changed", "added", "removed") if state in states
    ]
    settings = {(diff.role, diff.name) for one in data.recipes for diff in one.settings}
    roles = sorted({role for role, _ in settings})
    commands = f"{len(settings)} setting{'s' * (len(settings) > 1)} of {' and '.join(roles)} differ{'s' * (len(settings) == 1)}"
    parts = [f"recipes: {', '.join(counted)}", f"commands: {commands if settings else 'no setting differs'}"]
    return " · ".join([*parts, *_tightest(data.recipes)])


def _tightest(recipes: tuple[RecipeDiff, ...]) -> list[str]:
    """Return the role with the least headroom of all proposed recipes."""
    roles = [
        (hbm.headroom_gb / hbm.capacity_gb, one, hbm)
        for one in recipes
        for hbm in one.hbm_after
        if hbm.headroom_gb is not None
    ]
    if not roles:
        return []
    _, one, hbm = min(roles, key=lambda item: item[0])
    weights, capacity = number(hbm.weights_gb, "gb"), number(hbm.capacity_gb, "gb")
    room, spare = number(hbm.kv_budget_gb, "gb"), number(hbm.headroom_gb, "gb")
    where = f"{short(one.recipe)} {hbm.role}"
    return [
        f"tightest fit: {where}, {weights} of {capacity} GB weights, {room} GB for KV, {spare} GB headroom"
    ]


def _points(data: ReviewData) -> Table:
    headers = (
        "verdict",
        "deployment",
        "tok/s/GPU base",
        "this PR",
        "change",
        "tok/s/user base → this PR",
        "TTFT p50 change",
        "why unknown",
    )
    order = ("worse", "unknown", "better", "same")
    rows = tuple(_point(one) for one in sorted(data.changes, key=lambda one: order.index(one.verdict)))
    return Table(headers, "llrrrrrl", rows)


def _point(change: Change) -> tuple[str, ...]:
    users = (
        number(change.before_interactivity, "interactivity", absent="none"),
        number(change.after_interactivity, "interactivity", absent="none"),
    )
    return (
        icon(change.verdict),
        f"{change.sku} {change.shape} c{change.conc}",
        number(change.before_tok_s_gpu, "tok_s_gpu", absent="none"),
        number(change.after_tok_s_gpu, "tok_s_gpu", absent="none"),
        number(change.tok_s_gpu_change, "change"),
        " → ".join(users),
        number(change.ttft_p50_change, "change"),
        plain(reason_text(change.reason)),
    )


def _iso(data: ReviewData) -> Table:
    headers = ("SKU", "tok/s/user", "tok/s/GPU base", "this PR", "change", "nearest deployment now")
    rows = tuple(
        (
            pair.sku,
            number(pair.interactivity, "grid"),
            *(
                about(
                    number(cell.total_tok_s_gpu, "tok_s_gpu_read", absent="unreachable"),
                    directional=cell.directional,
                )
                for cell in (pair.before, pair.after)
            ),
            number(pair.change, "change", absent="unreachable"),
            plain(pair.after.shape or "none"),
        )
        for pair in data.iso
    )
    return Table(headers, "lrrrrl", rows)


def _unseen(data: ReviewData) -> Table:
    """Return the changed settings that are not simulated; equal edits of several recipes are one row."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in data.recipes:
        for diff in one.unseen:
            row = (diff.field, setting_text(diff.before), setting_text(diff.after))
            found.setdefault(row, []).append(short(one.recipe))
    rows = tuple(
        (code(field), code(before), code(after), ", ".join(names))
        for (field, before, after), names in found.items()
    )
    return Table(("setting", "base", "this PR", "recipes"), "llll", rows)


def _settings(recipes: tuple[RecipeDiff, ...]) -> Table:
    """Return the changed settings; equal edits of several recipes are one row."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for one in recipes:
        if one.shape_before != one.shape_after and one.state == "changed":
            found.setdefault(("all", "shape", one.shape_before, one.shape_after), []).append(
                short(one.recipe)
            )
        for diff in one.settings:
            before, after = given_text(diff.before), given_text(diff.after)
            found.setdefault((diff.role, diff.name, before, after), []).append(short(one.recipe))
    rows = tuple(
        (role, code(name), code(before), code(after), ", ".join(names))
        for (role, name, before, after), names in found.items()
    )
    return Table(("role", "option or variable", "base", "this PR", "recipes"), "lllll", rows)


def _environment_words(recipes: tuple[RecipeDiff, ...]) -> str:
    parts = sorted({part for one in recipes for part in one.environment})
    return f"Changed besides the recipes: {', '.join(parts)}." if parts else ""


def _fit(recipes: tuple[RecipeDiff, ...]) -> Table:
    """Return the roles whose fit changes."""
    headers = (
        "recipe",
        "role",
        "weights GB",
        "KV requested GB",
        "KV budget GB",
        "headroom GB base",
        "this PR",
        "verdict",
    )
    rows = [
        _fit_row(one, hbm, next((old for old in one.hbm_before if old.role == hbm.role), None))
        for one in recipes
        for hbm in one.hbm_after
        if hbm not in one.hbm_before
    ]
    return Table(headers, "llrrrrrl", tuple(rows))


def _fit_row(one: RecipeDiff, hbm: Hbm, before: Hbm | None) -> tuple[str, ...]:
    figures = (
        hbm.weights_gb,
        hbm.kv_gb,
        hbm.kv_budget_gb,
        before.headroom_gb if before else None,
        hbm.headroom_gb,
    )
    return (
        short(one.recipe),
        f"{hbm.role} {hbm.shape}",
        *(number(figure, "gb", absent="none") for figure in figures),
        plain(verdict_text(hbm)),
    )
