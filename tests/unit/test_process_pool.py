"""Children of a pool: so many at a time, in order, each with its exit code and the end of its log; all ended with the pool."""

from __future__ import annotations

import signal
import sys

from pipeline.edge.clock import SystemClock
from pipeline.edge.process_pool import Exit, ProcessPool, Task
from pipeline.edge.shell import Shell


def task(name: str, program: str, **marks: str) -> Task:
    return Task(name, (sys.executable, "-c", program), marks)


def pool(tasks, tmp_path, size=1):
    return ProcessPool(tasks, size, tmp_path / "logs", 5.0, Shell(), SystemClock())


def test_each_exit_comes_with_its_code_and_the_end_of_its_log(tmp_path):
    program = "import os; print('x' * 3000 + os.environ['MARK']); raise SystemExit(3)"
    with pool([task("a", program, MARK="end")], tmp_path) as children:
        (ended,) = [one for exits in children.exits() for one in exits]
    assert (ended.name, ended.code, len(ended.last_output)) == ("a", 3, 1999)
    assert ended.last_output.endswith("xend")


def test_tasks_start_in_order_and_never_more_than_the_size_run(tmp_path):
    tasks = [task(name, "pass") for name in "abc"]
    most, order = 0, []
    with pool(tasks, tmp_path) as children:
        for exits in children.exits():
            most = max(most, len(children.running) + len(exits))
            order += [one.name for one in exits]
    assert (most, order) == (1, ["a", "b", "c"])


def test_a_child_killed_by_a_signal_has_a_negative_code(tmp_path):
    with pool([task("a", "import os; os.kill(os.getpid(), 9)")], tmp_path) as children:
        assert [one for exits in children.exits() for one in exits] == [Exit("a", -9, "")]


def test_children_that_still_run_are_ended_with_the_pool(tmp_path):
    with pool([task("a", "import time; time.sleep(600)")], tmp_path) as children:
        assert next(children.exits()) == []
        child = children.running["a"]
        assert child.poll() is None
    assert child.poll() == -signal.SIGTERM
