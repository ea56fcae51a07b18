"""Prompts as long as they were to be, by the tokenizer that will count them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pipeline.errors import PipelineError
from pipeline.measure import prompts
from tests.fakes.launch_specs import MODEL
from tests.golden.tokenizer import files

LENGTHS = [1, 2, 64, 1000, 8192]


def sentencepiece(folder: Path, words: Iterable[str]) -> str:
    """A tokenizer that knows these words, and letters, written as SentencePiece writes them."""
    pieces = [f"▁{word}" for word in words]
    letters = sorted({letter for piece in pieces for letter in piece})
    tokenizer = Tokenizer(
        models.Unigram(
            [("<unk>", 0.0), *((one, -5.0) for one in letters), *((one, -1.0) for one in pieces)], unk_id=0
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder)


def counted(place: str, texts: Iterable[str]) -> list[int]:
    tokenizer = Tokenizer.from_file(f"{place}/tokenizer.json")
    return [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]


def test_prompts_have_the_length_that_was_asked_for_to_the_token(tmp_path):
    places = [
        str(MODEL),
        sentencepiece(tmp_path, (f"{a}{b}{c}" for a in "abcdef" for b in "aeiou" for c in "klmnop")),
    ]
    for place in places:
        assert counted(place, prompts.texts(prompts.words(place), LENGTHS, seed=(1, 2))) == LENGTHS


def test_words_that_fall_apart_are_left_out(tmp_path):
    tokenizer = json.loads((MODEL / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["Ġaardvark"] = max(vocabulary.values()) + 1  # a token that no merge makes
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert counted(str(tmp_path), [" aardvark"]) != [1]
    assert prompts.words(str(tmp_path)) == prompts.words(str(MODEL))


def test_a_word_whose_space_is_a_token_of_its_own_is_left_out(tmp_path):
    known = [f"{a}{b}{c}" for a in "abcdef" for b in "aeiou" for c in "klmnop"]
    place = sentencepiece(tmp_path, known)
    path = tmp_path / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"] += [["▁able", -9.0], ["able", -1.0]]  # likelier as ▁ and able
    path.write_text(json.dumps(tokenizer))
    assert counted(place, [" able", f" {known[0]} able"]) == [2, 3]
    assert prompts.words(place) == known


def test_a_tokenizer_that_cuts_long_prompts_off_is_read_whole(tmp_path):
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.enable_truncation(64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert prompts.words(str(tmp_path)) == prompts.words(str(MODEL))


def test_prompts_are_the_same_again_by_their_seed_and_no_two_begin_alike():
    pool = prompts.words(str(MODEL))
    first, again, other = (
        list(prompts.texts(pool, [50] * 200, seed=seed)) for seed in ((7, 0), (7, 0), (7, 1))
    )
    assert first == again
    assert len({text[:40] for text in first + other}) == 400


def test_a_request_is_a_line_that_aiperf_reads():
    assert json.loads(prompts.line("c4-1", ' "a"\n', 9)) == {
        "session_id": "c4-1",
        "text": ' "a"\n',
        "output_length": 9,
    }


@pytest.mark.parametrize(("content", "said"), [(None, "no such tokenizer"), ("{}", "not a tokenizer")])
def test_what_is_no_tokenizer_is_refused_by_its_file(tmp_path, content, said):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(PipelineError, match=said) as caught:
        prompts.words(str(tmp_path))
    assert caught.value.where == str(tmp_path / "tokenizer.json")


def test_a_tokenizer_with_too_few_words_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="only 2 plain words are one token each"):
        prompts.words(sentencepiece(tmp_path, ["north", "south"]))


def test_the_tiny_tokenizer_is_made_as_it_says_and_every_token_of_the_mocker_has_text():
    assert {name: (MODEL / name).read_text("utf-8") for name in files()} == files()
    tiny = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    assert [one for one in range(1000, 2000) if not tiny.decode([one]).strip("\ufffd")] == []
