"""The turn protocol: what is stored and asked, whatever fails and whoever comes at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event, Thread
from time import sleep

import pytest

from api import ANA, PROMPT, Answer, Api, Applicant
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal

pytestmark = pytest.mark.both_databases

ECHO = Behaviour(echo=True)


def at_once(count: int, call: Callable[[int], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def wait_for_request(rehearsal: Rehearsal, number: int) -> None:
    """Wait until the model has been asked so many times."""
    for _ in range(3000):
        if len(rehearsal.requests) >= number:
            return
        sleep(0.01)
    raise AssertionError("the model was not asked")


@pytest.fixture
def started(api: Api) -> Api:
    api.start()
    return api


def test_the_model_reads_prompt_interviewer_and_applicant_by_their_roles(
    started: Api, rehearsal: Rehearsal
) -> None:
    started.reply("I am Ana.")
    started.reply("The ward.")
    assert rehearsal.requests[-1] == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": PROMPT},
            {"role": "assistant", "content": SCRIPT[0]},
            {"role": "user", "content": "I am Ana."},
            {"role": "assistant", "content": SCRIPT[1]},
            {"role": "user", "content": "The ward."},
        ],
    }


def test_every_turn_begins_with_the_whole_turn_before(started: Api, rehearsal: Rehearsal) -> None:
    started.reply("One")
    rehearsal.misbehave("refused_key")
    started.reply("Two")
    started.reply("Two and a half")
    started.reply("Three")
    answered = [rehearsal.requests[i]["messages"] for i in (0, 1, 3, 4)]
    for earlier, later in pairwise(answered):
        assert later[: len(earlier)] == earlier


class TestStart:
    def test_a_failed_start_leaves_nothing_and_can_be_tried_again(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off")
        assert api.start().status == 500
        assert api.messages() == []
        assert api.status() == "uninitiated"
        assert api.get("/get_applicants/job-1").body["applicants"] == []
        assert api.start().status == 200

    @pytest.mark.parametrize("prompts", [1, 20])
    def test_of_many_starts_at_once_exactly_one_succeeds(
        self, api: Api, rehearsal: Rehearsal, prompts: int
    ) -> None:
        rehearsal.default = Behaviour(delay=0.2)
        answers = at_once(20, lambda i: api.start(prompt=f"Prompt {i % prompts}"))
        assert sorted(answer.status for answer in answers) == [200] + [400] * 19
        refused = [answer.body for answer in answers if answer.status == 400]
        assert refused == [{"message": "Interview already started or exists for this user"}] * 19
        assert len(api.messages()) == 2
        # Equal ones share one call.
        assert len(rehearsal.requests) == prompts

    def test_a_failure_is_shared_like_an_answer(self, api: Api, rehearsal: Rehearsal) -> None:
        rehearsal.misbehave(Behaviour(delay=0.3, finish_reason="length"))
        assert [answer.status for answer in at_once(5, lambda _: api.start())] == [500] * 5
        assert len(rehearsal.requests) == 1

    def test_the_same_key_gets_the_first_opening_again(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(delay=0.2)
        answers = at_once(5, lambda _: api.start(key="k"))
        answers.append(api.start(key="k"))
        api.reply("Hello")
        answers.append(api.start(key="k"))
        assert {(answer.status, answer.body["system"]) for answer in answers} == {(200, SCRIPT[0])}
        assert len(rehearsal.requests) == 2
        assert api.start(key="another").status == 400
        assert api.start().status == 400

    def test_the_same_key_with_another_prompt_is_refused(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        api.start(key="k")
        assert api.start(key="k", prompt="Another").status == 422
        assert api.reply("Hello", key="k").status == 422
        assert api.said() == [PROMPT, SCRIPT[0]]

    def test_the_same_key_with_another_prompt_is_refused_at_once(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(delay=0.2)
        answers = at_once(2, lambda i: api.start(key="k", prompt=f"Prompt {i}"))
        assert sorted(answer.status for answer in answers) == [200, 422]

    def test_a_key_of_a_failed_start_may_be_used_again(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off")
        assert api.start(key="k").status == 500
        assert api.start(key="k", prompt="A better prompt").status == 200

    def test_a_key_belongs_to_one_interview(self, api: Api) -> None:
        assert api.start(key="k").status == 200
        assert api.start(ANA.named("Mei"), key="k").status == 200
        assert api.start(Applicant(access_key="job-2"), key="k").status == 200


class TestReply:
    def test_the_message_is_stored_before_the_model_is_asked(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(delay=0.5)
        replying = Thread(target=started.reply, args=("Hello",))
        replying.start()
        wait_for_request(rehearsal, 2)
        assert started.said() == [PROMPT, SCRIPT[0], "Hello"]
        replying.join()

    def test_a_message_stays_when_the_model_fails_and_the_same_again_is_a_retry(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off", "cut_off")
        assert started.reply("Hello").status == 500
        assert started.reply("Hello").status == 500
        assert started.said() == [PROMPT, SCRIPT[0], "Hello"]
        assert started.reply("Hello").status == 200
        assert started.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]

    def test_other_words_are_joined_to_an_open_message(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off", "cut_off", "cut_off", "cut_off")
        for words in ("Well.", "I mean: yes.", "I mean: yes.", "Well.\n\nI mean: yes."):
            assert started.reply(words).status == 500
        joined = "Well.\n\nI mean: yes."
        assert started.said() == [PROMPT, SCRIPT[0], joined]
        assert started.reply("And no.").status == 200
        assert started.said() == [PROMPT, SCRIPT[0], joined + "\n\nAnd no.", SCRIPT[1]]
        assert rehearsal.requests[-1]["messages"][-1]["content"] == joined + "\n\nAnd no."

    def test_an_earlier_word_said_again_is_not_dropped(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off", "cut_off")
        for words in ("Yes.", "No, wait.", "Yes."):
            started.reply(words)
        assert started.said()[2] == "Yes.\n\nNo, wait.\n\nYes."

    def test_an_answered_message_said_again_is_a_new_turn(self, started: Api) -> None:
        started.reply("Yes.")
        started.reply("Yes.")
        assert started.said()[2:] == ["Yes.", SCRIPT[1], "Yes.", SCRIPT[2]]

    def test_equal_replies_at_once_are_one_turn_and_one_call(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(delay=0.3)
        answers = at_once(12, lambda _: started.reply("Hello"))
        assert [(answer.status, answer.body) for answer in answers] == [
            (200, {"system": SCRIPT[1]})
        ] * 12
        assert started.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]
        assert len(rehearsal.requests) == 2

    def test_different_replies_at_once_are_all_heard_in_one_turn(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(delay=0.3, echo=True)
        answers = at_once(6, lambda i: started.reply(f"Thought {i}"))
        said = started.said()
        assert len(said) == 4
        assert sorted(said[2].split("\n\n")) == [f"Thought {i}" for i in range(6)]
        assert said[3] == f"You said: {said[2]}"
        assert [answer.body for answer in answers] == [{"system": said[3]}] * 6

    def test_what_comes_while_the_model_thinks_is_answered_too(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = ECHO
        rehearsal.misbehave(Behaviour(delay=0.4, echo=True))
        with ThreadPoolExecutor() as pool:
            first = pool.submit(started.reply, "First.")
            wait_for_request(rehearsal, 2)
            second = started.reply("Second.")
            both = {"system": "You said: First.\n\nSecond."}
            assert second.body == both
            # The first was answered by the second's answer, and not asked again.
            assert first.result().body == both
        assert len(rehearsal.requests) == 3
        assert started.said()[2:] == ["First.\n\nSecond.", both["system"]]

    def test_an_interview_that_ended_meanwhile_is_not_answered_twice(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        closing = {"content": "Thank you for your time and insights."}
        rehearsal.misbehave(Behaviour(delay=0.4, message=closing))
        with ThreadPoolExecutor() as pool:
            replying = pool.submit(started.reply, "Bye")
            wait_for_request(rehearsal, 2)
            assert started.reply("Bye").status == 200
            assert replying.result().status == 200
        assert started.reply("Bye").status == 409
        assert len(started.said()) == 4

    def test_the_transcript_has_a_limit_and_what_exceeds_it_is_not_stored(
        self, make_api: Callable[..., Api], rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(message={"content": "a" * 100})
        api = make_api(max_transcript_chars=300)
        api.start(prompt="p" * 100)
        answer = api.reply("m" * 101)
        assert answer.status == 409
        assert "300" in answer.body["error"]
        assert len(api.messages()) == 2
        assert api.reply("m" * 100).status == 200
        assert api.reply("m").status == 409
        assert len(api.messages()) == 4

    def test_other_applicants_are_not_kept_waiting(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("silence")
        hanging = Thread(target=started.reply, args=("Hello",), daemon=True)
        hanging.start()
        wait_for_request(rehearsal, 2)
        mei = ANA.named("Mei")
        assert started.start(mei).status == 200
        assert started.reply("Hello", mei).status == 200
        rehearsal.stop()
        hanging.join(10)


class TestIdempotencyKey:
    def test_the_same_reply_again_gets_the_first_answer_and_changes_nothing(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = ECHO
        first = started.reply("One", key="k1")
        started.reply("Two", key="k2")
        said, asked = started.said(), len(rehearsal.requests)
        assert started.reply("One", key="k1").body == first.body == {"system": "You said: One"}
        assert started.reply("Two", key="k2").body == {"system": "You said: Two"}
        assert (started.said(), len(rehearsal.requests)) == (said, asked)

    def test_it_is_replayed_after_the_interview_has_ended(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave(Behaviour(message={"content": "Thank you for your time and insights"}))
        first = started.reply("Bye", key="k")
        assert started.reply("Bye", key="k").body == first.body
        assert started.reply("Bye").status == 409

    def test_the_same_key_with_another_body_is_refused(self, started: Api) -> None:
        started.reply("One", key="k")
        answer = started.reply("Two", key="k")
        assert answer.status == 422
        assert "Idempotency-Key" in answer.body["error"]
        assert started.start(key="k").status == 422
        assert len(started.said()) == 4

    def test_it_is_refused_while_the_first_is_open_too(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off")
        started.reply("One", key="k")
        assert started.reply("Two", key="k").status == 422
        assert started.said()[2:] == ["One"]

    def test_it_is_the_same_request_while_the_first_is_under_way(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(delay=0.3)
        answers = at_once(8, lambda _: started.reply("Hello", key="k"))
        assert {answer.body["system"] for answer in answers} == {SCRIPT[1]}
        assert len(rehearsal.requests) == 2
        assert len(started.said()) == 4

    def test_a_retry_finds_its_open_message_wherever_it_was_joined(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off", "cut_off")
        started.reply("One", key="k1")
        started.reply("Two", key="k2")
        assert started.reply("One", key="k1").status == 200
        assert started.said()[2] == "One\n\nTwo"
        assert started.reply("Two", key="k2").status == 200
        assert len(started.said()) == 4

    def test_a_retry_with_a_new_key_is_remembered_by_both(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off")
        started.reply("One", key="k1")
        first = started.reply("One", key="k2")
        assert first.status == 200
        assert started.reply("One", key="k1").body == first.body
        assert started.reply("One", key="k2").body == first.body
        assert len(started.said()) == 4

    def test_it_stands_for_the_whole_request_where_that_repeated_a_joined_message(
        self, started: Api, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("cut_off", "cut_off", "cut_off")
        for words, key in (("A", ""), ("B", ""), ("A\n\nB", "k")):
            assert started.reply(words, key=key).status == 500
        assert started.reply("B", key="k").status == 422
        assert started.reply("A\n\nB", key="k").status == 200
        assert started.said()[2:] == ["A\n\nB", SCRIPT[1]]


@pytest.fixture
def two_processes(make_api: Callable[..., Api]) -> Iterator[tuple[Api, Api]]:
    """Two apps that share nothing but the database."""
    yield make_api(), make_api()


def test_an_answer_stored_by_another_process_is_taken(
    two_processes: tuple[Api, Api], rehearsal: Rehearsal
) -> None:
    slow, quick = two_processes
    slow.start()
    rehearsal.default = ECHO
    rehearsal.misbehave(Behaviour(delay=0.5, message={"content": "Too late"}))
    with ThreadPoolExecutor() as pool:
        late = pool.submit(slow.reply, "Hello")
        wait_for_request(rehearsal, 2)
        assert quick.reply("Hello").body == {"system": "You said: Hello"}
        assert late.result().body == {"system": "You said: Hello"}
    assert quick.said()[2:] == ["Hello", "You said: Hello"]


def test_a_start_overtaken_by_another_process_is_refused_or_replayed(
    two_processes: tuple[Api, Api], rehearsal: Rehearsal
) -> None:
    slow, quick = two_processes
    for key, statuses in (("", [200, 400]), ("k", [200, 200])):
        applicant = ANA.named(f"Ana {key}")
        rehearsal.misbehave(Behaviour(delay=0.5, message={"content": "Too late"}))
        asked = len(rehearsal.requests)
        with ThreadPoolExecutor() as pool:
            late = pool.submit(slow.start, applicant, key=key)
            wait_for_request(rehearsal, asked + 1)
            answers = [quick.start(applicant, key=key), late.result()]
        assert [answer.status for answer in answers] == statuses
        assert all(answer.body.get("system", SCRIPT[0]) == SCRIPT[0] for answer in answers)
        assert quick.said(applicant) == [PROMPT, SCRIPT[0]]


def test_who_shares_a_call_uses_the_time_that_is_left_to_them(
    make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    api = make_api(reply_deadline=1.5)
    api.start()
    rehearsal.misbehave("silence")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(api.reply, "Hello")
        wait_for_request(rehearsal, 2)
        sleep(0.75)
        second = pool.submit(api.reply, "Hello")
        assert (first.result().status, second.result().status) == (500, 200)


def test_who_shares_a_call_waits_no_longer_than_the_deadline(
    make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    api = make_api(reply_deadline=0.5)
    api.start()
    rehearsal.misbehave("silence", "silence")
    done = Event()

    def both() -> None:
        assert [answer.status for answer in at_once(2, lambda _: api.reply("Hi"))] == [500, 500]
        done.set()

    Thread(target=both, daemon=True).start()
    assert done.wait(20)
