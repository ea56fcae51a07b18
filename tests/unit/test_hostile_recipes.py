"""No file of a stranger ends, hangs or floods a check of recipes: each gets problems at its place, few enough to read."""

import os
from pathlib import Path

import pytest

from pipeline import load
from pipeline.errors import Problem, RecipeError
from pipeline.flow import recipes
from pipeline.flow.context import texts
from pipeline.load import limits, nodes
from tests.fakes import recipe_set as small
from tests.fakes.contexts import context


def examine(**changed: str) -> list[Problem]:
    found = load.examine(small.texts(**changed))[1]
    assert len(found) <= limits.MAX_FINDINGS_IN_ALL + 1
    assert sum(len(str(problem)) for problem in found) < 1_000_000
    return [problem for problem in found if problem.severity == "error"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "a: " + "[" * 330 + "]" * 330,
        "\n".join(" " * level + "a:" for level in range(500)),
        "notes:\n" + "".join(" " * level + "- \n" for level in range(200)),
        "- " * 100_000,
        "? " * 100_000,
    ],
)
def test_yaml_of_many_levels_is_a_problem_at_its_line(text):
    found = examine(recipe=text)
    assert found
    assert found[0].path == small.PATH
    node, problems = nodes.compose("a.yaml", text)
    assert node is None
    assert len(problems) == 1


def test_the_level_beyond_the_limit_is_named_with_its_place():
    deep = "".join(" " * level + "a:\n" for level in range(limits.MAX_LEVELS + 1))
    _, problems = nodes.compose("a.yaml", f"{deep}{' ' * 40}b: 1\n")
    assert [(one.line, one.what) for one in problems] == [
        (33, f"the file has more than {limits.MAX_LEVELS} levels")
    ]


@pytest.mark.parametrize("levels", [limits.MAX_LEVELS - 1, 2])
def test_flags_of_some_levels_stay_allowed(levels):
    value = "{a: " * (levels - 3) + "1" + "}" * (levels - 3)
    flags = f"  flags: {{attention-config: {value}}}\n" if levels > 3 else ""
    assert not examine(recipe=small.RECIPE.replace("  workers: 1\n", f"  workers: 1\n{flags}", 1))


def test_a_file_above_the_size_limit_is_one_problem():
    (problem,) = examine(recipe=small.RECIPE + "#" * limits.MAX_BYTES)
    assert problem.path == small.PATH
    assert "1 MiB" in problem.what


@pytest.mark.parametrize("count", [1_000, 90_000, 400_000])
def test_many_unknown_keys_are_the_first_problems_and_a_count(count):
    text = small.RECIPE + "".join(f"k{number}: 1\n" for number in range(count))
    found = examine(recipe=text[: limits.MAX_BYTES - 100].rpartition("\n")[0] + "\n")
    assert 0 < len(found) <= limits.MAX_FINDINGS + 1
    if count == 1_000:
        assert found[-1].what == f"… and {count - limits.MAX_FINDINGS} more problems"


def test_many_unknown_keys_of_a_pool_are_few_problems():
    pool = "".join(f"  k{number}: 1\n" for number in range(3_000))
    assert (
        len(examine(recipe=small.RECIPE.replace("decode:\n", f"decode:\n{pool}"))) <= limits.MAX_FINDINGS + 1
    )


def doubled(levels: int, width: int = 2) -> dict[str, str]:
    chain = {
        f"_p{number}.yaml": f"extends: [{', '.join([f'_p{number + 1}'] * width)}]\n"
        for number in range(levels)
    }
    return {
        **small.texts(recipe=f"extends: [_p0]\n{small.RECIPE}"),
        **chain,
        f"_p{levels}.yaml": "infra_trays: 1\n",
    }


@pytest.mark.parametrize("files", [doubled(40), doubled(1_500, 1), doubled(12, 20)])
def test_extends_without_end_is_a_problem(files):
    found = [one for one in load.examine(files)[1] if one.severity == "error"]
    assert 0 < len(found) <= limits.MAX_FINDINGS + 1
    assert any("`extends`" in one.what or "partials" in one.what for one in found)


def test_a_chain_of_partials_within_the_limit_is_read():
    recipe_set, problems = load.examine(doubled(limits.MAX_EXTENDS - 2, 1))
    assert problems == []
    assert list(recipe_set.recipes) == [small.ID]


def test_a_recipe_that_inherits_more_values_than_any_recipe_has_is_one_problem():
    flags = ", ".join(f"a{number}: 1" for number in range(limits.MAX_MERGED))
    (problem,) = examine(base=small.BASE + f"notes: x\nsimulate: {{{flags}}}\n")
    assert str(limits.MAX_MERGED) in problem.what


@pytest.mark.parametrize(
    "value",
    [
        "9" * 400,
        "9" * 400 + ".0",
        "-" + "9" * 400 + ".5",
        "0." + "0" * 400 + "1",
        "999999999999999999",
        "'" + "[" * 100_000 + "'",
        "'{" + '"a":{' * 50_000 + "'",
        "'[1e999]'",
        "'[" + "9" * 5_000 + "]'",
    ],
)
@pytest.mark.parametrize(
    "flag",
    ["max-num-seqs", "gpu-memory-utilization", "attention-config", "max-model-len", "offload-group-size"],
)
def test_no_value_of_a_flag_ends_a_check(flag, value, tmp_path):
    old = "flags: {block-size: 256, max-num-seqs: 16, max-num-batched-tokens: 16384, gpu-memory-utilization: 0.9,"
    assert old in small.BASE
    flags = {
        "block-size": "256",
        "max-num-seqs": "16",
        "max-num-batched-tokens": "16384",
        "gpu-memory-utilization": "0.9",
    }
    new = "flags: {" + ", ".join(f"{name}: {text}" for name, text in {**flags, flag: value}.items()) + ","
    found = validate(tmp_path, small.texts(base=small.BASE.replace(old, new, 1)))
    assert sum(len(str(problem)) for problem in found) < 10_000


@pytest.mark.parametrize("conc", ["999999999999999999", "2147483648", "0"])
def test_a_concurrency_that_no_client_can_hold_is_refused(conc):
    (problem,) = examine(recipe=small.RECIPE.replace("[4, 8]", f"[{conc}]"))
    assert problem.what.startswith("`conc.0`")


def test_a_ladder_longer_than_any_plan_is_refused():
    (problem,) = examine(recipe=small.RECIPE.replace("[4, 8]", str(list(range(1, 1_001)))))
    assert problem.what.startswith("`conc`")


@pytest.mark.parametrize("kv", ["{}", "{fp4-indexer: 5031.0}"])
def test_an_llm_without_the_bytes_of_a_token_ends_no_check(kv, tmp_path):
    llm = small.LLM.replace("{fp8-indexer: 5511.0, fp4-indexer: 5031.0}", kv)
    validate(tmp_path, small.texts(llm=llm))
    assert recipes.read_recipe_set(context(tmp_path)).recipes.keys() == {small.ID}


def validate(root: Path, files: dict[str, str]) -> list[Problem]:
    for name, text in {"timing/small.json": small.timing().to_json(), **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return recipes.validate(context(root), [])


def fifo(path: Path) -> None:
    os.mkfifo(path)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def link(path: Path) -> None:
    path.symlink_to("/proc/self/environ")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [Path.mkdir, fifo, dangling, link, device])
@pytest.mark.parametrize("name", ["extra.yaml", "_part.yaml", "extra.YML"])
def test_what_is_no_regular_file_is_a_problem_and_neither_read_nor_passed_over(make, name, tmp_path):
    validate(tmp_path, small.texts())
    make(tmp_path / small.FOLDER / name)
    found = recipes.validate(context(tmp_path), [])
    assert [Path(one.path).name for one in found if one.path[-9:] != "here.yaml"] == [name]
    with pytest.raises(RecipeError):
        recipes.read_recipe_set(context(tmp_path))


def test_a_link_to_a_folder_of_recipes_is_a_problem(tmp_path):
    validate(tmp_path / "recipes", small.texts())
    (tmp_path / "other").mkdir()
    (tmp_path / "recipes" / "linked").symlink_to(tmp_path / "other")
    found = recipes.validate(context(tmp_path / "recipes"), [])
    (problem,) = [one for one in found if one.path[-9:] != "here.yaml"]  # which lacks its timing
    assert problem.path.endswith("linked")


def test_a_file_name_that_is_no_text_is_a_problem_that_can_be_printed(tmp_path):
    validate(tmp_path, small.texts())
    Path(os.fsdecode(os.fsencode(tmp_path / small.FOLDER) + b"/a\xff.yaml")).write_text(small.RECIPE)
    found = recipes.validate(context(tmp_path), [])
    assert any("xff" in problem.path for problem in found)
    assert "".join(map(str, found)).encode("utf-8")


def test_a_folder_of_too_many_files_is_refused(tmp_path):
    for number in range(limits.MAX_FILES + 1):
        (tmp_path / f"{number}.yaml").touch()
    with pytest.raises(RecipeError) as caught:
        texts(tmp_path)
    assert len(caught.value.problems) == 1


def test_names_with_commands_for_a_terminal_or_a_runner_are_written_out():
    text = small.RECIPE + '"a\\e[31m\\n::error::b ##[add-mask]c": 1\n'
    (problem,) = examine(recipe=text)
    shown = str(problem)
    assert "\x1b" not in shown
    assert "\n" not in shown
    assert "##[" not in shown


def test_problems_of_many_files_are_the_first_and_a_count():
    bad = "".join(f"k{number}: 1\n" for number in range(150))
    files = {f"a/b/c/{number}.yaml": bad for number in range(100)}
    found = load.examine({**small.texts(), **files})[1]
    assert len(found) == limits.MAX_FINDINGS_IN_ALL + 1
