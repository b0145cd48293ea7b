import hashlib
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from sim.errors import StratusError, UsageError
from sim.study.execute import quicker, run_study
from sim.study.results import Results


def contents(folder):
    """Checksum of every file; the manifest without what it says about time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("timing")
    return found | {"manifest.json": json.dumps(manifest)}


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_one_process_or_two_give_the_same_bytes(scenario, runner, tmp_path):
    one = contents(run_study(scenario, out=tmp_path / "one", runner=runner, keep="all"))
    two = contents(run_study(scenario, out=tmp_path / "two", runner=runner, keep="all", jobs=2))
    assert one == two
    assert sum(name.endswith("part.parquet") for name in one) == 4 * 3 * 2


def test_the_same_study_takes_the_same_place(scenario, runner, tmp_path):
    first = run_study(scenario, out=tmp_path, runner=runner)
    (first / "stale.txt").write_text("of the older run")
    second = run_study(scenario, out=tmp_path, runner=runner)
    assert first == second
    assert first.parent == tmp_path / "tiny"
    assert first.name.endswith("-seed5")
    assert not (second / "stale.txt").exists()
    assert names(tmp_path / "tiny") == [first.name]


def test_another_seed_takes_another_place(scenario, runner, tmp_path):
    other = scenario.model_copy(update={"seed": 6})
    assert run_study(scenario, out=tmp_path, runner=runner) != run_study(other, out=tmp_path, runner=runner)


def test_an_older_result_stands_when_the_new_run_fails(scenario, runner, tmp_path):
    place = run_study(scenario, out=tmp_path, runner=runner)
    before = contents(place)

    def broken(scenario, replication):
        raise RuntimeError("model fault")

    with pytest.raises(RuntimeError, match="model fault"):
        run_study(scenario, out=tmp_path, runner=broken)
    assert contents(place) == before
    assert names(place.parent) == [place.name]


def test_a_fault_in_another_process_reaches_the_user(scenario, tmp_path):
    def broken(scenario, replication):
        raise RuntimeError("model fault")

    with pytest.raises(RuntimeError, match="model fault"):
        run_study(scenario, out=tmp_path, runner=broken, jobs=2)
    assert names(tmp_path / "tiny") == []


def test_an_interrupted_study_keeps_what_it_has(scenario, runner, tmp_path):
    calls = []

    def interrupted(scenario, replication):
        calls.append(replication)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return runner(scenario, replication)

    results = Results(run_study(scenario, out=tmp_path, runner=interrupted))
    assert results.summary["partial"] == {
        "text": "interrupted: 5 of 12 runs finished",
        "interrupted": True,
        "finished": 5,
        "planned": 12,
        "stopped": {},
    }
    # First replications come first, so all cells have one.
    assert [cell["replications"] for cell in results.summary["cells"]] == [[0, 1], [0], [0], [0]]
    assert results.manifest["partial"] == results.summary["partial"]


def test_an_interrupt_before_anything_finished_leaves_nothing(scenario, tmp_path):
    def interrupted(scenario, replication):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(scenario, out=tmp_path, runner=interrupted)
    assert names(tmp_path / "tiny") == []


def test_a_run_that_was_interrupted_itself_counts_only_when_there_is_no_other(scenario, runner, tmp_path):
    def stopped_from(number):
        calls = []

        def run(scenario, replication):
            calls.append(replication)
            outcome = runner(scenario, replication)
            if len(calls) >= number:
                outcome.facts["ended"] = {"reason": "interrupted", "time": 50.0, "events": 7}
            return outcome

        return run

    first = Results(run_study(scenario, out=tmp_path, runner=stopped_from(1))).summary
    assert first["partial"]["finished"] == 1
    assert first["cells"][0]["ended"] == ["interrupted"]
    third = Results(run_study(scenario, out=tmp_path, runner=stopped_from(3))).summary
    assert third["partial"]["finished"] == 2
    assert third["partial"]["stopped"] == {}


def test_ctrl_c_with_several_processes(scenario, runner, tmp_path):
    def slow(scenario, replication):
        import time

        if replication:
            time.sleep(60)
        return runner(scenario, replication)

    def progress(done, total, label, rate):
        if done == 4:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    results = Results(run_study(scenario, out=tmp_path, runner=slow, jobs=2, progress=progress))
    assert results.summary["partial"]["text"] == "interrupted: 4 of 12 runs finished"


def test_runs_stopped_by_a_limit_are_marked(scenario, runner, tmp_path):
    def limited(scenario, replication):
        outcome = runner(scenario, replication)
        if replication == 1:
            outcome.facts["ended"] = {"reason": "events", "time": 60.0, "events": 7}
        return outcome

    summary = Results(run_study(scenario, out=tmp_path, runner=limited)).summary
    assert summary["partial"]["text"] == "4 of 12 runs ended early (limit on events)"
    assert summary["cells"][0]["ended"] == ["completed", "events", "completed"]


def test_a_wrong_question_is_told_before_the_work(scenario, tmp_path):
    answer = scenario.study.answer.model_copy(update={"metric": "total.csot"})
    wrong = scenario.model_copy(update={"study": scenario.study.model_copy(update={"answer": answer})})
    with pytest.raises(UsageError, match=r"did you mean .total\.cost"):
        run_study(wrong, out=tmp_path, runner=lambda *run: pytest.fail("ran"))
    assert names(tmp_path) == []


def test_progress_counts_runs(scenario, runner, tmp_path):
    seen = []
    run_study(scenario, out=tmp_path, runner=runner, progress=lambda *told: seen.append(told))
    assert [(done, total) for done, total, _, _ in seen] == [(done, 12) for done in range(13)]
    assert seen[0][2:] == ("slow, warmup 10s", 0.0)
    assert seen[1][2] == "slow, warmup 20s"
    assert all(rate > 0 for _, _, _, rate in seen[1:])


def test_a_quick_study_is_short_and_says_so(scenario, runner, tmp_path):
    results = Results(run_study(scenario, out=tmp_path, runner=runner, quick=True))
    assert results.folder.name.endswith("-quick")
    assert results.manifest["quick"] is True
    assert len(list(results.runs())) == 4 * 2
    assert results.series(0, 0)["window"] == [10.0, 20.0]
    assert results.series(1, 0)["window"] == [20.0, 30.0]


@pytest.mark.parametrize(("duration", "warmup", "expected"), [(100, 0, 20), (100, 40, 60), (100, 90, 100)])
def test_how_short_quick_is(scenario, duration, warmup, expected):
    changed = scenario.model_copy(update={"duration": float(duration), "warmup": float(warmup)})
    assert quicker(changed).duration == expected


def test_the_report_is_made_before_the_folder_takes_its_place(scenario, runner, tmp_path):
    def finish(folder):
        assert Results(folder).summary["scenario"]["name"] == "tiny"
        (folder / "report.html").write_text("done")

    place = run_study(scenario, out=tmp_path, runner=runner, finish=finish)
    assert (place / "report.html").read_text() == "done"


def test_common_random_numbers_pair_the_arms(scenario, runner, tmp_path):
    cells = Results(run_study(scenario, out=tmp_path, runner=runner)).summary["cells"]
    slow, fast = (cell["metrics"]["apps.cams.latency.mean"] for cell in (cells[0], cells[2]))
    found = cells[2]["versus"]["metrics"]["apps.cams.latency.mean"]
    assert found["mean"] == pytest.approx(fast["mean"] - slow["mean"])
    assert found["mean"] < 0
    # The same draws at twice the speed: half the latency but for requests near the end of the run.
    assert found["high"] - found["low"] < np.hypot(slow["high"] - slow["low"], fast["high"] - fast["low"])


def test_a_killed_process_is_an_error_with_advice(scenario, tmp_path):
    def killed(scenario, replication):
        os._exit(9)

    with pytest.raises(StratusError, match="memory"):
        run_study(scenario, out=tmp_path, runner=killed, jobs=2)
    assert names(tmp_path / "tiny") == []


PLUGIN = '''
from sim.registry import policy


@policy("router", "always-first")
class AlwaysFirst:
    """The first replica, whatever its load."""

    def pick(self, call, replicas, now):
        return replicas[0]
'''

SCRIPT = """
import sys
from pathlib import Path
from sim.registry import load_file
from sim.scenario.load import loads
from sim.errors import StratusError, UsageError
from sim.study.execute import run_study

def runner(scenario, replication):
    assert type(scenario.platform.services["finder"].router).__name__ == "AlwaysFirst"
    raise ValueError("the plug-in was there")

plugin = Path(sys.argv[1])
load_file(plugin)
try:
    run_study(loads(sys.argv[2]), out=plugin.parent, jobs=2, plugins=[plugin], runner=runner)
except ValueError as error:
    print(error)
"""


def test_plugins_reach_the_other_processes(tmp_path, scenario_text):
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    text = scenario_text.replace("finder: {", "finder: {router: always-first, ")
    # In a process of its own: a registered policy cannot be taken back.
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(plugin), text], env=env, capture_output=True, text=True
    )
    assert done.stdout == "the plug-in was there\n", done.stderr
