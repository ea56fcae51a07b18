"""``python -m tests.fuzz``: random inputs for some time, the same ones for the same seed; exit 1 with the first finding.

``--case TARGET/SEED/N`` runs one case again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter

from tests.fuzz.targets import TARGETS

SEED, SECONDS = 20261201, 60.0  # of CI


def main() -> int:
    words = argparse.ArgumentParser(prog="nox -s fuzz --", description=__doc__)
    words.add_argument("--minutes", type=float, help="time; without it, a minute with the seed of CI")
    words.add_argument(
        "--seed", type=int, help="start of the random numbers (default: a new one with --minutes)"
    )
    words.add_argument("--case", help="run one case: TARGET/SEED/N")
    given = words.parse_args()
    if given.case:
        return 0 if is_handled(given.case) else 1
    is_long = given.minutes is not None
    seed = (
        given.seed if given.seed is not None else (random.SystemRandom().getrandbits(32) if is_long else SEED)
    )
    end = time.monotonic() + (60 * given.minutes if is_long else SECONDS)
    print(f"seed {seed}", flush=True)
    ran: Counter[str] = Counter()
    while time.monotonic() < end:
        for target, cases in TARGETS.items():
            for _ in range(cases):
                case = f"{target.__name__}/{seed}/{ran[target.__name__]}"
                ran[target.__name__] += 1
                if not is_handled(case):
                    return 1
    print("no finding in " + ", ".join(f"{count:,} {name}" for name, count in ran.items()))
    return 0


def is_handled(case: str) -> bool:
    """Return whether a case ends as it should; print what happened otherwise."""
    target = {one.__name__: one for one in TARGETS}[case.partition("/")[0]]
    try:
        target(random.Random(case))
    except Exception:
        traceback.print_exc()
        print(f"finding: nox -s fuzz -- --case {case}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
