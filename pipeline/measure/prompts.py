"""Prompts of a given length, in bulk: plain words, each of which is one token of the model's tokenizer.

A load client that makes random prompts decodes and encodes each until its length fits. AIPerf 0.13.0 takes
about 70 ms for 8,192 tokens: an hour for the 45,000 prompts of concurrency 4096, in which the deployment is
idle. It also draws other lengths than the replay.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import PipelineError, lacking

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WORD = re.compile(
    "[Ġ▁]([a-z]{2,})"
)  # a whole word in byte-level BPE and SentencePiece, with the space before it
FEWEST = 100  # different words; prompts of fewer would hardly be random


def words(place: str) -> list[str]:
    """Return the words that are one token each in any position, by the tokenizer in this folder.

    PipelineError when there are too few.
    """
    tokenizer = _tokenizer(place)
    candidates = sorted(match[1] for token in tokenizer.get_vocab() if (match := WORD.fullmatch(token)))
    found = tokenizer.encode("".join(f" {word}" for word in candidates), add_special_tokens=False)
    whole, begun = set(found.offsets), Counter(begin for begin, _ in found.offsets)
    end, kept = 0, []
    for word in candidates:
        begin, end = end, end + len(word) + 1
        is_whole = (begin, end) in whole or (
            begin + 1,
            end,
        ) in whole  # some tokenizers do not count its space
        if is_whole and begun[begin] + begun[begin + 1] == 1:  # and the space is not a separate token
            kept.append(word)
    if len(kept) < FEWEST:
        what = f"only {len(kept)} plain words are one token each; {FEWEST} are needed to make prompts"
        raise PipelineError(
            what, where=place, hint="byte-level BPE and SentencePiece tokenizers are supported"
        )
    return kept


def texts(pool: Sequence[str], lengths: Iterable[int], *, seed: Sequence[int]) -> Iterator[str]:
    """Yield one random prompt for each length in tokens.

    No two share more than their first words, so no prefix cache helps.
    """
    generator = np.random.default_rng(seed)
    known = np.array([f" {word}" for word in pool], dtype=object)
    for length in lengths:
        yield "".join(known[generator.integers(len(pool), size=length)].tolist())


def line(session: str, text: str, output: int) -> str:
    """Return one request in AIPerf's format ``single_turn``."""
    return json.dumps({"session_id": session, "text": text, "output_length": output}) + "\n"


def _tokenizer(place: str) -> Tokenizer:
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 - in an extra
    except ModuleNotFoundError as error:
        raise lacking("measuring a live endpoint", "live", error.name) from error
    path = Path(place) / "tokenizer.json"
    if not path.is_file():
        raise PipelineError(
            "no such tokenizer", where=str(path), hint="set model_paths in the cluster document"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise PipelineError(
            f"not a tokenizer: {error}", where=str(path), hint="download the model's files again"
        ) from error
    tokenizer.no_truncation()
    return tokenizer
