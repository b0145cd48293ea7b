"""Conversations: when their turns come, what their prompts hold, and that a prefix cache finds it again."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import ScenarioError
from sim.paas.llm import ChunkedPrefill, Engine, LinearSteps, PrefixCache, Sequence
from sim.paas.llm import simulate as serve
from sim.saas import traces
from sim.saas.sessions import HASHED, Turns, contents
from tests.platforms import check_station, content, rows, simulate

TEXT = """
name: sessions
seed: 3
duration: 600s
drain: true
infrastructure:
  instances: {box: {cpu: 64, memory: 64Gi}}
  sites: {home: {kind: edge, pools: {boxes: {instance: box}}}}
platform:
  services:
    llm:
      site: home
      time: {policy: constant, value: 1s}
      engine:
        policy: continuous-batch
        blocks: 2000
        prefix_cache: true
        steps: {policy: linear, base: 10ms, per_prompt_token: 100us}
applications:
  chat:
    users: {home: 1}
    arrivals: {process: periodic, period: 100s, phase: aligned}
    tokens_in: 40
    tokens_out: 24
    shared_prompt: 100
    sessions: {turns: 4, think: 5s}
    calls: {answer: {to: llm}}
"""


def told(*sets):
    """The rows of `sequences` by the time they came."""
    return sorted(rows(simulate(TEXT, *sets), "sequences"), key=lambda row: row["enter"])


def test_turns_by_hand():
    """Each prompt finds the whole blocks of 16 of what went before: of 163, 227 and 291 tokens."""
    found = told()
    assert len(found) == 6 * 4
    assert [row["prompt"] for row in found[:4]] == [140, 204, 268, 332]
    assert [row["cached"] for row in found[:4]] == [0, 160, 224, 288]
    # The next session finds the whole blocks of the shared 100 tokens.
    assert [row["cached"] for row in found[4:8]] == [96, 160, 224, 288]
    # 10 ms + 44 x 0.1 ms for the prompt, 23 x 10 ms for the answer, 5 s to think.
    assert found[1]["first"] - found[1]["enter"] == pytest.approx(0.010 + 44e-4)
    assert found[2]["enter"] - found[1]["finish"] == pytest.approx(5.0)


def test_a_session_ends_before_its_window_does():
    """292 tokens hold the third turn and its answer, 291 do not."""
    assert len(told("applications.chat.sessions.window=292")) == 6 * 3
    assert len(told("applications.chat.sessions.window=291")) == 6 * 2


def test_who_gets_no_answer_goes_away():
    """268 tokens and an answer exceed 17 blocks of 16: the third turn is rejected, and no fourth comes."""
    outcome = simulate(TEXT, "platform.services.llm.engine.blocks=17")
    assert [row["status"] for row in rows(outcome, "requests")] == ["completed", "completed", "rejected"] * 6
    check_station(outcome, "llm")


def test_nothing_is_asked_after_the_end():
    """Of the last session, begun 99.9 s before the end, no turn comes at or after it."""
    outcome = simulate(TEXT, "applications.chat.sessions.think=60s", "applications.chat.sessions.turns=9")
    asked = [row["arrival"] for row in rows(outcome, "requests")]
    assert max(asked) < 600
    assert all(row["status"] == "completed" for row in rows(outcome, "requests"))


def test_what_is_drawn_does_not_depend_on_how_fast_answers_are():
    """Same sessions, turns, words and pauses under another engine; only the moments differ."""
    varied = (
        "applications.chat.sessions.turns={dist: uniform, low: 1, high: 6}",
        "applications.chat.sessions.think={dist: exponential, mean: 2s}",
        "applications.chat.tokens_in={dist: uniform, low: 10, high: 90}",
        "applications.chat.tokens_out={dist: uniform, low: 10, high: 90}",
        "applications.chat.arrivals={process: poisson, rate: 0.05/s}",
    )

    def shapes(*sets):
        return sorted((row["prompt"], row["output"]) for row in told(*varied, *sets))

    slow = shapes("platform.services.llm.engine.steps.base=11ms")
    assert slow == shapes()
    assert len(slow) > 40
    assert content(simulate(TEXT, *varied)) == content(simulate(TEXT, *varied))


@pytest.mark.parametrize("name", ["preset", "trace"])
def test_arrivals_with_whole_prompts_have_no_sessions(name):
    key = {"preset": "name", "trace": "preset"}[name]
    with pytest.raises(ScenarioError, match="sessions are for those that bring none"):
        told(f"applications.chat.arrivals={{process: {name}, {key}: azure-llm-conv}}")


@pytest.mark.parametrize(
    "router", ["session-affinity", "{policy: consistent-hash, bound: null}", "cache-aware", "gateway"]
)
def test_routers_that_know_sessions_keep_them_together(router):
    """Every later turn finds what its replica holds; turns dealt out in turn do not."""
    sets = (
        "platform.services.llm.replicas=3",
        "applications.chat.arrivals={process: poisson, rate: 0.2/s}",
        "applications.chat.shared_prompt=0",
    )
    found = told(*sets, f"platform.services.llm.router={router}")
    assert all((row["cached"] > 0) == (row["prompt"] > 40) for row in found)
    others = told(*sets, "platform.services.llm.router=round-robin")
    assert sum(row["cached"] for row in others) < 0.5 * sum(row["cached"] for row in found)


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=8),
    st.data(),
    st.one_of(st.just(float("inf")), st.integers(1, 400)),
)
def test_prompts_grow_by_what_was_said_and_answered(turns, data, window):
    """Against a loop over the sessions."""
    total = sum(turns)
    words = st.lists(st.integers(1, 60), min_size=total, max_size=total)
    said, answered = data.draw(words), data.draw(words)
    going = Turns(np.array(turns), [0.0] * total)
    prompts = going.grown(said, answered, window)
    place = 0
    for count in turns:
        before = 0
        assert going.count[place] == count
        for turn in range(count):
            assert prompts[place] == before + said[place]
            before = prompts[place] + answered[place]
            fits = turn + 1 < count and before + said[place + 1] + answered[place + 1] <= window
            assert going.more[place] == fits
            assert turn == 0 or going.count[place] == 0
            place += 1


def test_contents_of_hashed_prompts():
    """1,100 tokens are two whole blocks of 512 and one of 76; the answer is nobody else's."""
    column = np.empty(1, dtype=object)
    column[:] = [[7, 8, 9]]
    (made,) = contents("app", 0, None, {"hash_ids": column}, 5, [1100])
    assert made == (
        (("app", 7), 512),
        (("app", 8), 1024),
        (("app", 9), 1100),
        (("app", "request", 5), float("inf")),
    )
    assert contents("app", 0, None, {}, 0, [4]) is None


def test_a_trace_with_sessions(tmp_path):
    """The second request of a session finds the first's prompt and answer; that of another finds nothing."""
    file = tmp_path / "trace.csv"
    file.write_text("time_s,tokens_in,tokens_out,session\n0,100,61,a\n10,200,5,b\n20,200,5,a\n")
    found = told(
        f"applications.chat.arrivals={{process: trace, file: {file}}}",
        "applications.chat.sessions=null",
        "applications.chat.shared_prompt=0",
    )
    assert [row["cached"] for row in found] == [0, 0, 160]


def test_burstgpt_with_sessions(tmp_path):
    """The second version of the data set names them; who has no name is nobody's next turn."""
    file = tmp_path / "burst.csv"
    file.write_text(
        "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "0,s1,1.0,ChatGPT,100,61,161,Conversation log\n20,s1,1.0,ChatGPT,200,5,205,Conversation log\n"
        "30,,1.0,ChatGPT,300,5,305,API log\n40,,1.0,ChatGPT,300,5,305,API log\n"
    )
    found = told(
        f"applications.chat.arrivals={{process: trace, file: {file}}}",
        "applications.chat.sessions=null",
        "applications.chat.shared_prompt=0",
    )
    assert [(row["prompt"], row["cached"]) for row in found] == [(100, 0), (200, 160), (300, 0), (300, 0)]


def test_mooncake_in_a_scenario(tmp_path):
    """The second prompt shares two hashes of three, 1,024 tokens; the third all, 68 whole blocks of 16."""
    file = tmp_path / "trace.jsonl"
    file.write_text(
        '{"timestamp": 0, "input_length": 1100, "output_length": 9, "hash_ids": [0, 1, 2]}\n'
        '{"timestamp": 9000, "input_length": 1300, "output_length": 9, "hash_ids": [0, 1, 3]}\n'
        '{"timestamp": 18000, "input_length": 1100, "output_length": 9, "hash_ids": [0, 1, 2]}\n'
        '{"timestamp": 27000, "input_length": 1100, "output_length": 9, "hash_ids": [4, 5, 6]}\n'
    )
    sets = (f"applications.chat.arrivals={{process: trace, file: {file}}}", "applications.chat.sessions=null")
    assert [row["cached"] for row in told(*sets, "applications.chat.shared_prompt=0")] == [0, 1024, 1088, 0]
    # With a beginning of 160 tokens shared by all: ten blocks more, for the last one too.
    assert [row["cached"] for row in told(*sets, "applications.chat.shared_prompt=160")] == [
        0,
        1184,
        1248,
        160,
    ]


DATA = os.environ.get("STRATUS_DATA")


@pytest.mark.skipif(not DATA, reason="STRATUS_DATA names no folder of traces")
@pytest.mark.parametrize(("name", "ideal"), [("conversation", 0.3734), ("synthetic", 0.6504)])
def test_hits_on_mooncake_are_those_of_a_plain_lru(name, ideal):
    """One request after the other in blocks of 512, with room for all and for 5,000 blocks."""
    path = Path(DATA or "") / "mooncake" / f"{name}_trace.jsonl"
    asked = []
    for block in traces.read(path):
        found = contents("app", 0, None, block.columns, len(asked), block.columns["tokens_in"].tolist())
        hashes, outputs = block.columns["hash_ids"], np.maximum(1, block.columns["tokens_out"])
        asked += list(zip(found, hashes, block.columns["tokens_in"].tolist(), outputs.tolist(), strict=True))
    for room, part in ((10_000_000, asked), (5_000, asked[:2000])):
        cache = PrefixCache(HASHED)
        engine = Engine(ChunkedPrefill(), LinearSteps(1e-6), room, block_size=HASHED, cache=cache)
        served = [
            Sequence(number, float(number), prompt, output, content=content)
            for number, (content, _, prompt, output) in enumerate(part)
        ]
        serve(engine, served)
        hits = plain_lru(room, [item[1:] for item in part])
        # Of a block computed anew beside its copy the plain list keeps one.
        assert sum(one.cached for one in served) == pytest.approx(HASHED * sum(hits), rel=1e-3)
        if part is asked:
            assert [one.cached for one in served] == [HASHED * hit for hit in hits]
            share = sum(hits) * HASHED / sum(prompt for _, _, prompt, _ in asked)
            assert share == pytest.approx(ideal, abs=1e-4)


def plain_lru(room, asked):
    """Blocks found for each prompt by a list of hashes in the order of their last use."""
    order, hits = OrderedDict(), []
    for number, (hashes, prompt, output) in enumerate(asked):
        hit = 0
        while hit < (prompt - 1) // HASHED and hashes[hit] in order:
            hit += 1
        hits.append(hit)
        tokens = prompt + output - 1
        own = [(number, at) for at in range(prompt // HASHED, tokens // HASHED)]
        held = [*hashes[: prompt // HASHED], *own]
        for key in held[:hit]:
            del order[key]
        while len(order) > room - -(-tokens // HASHED):
            order.popitem(last=False)
        for key in reversed(held):
            order.pop(key, None)
            order[key] = None
    return hits
