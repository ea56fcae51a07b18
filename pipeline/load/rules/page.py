"""docs/rules.md: the table of rules as a page."""

from __future__ import annotations

from pipeline.load.rules.case import Rule
from pipeline.load.rules.table import CHAPTERS

HEAD = """\
# Rules: settings held against each other

<!-- Generated from pipeline/load/rules by `python -m pipeline rules --write docs/rules.md`. Do not edit. -->

One setting can be right and two together still break a deployment: a batch limit below the number of sequences, two
roles that disagree about the KV cache, a deadline that the requests cannot meet. `validate` holds the settings of each
recipe against each other, before any GPU is used. A problem names its rule in brackets at the end of the line:

```
recipes/…/6p1d-dep4-dep8.yaml:6:31: decode max-num-batched-tokens 256 is below max-num-seqs 512
 — set max-num-batched-tokens to 512 or more, or lower max-num-seqs [budget-below-seqs]
```

- An **error** is something that the engine refuses, or that makes the result worthless. The recipe is not planned.
- A **warning** is something that runs, but probably not as meant.
- **Scope** is what a setting is held against: the other settings of its *role*, the other role (*pair of roles*), the
  load *client* and limits, the *SKU*, the *LLM*, or the *engine version*.
- What cannot be known is not judged: a rule is silent where it needs a value that neither the recipe nor a document of
  the catalogue states. Engine defaults come from the [engine catalogue](engines.md), where they are literals.
- *Running sequences* are min(max-num-seqs, concurrency / ranks): a limit that the concurrency never reaches is no problem.

Every rule has a test with the case that it was made for (`tests/unit/test_rules.py`). All rules are silent on the
published deployments of this repository and on the recipes of `tests/fixtures/foreign/`, which are known to have run.
Whether options exist in an engine version is checked apart ([engines](engines.md)), and so is memory (`fit`).
"""
NO_RULES = """\
## What is no rule, and why

| difference | why it is no problem |
|---|---|
| FP4 indexer cache in prefill only | published row 10 and InferenceX run 30937733020 ran so |
| tokenizer-mode in decode only | three published GB300 recipes; the frontend tokenises |
| max-model-len differs between roles | each role must hold the workload only; InferenceX run 30937733020 has 9280 and 16384 |
| a different number of speculative tokens | not part of the handshake of any version |
| prefix caching of one role only | useful with a router that knows the caches of prefill |
| max-cudagraph-capture-size below max-num-seqs | only what runs at once counts; InferenceX run 30937733020 has 64 and 256 |
| stream-interval above 1 | all published recipes have 50; gaps between chunks are not used as a metric |
| data parallelism without expert parallelism | experts are one tensor-parallel group over dp x tp |
"""


def page() -> str:
    """Return docs/rules.md."""
    chapters = [_chapter(title, rules) for title, rules in CHAPTERS.items()]
    return "\n".join([HEAD, *chapters, NO_RULES])


def _chapter(title: str, rules: tuple[Rule, ...]) -> str:
    return "\n".join([f"## {title}", "", *(_section(rule) for rule in rules)])


def _section(rule: Rule) -> str:
    head = f"### {rule.id}\n\n**{rule.severity}** · {rule.scope} · {rule.what}"
    return f"{head}\n\n{rule.why}\n\nSource: {rule.source}\n"
