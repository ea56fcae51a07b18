"""What the processes of a deployment are started with."""

from __future__ import annotations

import csv
import doctest
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from pipeline.deployment import layout
from pipeline.launch import describe, dynamo, options
from pipeline.launch.addresses import Addresses
from pipeline.schema.recipe import Pool, Recipe
from tests.golden.regenerate import commands, recipe_set

GOLDEN = commands()
RECIPES = recipe_set().recipes
LOW = RECIPES["deepseek-v4-pro-fp4.gb200-nvl72.8k1k.1p1d-dep8-tp8"]
PACKED = LOW.model_copy(
    update={
        "prefill": Pool(workers=4, tp=1, pp=1, dp=2, ep=2),
        "decode": Pool(workers=2, tp=2, pp=1, dp=1, ep=1),
    }
)


def started(recipe: Recipe, mode: str = "per-gpu") -> tuple[dynamo.Command, ...]:
    recipe = recipe.model_copy(update={"dp_launch": mode})
    return dynamo.commands(
        recipe,
        served_name="org/LLM",
        model_path="/model",
        addresses=Addresses(layout.place(recipe, 4)),
        vllm=None,
    )


def value(command: dynamo.Command, option: str) -> str:
    return command.argv[command.argv.index(option) + 1]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_commands_are_as_reviewed(path: Path) -> None:
    assert GOLDEN[path] == path.read_text("utf-8"), "python -m tests.golden.regenerate, then read the diff"


def test_no_golden_file_is_left_over() -> None:
    assert set(next(iter(GOLDEN)).parent.iterdir()) == set(GOLDEN)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_deployment_is_one_page(path: Path) -> None:
    assert GOLDEN[path].count("\n") <= 60


def test_data_parallel_ranks_of_a_process_each() -> None:
    crew = [one for one in started(LOW) if one.role == "prefill"]
    assert [value(one, "--data-parallel-rank") for one in crew] == list("01234567")
    assert [one.env["CUDA_VISIBLE_DEVICES"] for one in crew] == list("01230123")
    assert {value(one, "--data-parallel-address") for one in crew} == {"n1"}
    assert not any("--data-parallel-hybrid-lb" in one.argv for one in crew)


def test_data_parallel_ranks_of_a_tray_in_one_process() -> None:
    crew = [one for one in started(LOW, "per-tray") if one.role == "prefill"]
    options = (
        "--data-parallel-size-local",
        "--data-parallel-start-rank",
        "--data-parallel-address",
    )
    assert [tuple(value(one, option) for option in options) for one in crew] == [
        ("4", "0", "n1"),
        ("4", "4", "n1"),
    ]
    assert {one.env["CUDA_VISIBLE_DEVICES"] for one in crew} == {"0,1,2,3"}
    assert all(
        "--data-parallel-hybrid-lb" in one.argv and "--data-parallel-rank" not in one.argv for one in crew
    )


@pytest.mark.parametrize("mode", ["per-gpu", "per-tray"])
def test_tensor_parallelism_over_two_trays_has_one_head(mode: str) -> None:
    first, second = (one for one in started(LOW, mode) if one.role == "decode")
    assert [
        (value(one, "--master-addr"), value(one, "--nnodes"), value(one, "--node-rank"))
        for one in (first, second)
    ] == [
        ("n3", "2", "0"),
        ("n3", "2", "1"),
    ]
    assert ("--headless" in first.argv, "--headless" in second.argv) == (False, True)
    assert not {"--enable-expert-parallel", "--data-parallel-size"} & {*first.argv, *second.argv}


def test_tep4_is_tensor_parallelism_with_experts_spread() -> None:
    tep4 = next(
        one
        for one in started(RECIPES["deepseek-v4-pro-fp4.gb300-nvl72.8k1k.1p17d-tep4-tp4"])
        if one.role == "prefill"
    )
    assert value(tep4, "--tensor-parallel-size") == "4"
    assert "--enable-expert-parallel" in tep4.argv
    assert not any(argument.startswith(("--data-parallel", "--nnodes")) for argument in tep4.argv)


def test_ports_are_block_wise_unset_for_a_worker_on_several_trays() -> None:
    assert {one.role: "VLLM_PORT" in one.env for one in started(LOW)} == {
        "nats": False,
        "etcd": False,
        "prefill": False,
        "decode": False,
        "frontend": False,
    }
    assert [one.env["VLLM_PORT"] for one in started(PACKED)[2:6]] == ["20000", "20050", "20100", "20150"]


@pytest.mark.parametrize("mode", ["per-gpu", "per-tray"])
@pytest.mark.parametrize(
    "recipe", [*RECIPES.values(), PACKED], ids=lambda recipe: recipe.shape.replace("/", "-")
)
def test_no_two_processes_of_a_tray_listen_on_one_port(recipe: Recipe, mode: str) -> None:
    taken: Counter[tuple[str, int]] = Counter()
    processes = layout.place(recipe.model_copy(update={"dp_launch": mode}), 4).processes
    for process, one in zip(processes, started(recipe, mode)[2:-1], strict=True):
        own = [
            int(one.env[name])
            for name in ("DYN_SYSTEM_PORT", "DYN_VLLM_KV_EVENT_PORT", "VLLM_PORT")
            if name in one.env
        ]
        side = int(one.env["VLLM_NIXL_SIDE_CHANNEL_PORT"])
        own += [side + rank for rank in range(process.dp_rank, process.dp_rank + process.dp_ranks)]
        own += (
            [int(value(one, "--data-parallel-rpc-port"))]
            if process.rank == 0 and "--data-parallel-size" in one.argv
            else []
        )
        taken.update((one.tray, port) for port in own)
    assert max(taken.values()) == 1


def test_services_stand_on_the_infra_tray_and_the_frontend_on_the_first_worker_tray() -> None:
    assert [(one.role, one.tray) for one in started(LOW) if one.role in ("nats", "etcd", "frontend")] == [
        ("nats", "n0"),
        ("etcd", "n0"),
        ("frontend", "n1"),
    ]
    worker = started(LOW)[2].env
    assert (worker["NATS_SERVER"], worker["ETCD_ENDPOINTS"], worker["HEAD_NODE_IP"]) == (
        "nats://n0:4222",
        "http://n0:2379",
        "n1",
    )


@pytest.mark.parametrize("mode", ["per-gpu", "per-tray"])
@pytest.mark.parametrize(
    "recipe", [*RECIPES.values(), PACKED], ids=lambda recipe: recipe.shape.replace("/", "-")
)
def test_the_page_loses_nothing(recipe: Recipe, mode: str) -> None:
    listed = started(recipe, mode)
    assert unfolded(dynamo.describe(listed)) == [
        (one.name, one.tray, list(one.argv), one.env) for one in listed
    ]


def test_examples_in_the_docstrings_hold() -> None:
    for module in (describe, options):
        assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=1)


# --- the page read back -------------------------------------------------------------------------------------------------------------

Plain = tuple[str, str, list[str], dict[str, str]]


def unfolded(page: str) -> list[Plain]:
    """The commands of a page."""
    found: list[Plain] = []
    shared: dict[str, list[str]] = {}
    for line in re.sub(r"\n {4,}", " ", page).splitlines():
        head, _, rest = line.strip().partition(":")
        words = shlex.split(rest, posix=False)
        if head in ("argv", "env"):
            shared[head] = words
        elif line.startswith("  "):
            found += worker(head, shared["argv"], [*shared["env"], *words])
        elif " on " in head:
            found += worker(
                head,
                [word for word in words if not is_variable(word)],
                [word for word in words if is_variable(word)],
            )
    return found


def is_variable(word: str) -> bool:
    return re.match(r"[A-Z0-9_]+=", word) is not None


def worker(head: str, argv: list[str], own: list[str]) -> list[Plain]:
    """Every process of one worker."""
    name, trays = head.split(" on ")
    base, _, ranks = name.partition("-{")
    numbers = spread("{" + ranks, 0) if ranks else [""]
    count = len(numbers)
    filled = fill(argv, [word for word in own if not is_variable(word)])
    variables = [word.split("=", 1) for word in own if is_variable(word)]
    return [
        (
            f"{base}-{numbers[index]}".removesuffix("-"),
            spread(trays, count)[index],
            [plain for word in filled if (plain := bare(spread(word, count)[index]))],
            {key: bare(spread(text, count)[index]) for key, text in variables},
        )
        for index in range(count)
    ]


def fill(argv: list[str], own: list[str]) -> list[str]:
    """Shared arguments with a worker's own in their gaps."""
    mine: dict[str, list[str]] = {}
    for word in own:
        mine |= {word: []} if word.startswith("--") else {(last := [*mine][-1]): [*mine[last], word]}
    filled: list[str] = []
    for word in argv:
        if word == "...":
            filled += mine[filled[-1]]
        else:
            filled.append(word)
    return filled


def bare(word: str) -> str:
    return word[1:-1] if word.startswith("'") else word


def spread(word: str, count: int) -> list[str]:
    """A word in braces as one value for each process."""
    if counted := re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*?)(?:x(\d+))?", word):
        return [
            f"{counted[1]}{number}{counted[4]}" for number in range(int(counted[2]), int(counted[3]) + 1)
        ] * int(counted[5] or 1)
    match = re.fullmatch(r"\{(.*)\}(?:x(\d+))?", word)
    if match is None:
        return [word] * count
    inner, times = match[1], int(match[2] or 1)
    values: list[str] = []
    for item in next(csv.reader([inner])):
        text, _, repeat = item.partition("*")
        values += [text] * int(repeat or 1)
    return values * times
