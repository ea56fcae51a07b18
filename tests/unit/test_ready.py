"""When a deployment may be measured."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import LaunchError
from pipeline.launch import ready
from pipeline.schema.endpoint import Cause, DeploymentChange
from tests.fakes.clock import FakeClock
from tests.fakes.dynamo import FakeDynamo

EXPECTED = ready.Expected("http://here:1", "llm", {"prefill": 1, "decode": 2}, ("http://here:2/metrics",))


def wait(
    dynamo: FakeDynamo, *, exits: list[DeploymentChange] | None = None, limit_s: float = 5, expected=EXPECTED
) -> FakeClock:
    clock = FakeClock()
    ready.wait(expected, ready.Watch(dynamo, clock, lambda: exits or [], limit_s))
    return clock


def exit_of(process: str, code: int) -> DeploymentChange:
    return DeploymentChange(Cause.EXITED, process, code)


def dynamo(**changes: object) -> FakeDynamo:
    return FakeDynamo("llm", **{"instances": {"prefill": 1, "backend": 2}} | changes)


def test_a_deployment_that_answers_is_ready_without_waiting():
    asked = dynamo()
    assert wait(asked).monotonic() == 0
    assert asked.completions == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"instances": {"prefill": 1, "backend": 1}}, "1 of 2 decode instances"),
        ({"instances": {"prefill": 1, "backend": 3}}, "3 of 2 decode instances"),
        ({"instances": {"prefill": 0, "backend": 2}}, "0 of 1 prefill instances"),
        ({"listed": False}, "the frontend lists nothing, not llm"),
        ({"status": 503}, "HTTP 503: no instances"),
        ({"cut": 1}, "a completion of 4 tokens was answered with 3"),
        ({"skips_prefill": True}, "served without the prefill workers"),
    ],
)
def test_what_is_missing_at_the_limit_is_said(changes, why):
    with pytest.raises(LaunchError, match=why) as caught:
        wait(dynamo(**changes))
    assert "not ready after 5 s" in caught.value.what


def test_waiting_ends_as_soon_as_a_process_has_ended():
    with pytest.raises(LaunchError, match="decode-0 exited with 1") as caught:
        wait(dynamo(listed=False), exits=[exit_of("decode-0", 1), exit_of("frontend", 0)])
    assert caught.value.hint == "also ended: frontend"


def test_a_process_that_ends_with_the_last_step_is_not_called_ready():
    with pytest.raises(LaunchError, match="decode-0 exited"):
        wait(dynamo(), exits=[exit_of("decode-0", 1)])


def test_a_worker_that_does_not_generate_yet_is_not_counted():
    class Half(FakeDynamo):
        def health(self):
            status, text = super().health()
            listed = json.loads(text)["instances"]
            kept = [
                one for one in listed if (one["instance_id"], one["endpoint"]) != ("backend1", "generate")
            ]
            return status, json.dumps({"instances": kept})

    with pytest.raises(LaunchError, match="1 of 2 decode instances"):
        wait(Half("llm", {"prefill": 1, "backend": 2}))


def test_a_frontend_that_lists_another_llm_says_which():
    class Other(FakeDynamo):
        def models(self):
            return 200, '{"data": [{"id": "a"}, {"id": "b"}]}'

    with pytest.raises(LaunchError, match="the frontend lists a, b, not llm"):
        wait(Other("llm", {"prefill": 1, "backend": 2}))


def test_an_instance_that_leaves_as_soon_as_it_has_answered_is_waited_for_again():
    """Else the deployment without it would be what the measurement is held against."""

    class Leaving(FakeDynamo):
        def complete(self, prompt):
            answer = super().complete(prompt)
            self.instances["backend"] = 1
            return answer

    with pytest.raises(LaunchError, match="1 of 2 decode instances"):
        wait(Leaving("llm", {"prefill": 1, "backend": 2}))


def test_an_answer_that_is_not_json_is_waited_for_not_fallen_over():
    class Starting(FakeDynamo):
        def health(self):
            return 200, "starting"

    with pytest.raises(LaunchError, match="the answer is not JSON"):
        wait(Starting("llm", {}))


def test_requests_of_other_endpoints_of_a_worker_do_not_count():
    asked = dynamo()
    asked.completions = 5
    assert ready.served("http://here:2/metrics", asked) == 5
