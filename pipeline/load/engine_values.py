"""Values of options held to what the engine's source says: type, number of values, choices."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from pipeline.deployment.settings import parsed
from pipeline.load.conform import closest
from pipeline.schema.engine import EngineOption, EngineSetting, ValueType

# Options that the HBM estimate and simulators need as numbers; load/pool_check.py checks them.
INTEGERS = ("max-num-seqs", "max-num-batched-tokens", "max-model-len", "block-size")
UTILIZATION = "gpu-memory-utilization"
SIZE = re.compile(r"-1|auto|\d+(\.\d+)?[kKmMgGtT]?i?")
EXPECTED: Mapping[ValueType, str] = {
    "int": "must be an integer",
    "size": "must be an integer, or one like 16k",
    "float": "must be a number",
    "json": "must be a mapping, or JSON text",
    "str": "must be text",
}


def value_problem(option: EngineOption, value: JsonValue, *, is_negated: bool) -> str | None:
    """Return what is wrong with the value of an option, as the end of a sentence, or None.

    >>> value_problem(EngineOption(type="int"), "many", is_negated=False)
    'must be an integer'
    """
    value = parsed(value)
    if option.nargs == 0 or is_negated:
        return None if isinstance(value, bool) else "takes no value: true or false"
    if value is True and option.nargs in ("?", "*"):
        return None
    if isinstance(value, list) and option.type != "json":
        return _list_problem(option, value)
    if not _matches(option.type, value):
        return EXPECTED.get(option.type, "has a value of another type")
    return "is not one of its choices" if choice_hint(option, value) else None


def _list_problem(option: EngineOption, values: list[JsonValue]) -> str | None:
    if option.nargs is None:
        return "takes one value: of a repeated option the engine keeps the last"
    if isinstance(option.nargs, int) and len(values) != option.nargs:
        return f"takes {option.nargs} values, {len(values)} are given"
    wrong = [one for one in values if not _matches(option.type, one) or choice_hint(option, one)]
    return f"has a wrong value {wrong[0]!r}" if wrong else None


def _matches(kind: ValueType, value: JsonValue) -> bool:
    if kind == "unknown":
        return True
    if isinstance(value, bool):
        return kind == "bool"
    if kind == "json":
        return isinstance(value, dict | list)
    if kind == "str":
        return not isinstance(value, dict)
    if kind == "size":
        return bool(SIZE.fullmatch(str(value)))
    try:
        return (int if kind == "int" else float)(str(value)) is not None
    except ValueError:
        return False


def choice_hint(setting: EngineSetting, value: JsonValue) -> str:
    """Return the nearest choice, or all, for a value that is not among the choices.

    Empty where it is, or where any value is allowed. Letter case and ``-`` or ``_`` do not matter, as for vLLM's
    names of backends.

    >>> choice_hint(EngineSetting(type="str", choices=("deep_gemm", "triton")), "deep_gem")
    'did you mean `deep_gemm`?'
    """
    if setting.choices is None or value is None or isinstance(value, dict | list):
        return ""
    known = {_plain(one): str(one) for one in setting.choices}
    if _plain(value) in known:
        return ""
    near = closest(str(value), known.values())
    return f"did you mean `{near}`?" if near else f"choices: {', '.join(known.values())}"


def _plain(value: JsonValue) -> str:
    return str(value).lower().replace("-", "_")
