"""`stratus trace` as a user types it."""

import json

import pytest

from sim.cli.main import main
from sim.saas.jobtraces.formats import Trace

HELIOS = """job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue
1,u,vc\x1b[31mA,8,64,1,COMPLETED,2020-06-09 18:00:00,2020-06-09 18:00:10,2020-06-09 19:00:10,3600,10
2,u,vcB,many,4,1,FAILED,2020-06-09 18:00:05,2020-06-09 18:00:05,2020-06-09 18:00:05,0,0
3,u,vcB,1,4,1,FAILED,2020-06-09 17:00:05,2020-06-09 17:00:05,2020-06-09 17:01:05,60,0
"""


@pytest.fixture
def stratus(capsys):
    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def helios(tmp_path):
    path = tmp_path / "cluster_log.csv"
    path.write_text(HELIOS)
    return path


def test_inspect_tells_format_rows_sizes_and_the_first_bad_row(stratus, helios):
    code, out, err = stratus("trace", "inspect", helios)
    assert (code, err) == (0, "")
    for part in ("helios: SenseTime Helios 2020", "bad rows", "vcB", "not by time", "accelerators of a job"):
        assert part in out
    assert f"first bad row: {helios}:3:1: gpu_num: expected a number, 0 or more, got 'many'" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("width", [20, 40, 200])
def test_inspect_fits_narrow_terminals(stratus, helios, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = stratus("trace", "inspect", helios)
    assert code == 0
    paths = ("first bad row", str(helios))
    lines = [line for line in out.splitlines() if not any(path in line for path in paths)]
    assert max(map(len, lines)) <= width


def test_inspect_as_json_is_one_object(stratus, helios):
    code, out, _ = stratus("trace", "inspect", "--json", helios)
    found = json.loads(out)
    assert (code, found["version"], found["format"], found["jobs"], found["bad_rows"]) == (
        0,
        1,
        "helios",
        2,
        1,
    )
    assert found["accelerators"] == {"1": 1, "8": 1}
    assert found["accelerator_hours"] == pytest.approx(8 + 60 / 3600)


def test_a_bad_row_can_stop_and_is_exit_code_three(stratus, helios):
    code, out, err = stratus("trace", "inspect", "--on-bad-row", "stop", helios)
    assert (code, out) == (3, "")
    assert "cluster_log.csv:3:1: gpu_num" in err and "1 fault" in err


def test_convert_writes_plain_rows_in_order_or_nothing(stratus, helios, tmp_path):
    target = tmp_path / "plain.csv"
    code, out, err = stratus("trace", "convert", helios, "-o", target)
    assert (code, out) == (3, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster_log.csv"]
    code, out, err = stratus("trace", "convert", helios, "--on-bad-row", "skip", "-o", target)
    assert (code, out) == (0, f"{target}\n")
    assert "2 jobs" in err and "1 bad row skipped; the first:" in err
    first, second = Trace(target).jobs()
    # 17:00:05 and 18:00:00, counted from midnight.
    assert (first.arrival, second.arrival, second.workers, second.cpu) == (61205.0, 64800.0, 8, 8.0)
    code, out, _ = stratus("trace", "convert", helios, "--on-bad-row", "skip")
    assert out == target.read_text()


def test_generate_repeats_with_its_seed(stratus, tmp_path):
    code, first, _ = stratus("trace", "generate", "helios", "--jobs", 20)
    assert code == 0 and len(first.splitlines()) == 21
    assert stratus("trace", "generate", "helios", "--jobs", 20)[1] == first
    assert stratus("trace", "generate", "helios", "--jobs", 20, "--seed", 2)[1] != first
    target = tmp_path / "g.csv"
    assert stratus("trace", "generate", "gavel", "--rate", "60/h", "-o", target)[0] == 0
    assert len(list(Trace(target).jobs())) == 1000


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("generate", "hellios"), 2, 'did you mean "helios"?'),
        (("generate", "gavel"), 2, "gavel needs a rate above 0"),
        (("generate", "helios", "--rate", "fast"), 2, "--rate:"),
        (("inspect", "none.csv"), 3, "cannot be read: No such file"),
        (("inspect", "."), 3, "cannot be read: Is a directory"),
        (("inspect", "x", "--format", "swff"), 2, 'did you mean "swf"?'),
        (("convert", "x", "--throughputs", "none.json"), 3, "none.json: cannot be read"),
        (("look",), 2, "No such command 'look'"),
    ],
)
def test_wrong_command_lines_are_told(stratus, arguments, code, part):
    got, out, err = stratus("trace", *arguments)
    assert (got, out) == (code, "")
    assert part in err


def test_a_csv_of_ones_own_is_read_by_the_names_of_its_columns(stratus, tmp_path):
    path = tmp_path / "own.csv"
    rows = [
        "submit,gpus,secs,colour",
        "2023-05-17 11:00:58+00:00,64,18,red",
        "2023-05-17 11:21:32+00:00,8,19,",
    ]
    path.write_text("\n".join(rows))
    names = ("--column", "submit=arrival_s", "--column", "gpus=workers", "--column", "secs=duration_s")
    code, out, err = stratus("trace", "convert", path, *names)
    assert (code, err) == (0, "")
    rows = [line.split(",")[1:4] for line in out.splitlines()[1:]]
    assert rows == [["39658", "18", "64"], ["40892", "19", "8"]]
    code, _, err = stratus("trace", "convert", path, "--column", "submit=arival_s")
    assert code == 2 and "no plain column is called 'arival_s' (did you mean \"arrival_s\"?)" in err
    code, _, err = stratus("trace", "convert", path, "--column", "submit")
    assert code == 2 and "expected NAME=PLAIN" in err
    code, _, err = stratus("trace", "inspect", path, "--format", "swf", "--column", "submit=arrival_s")
    assert code == 2 and "swf has its own names" in err
    code, _, err = stratus("trace", "inspect", path, "--column", "when=arrival_s")
    assert code == 3 and "no column 'arrival_s'" in err


def test_a_folder_that_does_not_exist_is_told(stratus, tmp_path):
    code, _, err = stratus("trace", "generate", "helios", "-o", tmp_path / "none" / "x.csv")
    assert code == 2 and "cannot be written: No such file or directory" in err
