"""Calibration: coefficients come back from made measurements, errors are honest, wrong files are told."""

from __future__ import annotations

import csv
import random
from statistics import fmean

import pytest

from sim.cli.main import main
from sim.errors import ScenarioError
from sim.paas.llm import ChunkedPrefill, Engine, LinearSteps, Sequence, read_profile
from sim.stats.stepfit import fit, read


@pytest.fixture
def stratus(capsys):
    """Run a command line; (exit code, stdout, stderr)."""

    def call(*arguments):
        code = main(arguments)
        written = capsys.readouterr()
        return code, written.out, written.err

    return call


TRUE = LinearSteps(
    base=6e-3, per_prompt_token=15e-6, per_sequence=13e-6, per_context_token=41e-9, per_square=2e-9
)


def written(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def iterations(noise=0.0, count=60):
    draw = random.Random(7)
    rows = []
    for number in range(count):
        prompt = draw.choice([0, 0, 128, 512, 2048]) if number % 3 else 1024
        batch = draw.choice([1, 4, 16, 64]) if not prompt or draw.random() < 0.5 else 0
        context = batch * draw.randint(100, 4000)
        seconds = TRUE.seconds(prompt, prompt * prompt / 2, batch, context) * (1 + noise * draw.gauss(0, 1))
        rows.append([prompt, batch, context, seconds])
    return rows


HEADER = ["prompt_tokens", "sequences", "context_tokens", "seconds"]


def test_iterations_give_their_coefficients_back(tmp_path):
    found = fit(read(written(tmp_path / "m.csv", HEADER, iterations())))
    assert found.coefficients == pytest.approx(
        {
            "base": 6e-3,
            "per_prompt_token": 15e-6,
            "per_square": 2e-9,
            "per_sequence": 13e-6,
            "per_context_token": 41e-9,
        },
        rel=1e-6,
    )
    assert abs(found.errors).max() < 1e-9
    assert abs(found.held_out).max() < 1e-9


def test_the_error_held_out_is_that_of_the_noise(tmp_path):
    """With 5 % noise the mean absolute error is about 0.8 x 5 %, and no smaller held out than fitted."""
    found = fit(read(written(tmp_path / "m.csv", HEADER, iterations(0.05, 300))))
    assert 0.035 < abs(found.held_out).mean() < 0.045
    assert abs(found.errors).mean() < abs(found.held_out).mean()
    assert found.coefficients["per_prompt_token"] == pytest.approx(15e-6, rel=0.05)


def test_a_load_test_gives_them_back_too(tmp_path):
    """Times per output token and first tokens at concurrency 1 of a server that follows the model."""
    rows = []
    for given, made in ((128, 128), (1024, 256), (1024, 1024), (4096, 512)):
        for at_once in (1, 8, 64):
            share = (at_once - 1) / made
            context = at_once * (given + made / 2)
            tpot = TRUE.seconds(share * given, share * given**2 / 2, at_once, context)
            first = TRUE.seconds(given, given**2 / 2, 0, 0) if at_once == 1 else ""
            rows.append([given, made, at_once, tpot, first])
    header = ["input_tokens", "output_tokens", "concurrency", "tpot", "ttft"]
    measured = read(written(tmp_path / "m.csv", header, rows))
    assert (measured.kind, len(measured.seconds)) == ("loads", 16)
    found = fit(measured)
    assert found.coefficients["per_context_token"] == pytest.approx(41e-9, rel=1e-6)
    assert found.coefficients["per_square"] == pytest.approx(2e-9, rel=1e-6)


def test_a_load_test_of_the_engine_itself_gives_its_steps_back(tmp_path):
    """Conversations that follow each other through the engine, measured from outside as a user would."""
    times = LinearSteps(base=6e-3, per_prompt_token=15e-6, per_sequence=13e-6, per_context_token=41e-9)
    rows = [
        [given, made, at_once, *load_test(times, given, made, at_once)]
        for given, made in ((128, 128), (1024, 256), (2048, 512))
        for at_once in (1, 4, 16, 48)
    ]
    header = ["input_tokens", "output_tokens", "concurrency", "tpot", "ttft"]
    found = fit(read(written(tmp_path / "m.csv", header, rows)))
    assert found.coefficients["base"] == pytest.approx(6e-3, rel=0.02)
    assert found.coefficients["per_prompt_token"] == pytest.approx(15e-6, rel=0.05)
    assert found.coefficients["per_context_token"] == pytest.approx(41e-9, rel=0.25)
    assert abs(found.errors).max() < 0.05
    assert abs(found.held_out).mean() < 0.05


def load_test(times, given, made, at_once):
    """Mean TPOT and TTFT (s) of so many conversations at a time, lengths within 10 %."""
    draw = random.Random(3)
    calls = [
        Sequence(number, 0.0, round(given * draw.uniform(0.9, 1.1)), round(made * draw.uniform(0.9, 1.1)))
        for number in range(4 * at_once)
    ]
    engine = Engine(ChunkedPrefill(256, 8192), times, 10**6)
    line = iter(calls)
    for _ in range(at_once):
        engine.offer(next(line), 0.0)
    done = 0
    while done < len(calls):
        now = engine.until
        for _ in engine.proceed(now):
            done += 1
            call = next(line, None)
            if call is not None:
                call.arrival = now
                engine.offer(call, now)
    counted = calls[at_once:]
    pace = fmean((call.finish - call.first) / (call.output - 1) for call in counted)
    return pace, fmean(call.first - call.arrival for call in counted)


def test_what_was_not_measured_is_said(tmp_path):
    rows = [[0, batch, batch * 1000, 6e-3 + 13e-6 * batch] for batch in (1, 2, 4, 8, 16, 32)]
    found = fit(read(written(tmp_path / "m.csv", HEADER, rows)))
    assert found.silent == ["per_prompt_token", "per_square"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["the file is empty"]),
        ("name: chat\n", ["no column of measurements; expected a header, prompt_tokens,"]),
        (
            "prompt_tokens,sequences,context,seconds\n",
            ['no column "context_tokens"', 'did you mean "context_tokens"'],
        ),
        ("prompt_tokens,sequences,context_tokens,seconds\n1,1,1,1\n", ["has 1 measurements; at least 5"]),
        (
            "prompt_tokens,sequences,context_tokens,seconds\n1,x,1,0\n0,0,0,1\n1,2\n",
            [
                "2:1: sequences: expected a number 0 or more, got 'x'",
                "2:1: seconds: expected a number above 0, got '0'",
                "3:1: an iteration without prompt and sequences",
                "4:1: expected 4 columns, got 2",
            ],
        ),
        (
            "input_tokens,output_tokens,concurrency,tpot\n1,0,1,nan\n",
            [
                "output_tokens: expected a number above 0",
                "tpot: expected a number above 0, got 'nan'",
            ],
        ),
    ],
)
def test_wrong_files(tmp_path, text, parts):
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read(path)
    said = "\n".join(map(str, caught.value.faults))
    assert all(part in said for part in parts), said


def test_the_command_writes_a_profile_that_scenarios_read(tmp_path, stratus):
    path = written(tmp_path / "m.csv", HEADER, iterations(0.01))
    code, out, err = stratus("calibrate", str(path), "-o", str(tmp_path / "mine.yaml"))
    assert code == 0, err
    assert "predicted from the others" in out
    steps = read_profile(tmp_path / "mine.yaml")
    assert steps.base == pytest.approx(6e-3, rel=0.02)
    assert (tmp_path / "mine.svg").read_text().startswith("<?xml")
    assert stratus("calibrate", str(tmp_path / "none.csv"))[0] == 3
