"""Run by the Python of a real vLLM: read argument lists as JSON from stdin, print its options and each list's error.

Output: ``{"version", "options": {name: {"aliases", "negatable", "nargs", "choices"}}, "errors": [text or null]}``.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys


def described(parser):
    found = {}
    for action in parser._actions:
        words = [word.lstrip("-") for word in action.option_strings]
        if not words or "help" in words:
            continue
        long = [word.removeprefix("--") for word in action.option_strings if word.startswith("--")]
        name = long[0]
        found[name] = {
            "aliases": sorted(word for word in words if word not in (name, f"no-{name}")),
            "negatable": f"no-{name}" in long,
            "nargs": action.nargs,
            "choices": None if action.choices is None else sorted(map(str, action.choices)),
        }
    return found


def error_of(parser, argv):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            parser.parse_args(argv)
    except SystemExit:
        return printed.getvalue().strip().splitlines()[-1]
    return None


def main():
    import vllm  # noqa: PLC0415  # only the engine's own Python has it
    from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415
    from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: PLC0415

    parser = AsyncEngineArgs.add_cli_args(FlexibleArgumentParser())
    errors = [error_of(parser, argv) for argv in json.load(sys.stdin)]
    json.dump({"version": vllm.__version__, "options": described(parser), "errors": errors}, sys.stdout)


if __name__ == "__main__":
    main()
