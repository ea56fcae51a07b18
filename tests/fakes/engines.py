"""Small engine versions for tests that need an option of a certain form."""

from __future__ import annotations

from pipeline.schema.engine import Engine, EngineChoice, EngineOption

OPTIONS = {
    "enable-prefix-caching": EngineOption(type="bool", nargs=0, negatable=True),
    "async-scheduling": EngineOption(type="bool", nargs=0, negatable=True, has_default=True, default=True),
    "numa-bind": EngineOption(type="bool", nargs=0, negatable=True, has_default=True, default=False),
    "headless": EngineOption(type="bool", nargs=0),
    "cudagraph-capture-sizes": EngineOption(type="int", nargs="+"),
    "max-num-seqs": EngineOption(type="int"),
    "hf-overrides": EngineOption(type="json"),
    "kv-transfer-config": EngineOption(type="json"),
}


def vllm(version: str = "0.20.0", **options: EngineOption) -> Engine:
    """A vLLM with a few options; keywords add others, ``_`` for ``-``."""
    added = {name.replace("_", "-"): option for name, option in options.items()}
    return Engine(
        engine="vllm",
        version=version,
        wheel="vllm.whl",
        wheel_sha256="0" * 64,
        licence="Apache-2.0",
        options={**OPTIONS, **added},
    )


def choice(engine: Engine) -> EngineChoice:
    """An engine as the catalogue's answer for its own version."""
    return EngineChoice(engine=engine, asked=engine.version, exact=True)
