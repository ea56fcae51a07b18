"""Cost when read: a dated price over a throughput. Never stored with a result."""

from __future__ import annotations


def usd_per_mtok(usd_per_gpu_hour: float | None, total_tok_s_gpu: float | None) -> float | None:
    """Return USD per million tokens (input + output): rate · 10⁶ / (3600 · tok/s/GPU).

    None without a price or a throughput.
    Source: the published study's definition.

    >>> usd_per_mtok(3.6, 1000.0)
    1.0
    """
    if usd_per_gpu_hour is None or not total_tok_s_gpu:
        return None
    return usd_per_gpu_hour * 1e6 / (3600 * total_tok_s_gpu)


def usd_per_mtok_held(
    usd_per_gpu_hour: float | None, total_tok_s_gpu: float | None, *, counted: int, held: int
) -> float | None:
    """Return the same with all GPUs held charged, not only those in the denominator of tok/s/GPU."""
    cost = usd_per_mtok(usd_per_gpu_hour, total_tok_s_gpu)
    return None if cost is None else cost * held / counted


def ratio(above: float | None, below: float | None) -> float | None:
    """Return the quotient of two readings; None when a side is absent."""
    return above / below if above is not None and below else None


def is_level(quotient: float, bar: float) -> bool:
    """Return whether a ratio is nearer to 1 than ``bar`` (relative), in either direction.

    >>> is_level(1.04, 0.05), is_level(1 / 1.04, 0.05), is_level(1.05, 0.05), is_level(0.95, 0.05)
    (True, True, False, False)
    """
    return 1 / (1 + bar) < quotient < 1 + bar
