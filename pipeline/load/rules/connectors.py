"""The KV connectors of a role, and what two roles state differently."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from pipeline.load.rules.case import Case, Finding
from pipeline.schema.recipe import ROLES, Role

TRANSFER = "kv-transfer-config"
NIXL = "vllm/distributed/kv_transfer/kv_connector/v1/nixl"  # in the source of vLLM


def connectors(case: Case, role: Role) -> list[Mapping[str, JsonValue]]:
    """Return the connectors of a role; those inside of a MultiConnector or PdConnector in its place."""
    config = case.mapping(role, TRANSFER)
    extra = config.get("kv_connector_extra_config")
    inner = extra.get("connectors") if isinstance(extra, dict) else None
    if isinstance(inner, list):
        return [one for one in inner if isinstance(one, dict)]
    return [config] if config.get("kv_connector") else []


def nixl_setting(case: Case, role: Role, key: str) -> JsonValue:
    """Return a setting of the NIXL connector of a role; None where it has none."""
    return next((one.get(key) for one in connectors(case, role) if _of_nixl(one)), None)


def is_enforced(case: Case) -> bool:
    """Return whether both roles compare the hash: enforce_handshake_compat is not false in either."""
    extra = [nixl_setting(case, role, "kv_connector_extra_config") for role in ROLES]
    return not any(isinstance(one, dict) and one.get("enforce_handshake_compat") is False for one in extra)


def is_nixl(case: Case) -> bool:
    """Return whether both roles hand over by NIXL, whose handshake these rules describe."""
    return all(any(map(_of_nixl, connectors(case, role))) for role in ROLES)


def _of_nixl(connector: Mapping[str, JsonValue]) -> bool:
    return str(connector.get("kv_connector")).startswith("Nixl")


def differs(case: Case, name: str, shown: str, prefill: JsonValue, decode: JsonValue) -> Finding:
    """Return the finding that an option differs; ``shown`` is what it is called, its name or what it means."""
    values: dict[Role, JsonValue] = {"prefill": prefill, "decode": decode}
    is_default = {role: shown == name and case.setting(role, name) is None for role in ROLES}
    stated = {role: _word(values[role]) + (", the default," if is_default[role] else "") for role in ROLES}
    place = case.place("prefill" if is_default["decode"] else "decode", name)
    what = f"{shown} is {stated['prefill']} in prefill and {stated['decode']} in decode"
    return Finding(place, what, "set the same value for both roles")


def _word(value: JsonValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
