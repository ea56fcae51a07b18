"""Each house rule finds what breaks it, says where and what to use instead, and is silent about clean code."""

import pytest

from tests.house_rules import docstrings, edges, sentences, sizes, vocabulary
from tests.house_rules.__main__ import RULES, main
from tests.house_rules.source import read

MODULE = "pipeline/analyse/a.py"


def said(check, text, path=MODULE, **others):
    """What a check says of one file, and of others in its folder."""
    return [
        str(one)
        for one in check(
            {path: text} | {f"pipeline/analyse/{name}.py": other for name, other in others.items()}
        )
    ]


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        (MODULE, "x = 1\nclass _IsoWish: ...\n", "2: vocabulary: old word `_IsoWish`; use Options, options"),
        (MODULE, "def f(the_world): ...\n", "1: vocabulary: old word `the_world`; use Context, context"),
        (MODULE, 'f"{the.world}"\n', "1: vocabulary: old word `world`; use Context, context"),
        (
            MODULE,
            "def f():\n    global book\n",
            "2: vocabulary: old word `book`; use RecipeSet, recipe_set, loader",
        ),
        (MODULE, "from a.telling import b\n", "1: vocabulary: old word `telling`; use report, report_data"),
        ("pipeline/flow/telling.py", "", "1: vocabulary: old word `telling`; use report, report_data"),
        (
            "pipeline/cli/words.py",
            "",
            "1: vocabulary: old word `pipeline/cli/words.py`; use pipeline/cli/arguments.py",
        ),
        (MODULE, "class Seen: ...\n", "1: vocabulary: old word `Seen`; use Observation"),
        (MODULE, "# what is sound\n", "1: vocabulary: old word `sound`; use valid"),
        (MODULE, 's = "refused"\n', '1: vocabulary: old word `"refused"`; use "invalid"'),
        (MODULE, "x.withheld\n", "1: vocabulary: old word `withheld`; use not_evaluated"),
        (MODULE, "ONE_NIGHT = 1\n", "1: vocabulary: old word `ONE_NIGHT`; use run"),
        (MODULE, '"""It is\ntold to stop."""\n', "1: vocabulary: old word `is told to`; use what it does"),
        (MODULE, "# It is told\n# to stop.\n", "1: vocabulary: old word `is told to`; use what it does"),
        (MODULE, 's = f"{x} nobody"\n', "1: vocabulary: old word `nobody`; use no and a noun"),
        (
            "docs/a.md",
            "a\nThe house\n",
            "2: vocabulary: old word `The house`; use this repository",
        ),
        ("docs/a.md", "a\nof `World`.\n", "2: vocabulary: old word `World`; use Context, context"),
        (".github/workflows/a.yml", "name: a crew\n", "1: vocabulary: old word `crew`; use processes"),
        (
            "pipeline/render/templates/a.j2",
            "{{ world }}\n",
            "1: vocabulary: old word `world`; use Context, context",
        ),
        (
            "pipeline/render/templates/a.j2",
            '{{ "in words" }}\n',
            "1: vocabulary: old word `in words`; use as text",
        ),
    ],
)
def test_an_old_word_is_found_where_it_stands(path, text, found):
    (first, *more) = said(vocabulary.check, text, path)
    assert first.startswith(f"{path}:{found}")
    assert more == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            MODULE,
            '"""The world is told by books, seen together from one spot; a point is refused."""\nbookkeeping = 1\n',
        ),
        (MODULE, "seen, ran, nightly, unsound = 1, 2, 3, 4\n"),
        (MODULE, "for word in words: ...\n"),
        (MODULE, 'env["WORLD_SIZE"] = f"{[word for word in words]}"\nworld_size = 1\n'),
        (
            "docs/comparing.md",
            "The report of last night is told to the world.\n".replace("is told to", "reaches"),
        ),
        ("docs/glossary.md", "| word | formerly |\n|---|---|\n| context | `World`, corridor |\n"),
        ("pipeline/render/templates/a.j2", "{% for word in words %}{{ word }}{% endfor %}\n"),
        ("pipeline/schema/upgrades.py", 'STATUS = {"refused": "invalid"}\n'),
        ("pipeline/schema/result.py", 'def upgrade_1(old):\n    old["status"] = old.pop("withheld")\n'),
    ],
)
def test_prose_exemptions_and_words_that_only_look_alike_are_silent(path, text):
    assert said(vocabulary.check, text, path) == []


def test_a_glossary_may_name_old_words_in_that_column_only():
    table = "| word | formerly |\n|---|---|\n| corridor | flow |\n\ncorridor\n"
    assert [one.split(": ")[0] for one in said(vocabulary.check, table, "docs/glossary.md")] == [
        "docs/glossary.md:3",
        "docs/glossary.md:5",
    ]


def test_every_old_word_has_a_replacement():
    assert all(word.instead and word.paths for word in vocabulary.WORDS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('x == "no earlier run"\n', "compared with the sentence 'no earlier run'"),
        ('"the end of" not in x\n', "compared with the sentence 'the end of'"),
        ('x in ("ok", "not in plan")\n', "compared with the sentence 'not in plan'"),
        ('x.partition("; the end of ")\n', "`partition` with the sentence '; the end of '"),
        ('re.search("ended with (.*)", x)\n', "`search` with the sentence 'ended with (.*)'"),
        ('x.startswith(f"{a} ended with")\n', "`startswith` with the sentence ' ended with'"),
        ('NONE = "no run"\nx != NONE\n', "compared with the sentence 'no run'"),
        (
            'NONE: Final = "no run"\nALL = frozenset({NONE})\nx in ALL\n',
            "compared with the sentence 'no run'",
        ),
        ("from pipeline.analyse import NO as N\nx == N\n", "compared with the sentence 'not known'"),
        ("from pipeline.analyse import b\nx == b.NO\n", "compared with the sentence 'not known'"),
        ('change.reason == "noise"\n', "`change.reason` compared with 'noise'"),
        ('"(replay," not in kind\n', "`kind` compared with '(replay,'"),
        ("error.what.split(maxsplit=1)\n", "`split` in `error.what`"),
        ("re.search(mark, error.what)\n", "`search` in `error.what`"),
        ('match x:\n    case "not in plan": ...\n', "matched with the sentence 'not in plan'"),
    ],
)
def test_a_comparison_with_a_sentence_is_found(text, found):
    (one,) = said(
        sentences.check, text, b='NO = "not known"\n', __init__="from pipeline.analyse.b import NO\n"
    )
    assert one.startswith(f"{MODULE}:")
    assert one.endswith(f": sentences: {found}; use {sentences.INSTEAD}")


def test_a_comparison_is_reported_at_its_line():
    assert said(sentences.check, 'a = 1\n\nx == "no run"\n')[0].startswith(f"{MODULE}:3: ")


@pytest.mark.parametrize(
    "text",
    [
        'x == "ok" or x in ("a", "b, ") or kind == "runs"\n',
        'x.split(", ") + x.split("\\n")\n',
        'NONE = "no run"\nx = NONE\nraise Error("no such run" + x)\n',
        'change.reason is Reason.NEW or change.reason == ""\n',
        'Path("x").read_text() == y\n',
    ],
)
def test_codes_separators_and_making_of_text_are_silent(text):
    assert said(sentences.check, text) == []


def test_render_may_search_its_own_text_and_a_list_may_allow_what_others_write():
    assert said(sentences.check, 'x == "no run"\n', "pipeline/render/a.py") == []
    text = 're.search("model name", x)\nx == "no run"\n'
    assert len(said(sentences.check, text)) == 1
    assert len(list(sentences.check({MODULE: text}, allowed=()))) == 2


def test_constants_that_name_each_other_end():
    assert said(sentences.check, "A = (B,)\nB = (A,)\nx == A\n") == []


def test_a_long_file_of_flow_is_found_and_a_short_one_is_silent():
    path = "pipeline/flow/a.py"
    assert said(sizes.check_flow, "x = 1\n" * 75, path) == []
    assert said(sizes.check_flow, "x = 1\n" * 121, path) == [
        f"{path}:1: flow: 121 lines, at most 120; use the package of the rule, or two files",
        "pipeline/flow:1: flow: median file of 121 lines, at most 75; use shorter files",
    ]


def test_a_docstring_of_a_package_does_not_lower_the_median():
    init = {"pipeline/flow/__init__.py": '"""The order of stages."""\n'}
    (figure,) = [
        one
        for one in sizes.figures_of_flow(init | {"pipeline/flow/a.py": "x\n" * 80})
        if "median" in one.name
    ]
    assert figure.value == 80


BRANCHES = [
    "    if a: ...\n",
    "    x = 1 if a else 2\n",
    "    for b in a: ...\n",
    "    while a: ...\n",
    "    x = [b for b in a]\n",
    "    x = a and b and c\n",
    "    try: ...\n    except OSError: ...\n",
]


@pytest.mark.parametrize("branch", BRANCHES)
def test_seven_branch_points_of_a_function_of_flow_are_too_many(branch):
    path = "pipeline/flow/a.py"
    assert said(sizes.check_flow, "def f(a):\n" + branch * 6, path) == []
    assert said(sizes.check_flow, "def f(a):\n" + branch * 7, MODULE) == []
    what = "`f` has 7 branch points, at most 6"
    assert said(sizes.check_flow, "x = 1\ndef f(a):\n" + branch * 7, path) == [
        f"{path}:2: flow: {what}; use the package that decides it"
    ]


def test_branch_points_of_a_nested_function_are_its_own():
    inner = "    def g():\n" + "        if a: ...\n" * 3
    text = "def f(a):\n" + inner + "    if a: ...\n" * 2
    assert sizes.branch_list({"pipeline/flow/a.py": text}) == [
        "pipeline/flow/a.py:2: g has 3",
        "pipeline/flow/a.py:1: f has 2",
    ]


def test_a_long_function_is_found_and_one_of_60_lines_is_silent():
    short = "def s():\n    pass\n" * 20
    assert said(sizes.check_sizes, short + "def f():\n" + "    x = 1\n" * 59) == []
    (one,) = said(sizes.check_sizes, short + "def f():\n" + "    x = 1\n" * 60)
    assert one == f"{MODULE}:41: sizes: `f` has 61 lines, at most 60; use smaller functions"


def test_a_percentile_is_the_value_of_the_nearest_rank():
    assert [sizes.percentile(range(1, 11), share) for share in (0.5, 0.9, 0.99)] == [5, 9, 10]
    assert sizes.percentile([], 0.9) == 0


def test_percentiles_over_their_limits_name_the_worst():
    assert said(sizes.check_sizes, "x = 1\n" * 250) == []
    assert said(sizes.check_sizes, "x = 1\n" * 251) == [
        f"{MODULE}:1: sizes: lines a file, p90 is 251, at most 250; the file has 251; use smaller modules"
    ]
    (one,) = said(sizes.check_sizes, "def f():\n" + "    x = 1\n" * 30)
    assert "lines a function, p90 is 31, at most 30; f has 31" in one
    assert said(sizes.check_sizes, "#" * 110 + "\n") == []
    assert "columns a line, p99 is 111" in said(sizes.check_sizes, "#" * 111 + "\n")[0]


def test_one_long_file_of_eleven_is_no_violation():
    files = {f"pipeline/a{number}.py": "x = 1\n" for number in range(10)}
    assert list(sizes.check_sizes(files | {"pipeline/long.py": "x = 1\n" * 400})) == []


def test_a_private_function_used_once_is_reported():
    once = "def f():\n    _g()\n\ndef _g(): ...\n"
    assert said(sizes.check_private, once) == [
        f"{MODULE}:4: private: `_g` is used once; use its body where that reads better"
    ]
    assert said(sizes.check_private, once + "_g()\n") == []
    assert [one.value for one in sizes.figures_of_private({MODULE: once})] == [1, 250]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            'def f() -> int:\n    """The sum."""\n',
            "1: docstrings: `f` is described by 'The sum.'; use an imperative verb",
        ),
        ("x = 1\ndef f() -> int: ...\n", "2: docstrings: `f` has no docstring; use an imperative verb"),
        (
            'class A:\n    def f(self) -> A:\n        """Returns it."""\n',
            "2: docstrings: `f` is described by",
        ),
        (
            'class A:\n    @classmethod\n    def f(cls) -> A:\n        """An A."""\n',
            "3: docstrings: `f` is described by",
        ),
    ],
)
def test_a_docstring_without_a_verb_first_is_found(text, found):
    (one,) = said(docstrings.check, text)
    assert one.startswith(f"{MODULE}:{found}")


@pytest.mark.parametrize(
    "text",
    [
        'def f() -> int:\n    """Return the sum."""\n',
        "def f() -> None: ...\ndef _g() -> int: ...\ndef h(): ...\n",
        "class _A:\n    def f(self) -> int: ...\n",
        "class A(Protocol[T]):\n    def f(self) -> int: ...\n",
        "class A:\n    @property\n    def f(self) -> int: ...\n    def __len__(self) -> int: ...\n",
        "class A:\n    @functools.cached_property\n    def f(self) -> int: ...\n",
    ],
)
def test_verbs_properties_and_private_functions_are_silent(text):
    assert said(docstrings.check, text) == []


def test_verbs_of_the_command_line_need_no_docstring():
    assert said(docstrings.check, "def run() -> int: ...\n", "pipeline/cli/a.py") == []


@pytest.mark.parametrize(
    ("text", "allowed", "found"),
    [
        ("h = SystemHttp(proxy=False)\n", "pipeline/cli/a.py", "SystemHttp() outside of pipeline/cli/*"),
        ("c = clock.SystemClock()\n", "pipeline/cli/a.py", "SystemClock() outside of pipeline/cli/*"),
        ('env["GITHUB_OUTPUT"]\n', "pipeline/cli/a.py", '"GITHUB_OUTPUT" outside of pipeline/cli/*'),
        ('path.open("a", encoding="utf-8")\n', "pipeline/edge/actions.py", "open for append outside of"),
        ('open(path, mode="a")\n', "pipeline/edge/actions.py", "open for append outside of"),
        ("os.fsync(1)\n", "pipeline/edge/files.py", "os.fsync outside of pipeline/edge/files.py"),
        ('hashlib.file_digest(f, "sha256")\n', "pipeline/edge/files.py", "file_digest outside of"),
        ("os.replace(a, b)\n", "pipeline/edge/files.py", "os.replace outside of pipeline/edge/files.py"),
        (
            "(folder / name).replace(b)\n",
            "pipeline/edge/files.py",
            "Path.replace outside of pipeline/edge/files.py",
        ),
    ],
)
def test_an_edge_is_called_in_its_place_only(text, allowed, found):
    (one,) = said(edges.check, text)
    assert one.startswith(f"{MODULE}:1: edges: {found}")
    assert "; use the " in one
    assert said(edges.check, text, allowed) == []


@pytest.mark.parametrize(
    "text",
    [
        'x.replace("a", "b")\n',
        "replace(document, a=1)\ndataclasses.replace(document)\nmoment.replace(tzinfo=UTC)\n",
        'path.open("ab")\npath.open()\n',
        'raise Error(f"$GITHUB_OUTPUT {path}")\n',
        "def f(http: SystemHttp): ...\n",
    ],
)
def test_what_only_looks_like_an_edge_is_silent(text):
    assert said(edges.check, text) == []


def planted(tmp_path, text):
    target = tmp_path / MODULE
    target.parent.mkdir(parents=True)
    target.write_text(text)
    (tmp_path / "pipeline/a.bin").write_bytes(b"\xff")
    return ["--root", str(tmp_path)]


def test_a_violation_fails_and_is_counted(tmp_path, capsys):
    assert main(planted(tmp_path, "os.fsync(1)\n")) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{MODULE}:1: edges: os.fsync outside of")
    assert "  sizes: lines a function, most: 0 (at most 60)" in out
    assert out[-1] == (
        "violations: vocabulary 0, sentences 0, flow 0, sizes 0, docstrings 0, edges 1, private 0 (not gated)"
    )


def test_one_rule_can_be_asked_for(tmp_path, capsys):
    assert main([*planted(tmp_path, "os.fsync(1)\n"), "--rule", "vocabulary"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "violations: vocabulary 0"


def test_what_is_reported_only_fails_nothing_and_is_listed_on_request(tmp_path, capsys):
    words = planted(tmp_path, "def _g(): ...\n_g()\n")
    assert main(words) == 0
    assert "`_g` is used once" not in capsys.readouterr().out
    assert main([*words, "--verbose"]) == 0
    assert f"{MODULE}:1: private: `_g` is used once" in capsys.readouterr().out


def test_a_folder_without_the_pipeline_does_not_pass(tmp_path, capsys):
    assert main(["--root", str(tmp_path)]) == 2
    assert "no pipeline/ here" in capsys.readouterr().err


def test_only_text_files_are_read(tmp_path):
    planted(tmp_path, "")
    assert list(read(tmp_path)) == [MODULE]
    assert set(RULES) == {"vocabulary", "sentences", "flow", "sizes", "docstrings", "edges", "private"}
