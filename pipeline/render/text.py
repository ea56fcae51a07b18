"""The only module that rounds: a format for each quantity, a word for each absent value, inline Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from markupsafe import Markup, escape

from pipeline.plaintext import LONG, one_line, safe_line

MINUS = "−"
THIN_P99 = "n < 662"  # MLPerf LoadGen's bound for a claim about p99; see Statistics


def fixed(value: float, decimals: int) -> str:
    """Return a figure with decimals and thousands commas, with a real minus sign and no negative zero.

    >>> fixed(11055.649, 1), fixed(-0.04, 1), fixed(-1.5, 0)
    ('11,055.6', '0.0', '−2')
    """
    text = f"{value:,.{decimals}f}"
    if not text.strip("-0.,"):
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def signed(value: float) -> str:
    """Return a relative change in percent.

    >>> signed(0.012), signed(-0.198), signed(0.0001)
    ('+1.2 %', '−19.8 %', '0.0 %')
    """
    text = fixed(100 * value, 1)
    return f"{text} %" if text.startswith(MINUS) or not text.strip("0.") else f"+{text} %"


QUANTITIES: Final[dict[str, Callable[[float], str]]] = {
    "tok_s_gpu": lambda value: fixed(value, 1),
    "tok_s_gpu_read": lambda value: fixed(value, 0),
    "interactivity": lambda value: fixed(value, 2),
    "grid": lambda value: f"{value:g}",
    "usd": lambda value: fixed(value, 2),
    "usd_per_mtok": lambda value: fixed(value, 3),
    "seconds": lambda ms: fixed(ms / 1000, 1),
    "wall": lambda seconds: fixed(seconds, 0),
    "ms": lambda value: fixed(value, 2),
    "gb": lambda value: fixed(value, 1),
    "hours": lambda value: fixed(value, 1),
    "tb": lambda value: fixed(value, 2),
    "ratio": lambda value: f"{fixed(value, 2)}×",
    "change": signed,
    "percent": lambda value: f"{fixed(100 * value, 1)} %",
    "share": lambda value: f"{fixed(100 * value, 0)} %",
    "count": lambda value: fixed(value, 0),
    "conc": lambda value: f"{value:.0f}",
}


def number(value: float | None, quantity: str, *, absent: str = "unknown") -> str:
    """Return a value in the format of its quantity, or the word for its absence; ``seconds`` takes milliseconds.

    >>> number(0.0686, "usd_per_mtok"), number(57800.0, "seconds")
    ('0.069', '57.8')
    >>> number(None, "ratio", absent="unreachable")
    '_unreachable_'
    """
    return f"_{absent}_" if value is None else QUANTITIES[quantity](value)


def short_number(value: float) -> str:
    """Return a number with as many digits as its size needs.

    >>> short_number(8192.0), short_number(16.0), short_number(2.22)
    ('8,192', '16', '2.2')
    """
    return fixed(value, 0) if value >= 10 else f"{value:.2g}"


def about(text: str, *, directional: bool) -> str:
    """Return a figure, marked where it was read between knots that are far apart.

    >>> about("2.58×", directional=True), about("_unreachable_", directional=True)
    ('≈ 2.58×', '_unreachable_')
    """
    return f"≈ {text}" if directional and not text.startswith("_") else text


def best(
    values: list[float | None], quantity: str, *, lowest: bool = False, absent: str = "unknown"
) -> list[str]:
    """Return the cells of a row with the best in bold, and those that print the same; none where all are equal.

    >>> best([0.0691, 0.0689], "usd_per_mtok", lowest=True), best([1.0, 2.0, None], "ratio")
    (['0.069', '0.069'], ['1.00×', '**2.00×**', '_unknown_'])
    """
    printed = [number(value, quantity, absent=absent) for value in values]
    known = [value for value in values if value is not None]
    if len({text for text, value in zip(printed, values, strict=True) if value is not None}) < 2:
        return printed
    winner = number(min(known) if lowest else max(known), quantity)
    return [f"**{text}**" if text == winner else text for text in printed]


def percent(share: float) -> str:
    """Return a share in percent, as a definition states it.

    >>> percent(0.01), percent(0.025)
    ('1 %', '2.5 %')
    """
    return f"{100 * share:g} %"


def plot(value: float | None) -> float | None:
    """Return a value for a chart, with six significant digits.

    >>> plot(8933.00000004), plot(None)
    (8933.0, None)
    """
    return None if value is None else float(f"{value:.6g}")


def plain(text: str) -> str:
    r"""Return text escaped for Markdown, on one line.

    >>> plain("a|b *c* <img>\nd")
    'a\\|b \\*c\\* \\<img> d'
    """
    return re.sub(r"([\\`*_|<\[\]~@#])", r"\\\1", safe_line(re.sub(r"\s+", " ", text[: 8 * LONG])))


def code(text: str) -> str:
    r"""Return text in a code span; pipes are escaped for tables.

    >>> code("a|b")
    '`a\\|b`'
    """
    return "`" + one_line(text, LONG).replace("`", "'").replace("|", r"\|") + "`"


def as_html(markdown: str) -> Markup:
    r"""Return inline Markdown as HTML.

    ``**strong**``, ``_word_``, code spans and backslash escapes are marks; all else is text.

    >>> as_html(r"**1** _unreachable_ `a\|b` 2\*3 <i>")
    Markup('<strong>1</strong> <em>unreachable</em> <code>a|b</code> 2*3 &lt;i&gt;')
    """
    parts, at = [], 0
    for found in re.finditer(r"\\(.)|\*\*(.+?)\*\*|(?<!\w)_(.+?)_(?!\w)|`(.+?)`", markdown):
        parts.append(escape(markdown[at : found.start()]))
        parts.append(_inline(*found.groups()))
        at = found.end()
    return Markup("").join([*parts, escape(markdown[at:])])


def _inline(escaped: str | None, strong: str | None, word: str | None, span: str | None) -> Markup:
    if escaped is not None:
        return escape(escaped)
    if strong is not None:
        return Markup("<strong>{}</strong>").format(strong)
    if word is not None:
        return Markup("<em>{}</em>").format(word)
    return Markup("<code>{}</code>").format((span or "").replace(r"\|", "|"))
