"""The verb on LLM documents: llm add."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from pipeline.cli.arguments import Verbs, expecting
from pipeline.flow.context import Context
from pipeline.llms.document import OVERHEAD_GB, Stated


def llm(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import llms

    name = arguments.served_name
    stated = Stated(
        id=arguments.id,
        title=arguments.title or name.rpartition("/")[2],
        served_name=name,
        source=arguments.source or f"config.json of {name}",
        vision_gb=arguments.vision_gb,
        overhead_gb=arguments.overhead_gb,
    )
    context.log(f"written: {llms.add(context, arguments.config, stated)}")
    return 0


def _id(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9.-]{1,80}", text):
        raise ValueError
    return text


def _gb(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError
    return value


llm_id = expecting("lower-case letters, digits, dots and hyphens", _id)
gigabytes = expecting("a size in GB", _gb)


def add(verbs: Verbs) -> None:
    """Add the verb of this module."""
    example = "add config.json --id qwen3-32b --served-name Qwen/Qwen3-32B"
    added = verbs.add("llm", llm, "describe an LLM from its config.json", example)
    added.add_argument("action", choices=["add"], help="write recipes/models/ID.yaml")
    added.add_argument(
        "config", nargs="+", type=Path, metavar="CONFIG", help="config.json of the LLM, one a precision"
    )
    added.add_argument("--id", type=llm_id, required=True, metavar="ID", help="id that recipes use")
    added.add_argument(
        "--served-name", required=True, metavar="NAME", help="name on the model hub, ORGANISATION/NAME"
    )
    added.add_argument("--title", metavar="TEXT", help="name in reports (default: NAME)")
    added.add_argument("--source", metavar="TEXT", help="where the config.json is from (default: NAME)")
    added.add_argument(
        "--vision-gb", type=gigabytes, metavar="GB", help="size of a vision tower and its projector"
    )
    added.add_argument(
        "--overhead-gb",
        type=gigabytes,
        default=OVERHEAD_GB,
        metavar="GB",
        help=f"CUDA context, NCCL and other fixed memory (default: {OVERHEAD_GB})",
    )
