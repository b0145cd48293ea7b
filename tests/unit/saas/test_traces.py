import os
from pathlib import Path

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.saas import retiming, traces
from sim.saas.policies.recorded import Preset, Trace

DATA = Path(__file__).parent / "data"


def table(path, form="auto"):
    blocks = list(traces.read(path, form))
    columns = {name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    return np.concatenate([block.times for block in blocks]), columns


def messages(path, form="auto"):
    with pytest.raises(ScenarioError) as caught:
        traces.scan(path, form)
    return [str(fault).removeprefix(f"{path}:") for fault in caught.value.faults]


def written(tmp_path, text):
    path = tmp_path / "trace.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_azure_times_are_exact_to_100_ns_across_midnight_and_the_last_line_needs_no_newline():
    times, columns = table(DATA / "azure_no_newline.csv")
    assert times.tolist() == [0.0, 1e-7, 1.5000004]
    assert columns["tokens_in"].tolist() == [374, 396, 879]
    assert columns["tokens_out"].tolist() == [44, 109, 55]


def test_byte_order_mark_and_windows_line_ends_are_accepted():
    times, columns = table(DATA / "azure_bom_crlf.csv")
    assert times.tolist() == [0.0, 0.2]
    assert columns["tokens_out"].tolist() == [2, 4]


def test_ticks_agree_with_the_calendar():
    start = traces.ticks("2023-11-16 18:15:46.6805900")
    assert traces.ticks("2023-11-16 18:15:46.6805901") - start == 1
    assert traces.ticks("2023-11-16 19:14:08.4025270") - start == 35_017_219_370
    assert traces.ticks("2024-03-01T00:00:00Z") - traces.ticks("2024-02-28 00:00:00.0") == 2 * 86_400 * 10**7


@pytest.mark.parametrize(
    "stamp",
    ["", "soon", "2023-02-30 00:00:00", "2023-11-16 24:00:00", "2023-11-16 18:15:46.12345678"],
)
def test_what_is_not_a_time_is_refused(stamp):
    with pytest.raises(ValueError):
        traces.ticks(stamp)


def test_plain_columns_in_any_order_and_blank_lines():
    times, columns = table(DATA / "plain.csv")
    assert times.tolist() == [0.5, 0.5, 2.0]
    assert columns["work"].tolist() == [1.0, 2.5, 0.25]
    assert columns["send"].tolist() == [60000.0, 0.0, 1000.0]
    assert columns["tokens_in"].tolist() == [10, 20, 30]
    assert columns["tokens_in"].dtype == np.int64
    assert traces.scan(DATA / "plain.csv") == ("csv", 3, 0.5, 2.0, ("tokens_in", "send", "work"), True)


def test_all_wrong_rows_are_reported_with_their_lines():
    assert messages(DATA / "wrong.csv") == [
        "3:1: time_s: expected a number, 0 or more, got 'soon'",
        "4:1: send: expected a number, 0 or more, got '-4'",
        "5:1: time goes back by 1 s; sort the file by time",
        "6:1: expected 2 columns as in the header, got 1",
        "7:1: send: expected a number, 0 or more, got 'nan'",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "1:1: the file is empty; expected a header, TIMESTAMP,ContextTokens,GeneratedTokens, "),
        ("\n\n", "the file is empty"),
        ("time_s,send\n", "1:1: the file has a header and no rows"),
        ("when,send\n1,2\n", '1:1: no column "time_s"'),
        ("time_s,tokens_inn\n1,2\n", '1:1: unknown column "tokens_inn" (did you mean "tokens_in"?)'),
        ("time_s,send,send\n1,2,3\n", '1:1: column "send" stands twice in the header'),
        ("TIMESTAMP,ContextTokens\nx,1\n", '1:1: no column "GeneratedTokens"'),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16,1,2\n",
            "2:1: TIMESTAMP: expected YYYY-MM-DD HH:MM:SS.fffffff, got '2023-11-16'",
        ),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 01:02:03,1.5,2\n",
            "2:1: ContextTokens: expected a whole number, 0 or more, got '1.5'",
        ),
        (b"time_s\n\xff\xfe\n", "2:1: time_s: expected a number"),
        (b"time_s\n1\n2\x00\n", "is not text"),
        ("time_s\n" + "9" * 200_000 + "\n", "2:1: is not CSV: field larger than field limit"),
        ("time_s\n1e400\n", "2:1: time_s: expected a number, 0 or more, got '1e400'"),
    ],
)
def test_wrong_files(tmp_path, text, part):
    found = messages(written(tmp_path, text))
    assert any(part in message for message in found), found


def test_the_format_can_be_insisted_on(tmp_path):
    path = written(tmp_path, "time_s\n1\n")
    assert sum("1:1: no column" in message for message in messages(path, "azure-llm")) == 3


def test_a_missing_file_is_a_fault_and_not_a_traceback(tmp_path):
    with pytest.raises(ScenarioError, match="cannot be read: No such file"):
        traces.scan(tmp_path / "none.csv")


def test_a_hopeless_file_is_given_up(tmp_path):
    found = messages(written(tmp_path, "time_s\n" + "x\n" * 1000))
    assert len(found) == traces.MANY + 1
    assert found[-1].endswith("there may be more faults")


def test_long_files_come_in_chunks_in_which_nothing_is_lost(tmp_path):
    count = 2 * traces.CHUNK + 5
    path = written(tmp_path, "time_s\n" + "\n".join(f"{i / 8}" for i in range(count)))
    blocks = list(traces.read(path))
    assert [len(block.times) for block in blocks] == [traces.CHUNK, traces.CHUNK, 5]
    assert np.array_equal(np.concatenate([block.times for block in blocks]), np.arange(count) / 8)


def test_order_is_checked_across_chunks(tmp_path):
    rows = [f"{i}" for i in range(traces.CHUNK)] + ["7"]
    found = messages(written(tmp_path, "time_s\n" + "\n".join(rows)))
    assert found == [f"{traces.CHUNK + 2}:1: time goes back by {traces.CHUNK - 8} s; sort the file by time"]


# ---------------------------------------------------------------- replaying


def replayed(tmp_path, text, until=100.0, **options):
    trace = Trace(str(written(tmp_path, text)), **options)
    blocks = list(trace.blocks(np.random.default_rng(1), 1, until))
    return [time for block in blocks for time in block.times.tolist()], blocks


def test_clipping_takes_the_start_in_and_leaves_the_end_out(tmp_path):
    times, blocks = replayed(tmp_path, "time_s,work\n1,1\n2,2\n3,3\n5,4\n", start=2.0, length=3.0)
    assert times == [0.0, 1.0]
    assert blocks[0].columns["work"].tolist() == [2.0, 3.0]


def test_scale_compresses_time(tmp_path):
    assert replayed(tmp_path, "time_s\n1\n2\n4\n", scale=2.0)[0] == [0.5, 1.0, 2.0]


def test_repetition_with_a_stated_length_and_without(tmp_path):
    text = "time_s\n1\n2\n4\n"
    assert replayed(tmp_path, text, until=13.0, length=5.0, repeat=True)[0] == [1, 2, 4, 6, 7, 9, 11, 12]
    # Three rows over 3 s: a mean gap of 1.5 s follows the last row before the first lap ends.
    assert replayed(tmp_path, text, until=10.0, repeat=True)[0] == [1, 2, 4, 6.5, 7.5, 9.5]
    assert replayed(tmp_path, text, until=3.0)[0] == [1, 2]


def test_a_window_without_rows_and_a_single_row_end_rather_than_repeat_for_ever(tmp_path):
    assert replayed(tmp_path, "time_s\n1\n2\n", start=50.0, repeat=True)[0] == []
    assert replayed(tmp_path, "time_s\n0\n", repeat=True)[0] == [0.0]


def test_thinning_keeps_its_share_and_the_right_columns(tmp_path):
    text = "time_s,work\n" + "\n".join(f"{i},{i}" for i in range(10_000))
    times, blocks = replayed(tmp_path, text, until=1e6, thin=0.3)
    # A binomial count of sd 46: five of them are a false alarm in 6e-7 of seeds.
    assert abs(len(times) - 3000) < 5 * 46
    assert np.array_equal(np.concatenate([block.columns["work"] for block in blocks]), np.array(times))


# ---------------------------------------------------------------- a preset instead of a file


def stood_in(until=100.0, users=1, seed=1, **options):
    trace = Trace(preset="azure-llm-conv", **options)
    blocks = list(trace.blocks(np.random.default_rng(seed), users, until))
    return np.concatenate([block.times for block in blocks] or [np.empty(0)]), blocks


def test_without_a_file_a_preset_stands_in_and_nothing_at_all_is_refused():
    times, blocks = stood_in()
    drawn = list(Preset("azure-llm-conv").blocks(np.random.default_rng(1), 1, 100.0))
    assert times.tolist() == np.concatenate([block.times for block in drawn]).tolist()
    assert blocks[0].columns["tokens_in"].tolist() == drawn[0].columns["tokens_in"].tolist()
    assert len(stood_in(users=0)[0]) == 0
    with pytest.raises(ValueError, match="`file`"):
        Trace(scale=2.0)


def test_a_file_is_preferred_to_the_preset(tmp_path):
    assert replayed(tmp_path, "time_s\n1\n", preset="azure-llm-conv")[0] == [1.0]


def test_the_stand_in_is_clipped_scaled_and_repeated_like_a_file():
    whole = stood_in(until=60.0)[0]
    inside = whole[(whole >= 20.0) & (whole < 50.0)]
    clipped = stood_in(start=20.0, length=30.0, scale=2.0)[0]
    assert clipped.tolist() == ((inside - 20.0) / 2.0).tolist()
    # Two laps of 15 s and a third that the end of the run cuts; each draws its own requests.
    laps = stood_in(until=40.0, start=20.0, length=30.0, scale=2.0, repeat=True)[0]
    assert laps[: len(clipped)].tolist() == clipped.tolist()
    assert laps.max() > 30.0
    assert not np.array_equal(laps[(laps >= 15) & (laps < 30)] - 15, clipped)


def test_a_stand_in_knows_its_rate():
    times = np.array([0.0, 14.0, 15.0, 100.0])
    rate = Preset("azure-llm-conv").mean
    assert Trace(preset="azure-llm-conv").expected(times, 7) == pytest.approx([rate] * 4)
    cut = {"preset": "azure-llm-conv", "length": 30.0, "scale": 2.0, "thin": 0.25}
    assert Trace(**cut).expected(times, 1) == pytest.approx([rate / 2, rate / 2, 0.0, 0.0])
    assert Trace(**cut, repeat=True).expected(times, 1) == pytest.approx([rate / 2] * 4)
    assert Trace(**cut).expected(times, 0).tolist() == [0.0] * 4


# ---------------------------------------------------------------- the published files

STRATUS_DATA = os.environ.get("STRATUS_DATA")
published = pytest.mark.skipif(not STRATUS_DATA, reason="STRATUS_DATA names no folder of traces")


def real(kind):
    path = Path(STRATUS_DATA or "") / "azure_llm_2023" / f"AzureLLMInferenceTrace_{kind}.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


@published
def test_azure_conversation_trace_against_rows_read_by_hand():
    times, columns = table(real("conv"))
    assert len(times) == 19366
    # 18:15:46.6805900, 18:15:50.9951690, 18:15:51.2224670, 18:15:51.3910170; last 19:14:08.4025270
    assert times[:4].tolist() == [0.0, 4.314579, 4.541877, 4.710427]
    assert times[-1] == 3501.721937
    assert columns["tokens_in"][:4].tolist() == [374, 396, 879, 91]
    assert columns["tokens_out"][:4].tolist() == [44, 109, 55, 16]
    assert (columns["tokens_in"][-1], columns["tokens_out"][-1]) == (197, 183)
    assert columns["tokens_in"].mean() == pytest.approx(1154.70, abs=0.005)
    assert columns["tokens_out"].mean() == pytest.approx(211.13, abs=0.005)


@published
def test_azure_code_trace_against_rows_read_by_hand():
    times, columns = table(real("code"))
    assert len(times) == 8819
    # 18:17:03.9799600, 18:17:04.0319600, 18:17:04.0781490, 18:17:04.1206440; last 19:14:19.9280160
    assert times[:4].tolist() == [0.0, 0.052, 0.098189, 0.140684]
    assert times[-1] == 3435.948056
    assert columns["tokens_in"][:4].tolist() == [4808, 3180, 110, 7433]
    assert columns["tokens_out"][:4].tolist() == [10, 8, 27, 14]


def test_azure_2024_times_have_a_zone(tmp_path):
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:01+00:00,2399,6\n"
    )
    times, columns = table(written(tmp_path, text))
    assert times.tolist() == [0.0, 0.99007]
    assert columns["tokens_in"].tolist() == [2162, 2399]


def test_burstgpt_in_both_versions(tmp_path):
    rest = "Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    old = f"Timestamp,{rest}5,ChatGPT,472,18,490,Conversation log\n"
    new = f"Timestamp,Session ID,Elapsed time,{rest}5,7,1.5,GPT-4,472,0,472,API log\n"
    for text, answer in ((old, 18), (new, 0)):
        times, columns = table(written(tmp_path, text))
        assert times.tolist() == [5.0]
        assert columns["tokens_in"].tolist() == [472]
        assert columns["tokens_out"].tolist() == [answer]
    assert traces.scan(written(tmp_path, old)).format == "burstgpt"


def test_vidur_with_and_without_times(tmp_path):
    timed = written(
        tmp_path, "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,396,109\n"
    )
    assert traces.scan(timed) == ("vidur", 2, 0.0, 4.314579, ("tokens_in", "tokens_out"), True)
    text = "num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n" + "3772,54,3826,69.85\n" * 400
    lengths = written(tmp_path, text)
    assert traces.scan(lengths)[:2] == ("vidur", 400)
    assert not traces.scan(lengths).timed
    blocks = Trace(str(lengths), rate=2.0).blocks(np.random.default_rng(1), 1, 1e9)
    times = np.concatenate([block.times for block in blocks])
    assert len(times) == 400
    assert times[-1] / 400 == pytest.approx(0.5, rel=0.15)


def test_mooncake_keeps_its_hashes(tmp_path):
    text = (
        '{"timestamp": 0, "input_length": 700, "output_length": 5, "hash_ids": [3, 4]}\n\n'
        '{"timestamp": 3000, "input_length": 100, "output_length": 1, "hash_ids": [3]}\n'
    )
    path = written(tmp_path, text)
    (block,) = traces.read(path)
    assert block.times.tolist() == [0.0, 3.0]
    assert block.columns["hash_ids"].tolist() == [[3, 4], [3]]
    assert block.columns["tokens_in"].tolist() == [700, 100]
    (later,) = retiming.clip(iter([block]), 1.0, None)
    assert later.columns["hash_ids"].tolist() == [[3]]


def test_llmservingsim_lines(tmp_path):
    text = '{"input_toks": 10, "output_toks": 70, "arrival_time_ns": 46926808, "input_tok_ids": [1, 2]}\n'
    times, columns = table(written(tmp_path, text))
    assert times.tolist() == [0.046926808]
    assert columns["tokens_out"].tolist() == [70]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"time": 1}\n', ["1:1: unknown keys time; expected timestamp,input_length"]),
        (
            '{"timestamp": 5, "input_length": 1, "output_length": 1, "hash_ids": []}\n'
            '{"timestamp": 4, "input_length": -1, '
            '"output_length": true, "hash_ids": 3}\n[1]\n{"times\n',
            [
                "2:1: time goes back by 0.001 s",
                "2:1: input_length: expected a whole number, 0 or more, got -1",
                "2:1: output_length",
                "2:1: hash_ids: expected a list",
                "3:1: expected a JSON object",
                "4:1: expected a JSON object",
            ],
        ),
        ("Timestamp,Request tokens\n1,2\n", ['1:1: no column "Response tokens"']),
        (
            "arrived_at,num_prefill_tokens,num_decode_tokens\n1,2.5,3\n",
            ["num_prefill_tokens: expected a whole number"],
        ),
    ],
)
def test_wrong_rows_of_the_other_formats(tmp_path, text, parts):
    found = messages(written(tmp_path, text))
    for part in parts:
        assert any(part in message for message in found), (part, found)


@pytest.mark.skipif("STRATUS_DATA" not in os.environ, reason="STRATUS_DATA names no folder of public data")
@pytest.mark.parametrize(
    ("file", "form", "rows"),
    [
        ("mooncake/conversation_trace.jsonl", "mooncake", 12031),
        ("mooncake/synthetic_trace.jsonl", "mooncake", 3993),
        ("burstgpt/BurstGPT_1_head30.csv", "burstgpt", 30),
        ("vidur_traces/splitwise_conv.csv", "vidur", 19366),
        ("azure_llm_2023/AzureLLMInferenceTrace_conv.csv", "azure-llm", 19366),
        ("sharegpt_lengths/sharegpt-llama-3.1-8b-300-sps10.lengths.jsonl", "llmservingsim", 300),
    ],
)
def test_published_files_are_read_whole(file, form, rows):
    found = traces.scan(Path(os.environ["STRATUS_DATA"]) / file)
    assert (found.format, found.rows) == (form, rows)
