"""Make recipes/tokenizers/tiny again: ``python -m tests.golden.tokenizer``.

No weights: a byte-level BPE tokenizer, trained on this repository's LICENSE and on numbers, and the few settings that Dynamo and load
clients read. All bytes are in its alphabet, so every text can be encoded. Dynamo's mocker generates ids from 1000 to 1999: each of them is
a token with text, since a client takes for the first and the last token the first and the last text that it sees.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "recipes" / "tokenizers" / "tiny"
VOCABULARY = 4096  # more than there is to merge
START, END, PAD = "<|start|>", "<|end|>", "<|pad|>"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def files() -> dict[str, str]:
    """Content of every file by its name."""
    tokenizer = _trained()
    ids = {token: tokenizer.token_to_id(token) for token in (START, END, PAD)}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 131072,
        "bos_token_id": ids[START],
        "eos_token_id": ids[END],
        "torch_dtype": "bfloat16",
    }
    generation = {"bos_token_id": ids[START], "eos_token_id": ids[END], "pad_token_id": ids[PAD]}
    names = {
        "bos_token": START,
        "eos_token": END,
        "pad_token": PAD,
        "chat_template": TEMPLATE,
        "model_max_length": 131072,
    }
    return {
        "config.json": json.dumps(config, indent=1) + "\n",
        "generation_config.json": json.dumps(generation, indent=1) + "\n",
        "tokenizer.json": tokenizer.to_str(pretty=False) + "\n",
        "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}, indent=1)
        + "\n",
    }


def _trained() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, END, PAD],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    numbers = (f" {number}" for number in range(1000))
    tokenizer.train_from_iterator([*(ROOT / "LICENSE").read_text("utf-8").splitlines(), *numbers], trainer)
    return tokenizer


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, "utf-8")
