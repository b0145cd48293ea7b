"""The folder of a study's results: written once, complete or not at all, and read back.

    manifest.json                 what was run, with what, how it ended, checksums of all tables
    scenario.resolved.yaml        the scenario with every default filled in
    summary.json                  every metric of every cell, differences, the answer
    utilization.csv latency.csv   the metrics people ask for first, one row a cell and metric
    tables/<table>/arm=<arm>/<axis>=<value>/replication=<r>/part.parquet
    series/arm=<arm>/<axis>=<value>/replication=<r>.json     curves over time, distributions

The tables are Hive-partitioned, as pandas, Polars, DuckDB and Spark read them. Nothing but
`manifest.json` holds a wall-clock value, so all other files of two equal studies are equal byte by byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.errors import ResultsError
from sim.tables import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

#: Version of the folder's layout and of the meaning of its numbers; raised when either changes.
VERSION = 1

#: Name and columns of the table of step changes, kept beside those of `sim.tables`.
STEPS = "steps"


def dump(path: Path, content: Any) -> None:
    """Write JSON in the one form used in results: readable, in order, NaN refused."""
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def series_path(folder: str, replication: int) -> str:
    """Where a run's curves are, relative to the results."""
    return f"series/{folder}/replication={replication}.json"


def table_path(table: str, folder: str, replication: int) -> str:
    """Where a run's table is, relative to the results."""
    return f"tables/{table}/{folder}/replication={replication}/part.parquet"


class Results:
    """A finished study, read from its folder.

    Tables and curves are read only when asked for.

    Attributes:
        folder: where it is.
        manifest: content of `manifest.json`.
        summary: content of `summary.json`.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.manifest: dict[str, Any] = self._versioned("manifest.json")
        self.summary: dict[str, Any] = self._versioned("summary.json")

    def _versioned(self, name: str) -> dict[str, Any]:
        content = self._json(name)
        version = content.get("results_version") if isinstance(content, dict) else None
        if not isinstance(content, dict) or version is None:
            raise ResultsError(f"{self.folder / name} is not that of a results folder")
        if version != VERSION:
            raise ResultsError(
                f"{self.folder}: results of version {version}; this Stratus reads version {VERSION}"
            )
        return content

    def _json(self, name: str) -> Any:
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ResultsError(f"{self.folder} is not a results folder: it has no {name}") from None
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path} cannot be read: {error}") from error

    @property
    def scenario_text(self) -> str:
        """The effective scenario, every default filled in, as YAML."""
        path = self.folder / "scenario.resolved.yaml"
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise ResultsError(f"{path} cannot be read: {error}") from error

    def runs(self, cell: int | None = None) -> Iterator[dict[str, Any]]:
        """Finished runs (of one cell), as the manifest describes them."""
        for run in self.manifest["runs"]:
            if cell is None or run["cell"] == cell:
                yield run

    def series(self, cell: int, replication: int) -> dict[str, Any]:
        """Curves of one run, as `sim.stats.series.binned` made them.

        Raises:
            ResultsError: there is no such run.
        """
        found: dict[str, Any] = self._json(self._run(cell, replication)["series"])
        return found

    def table(self, name: str, cell: int, replication: int) -> pa.Table:
        """One table of one run; `steps` is the table of step changes.

        Raises:
            ResultsError: no such table or run, or its tables were not kept.
        """
        if name != STEPS and name not in TABLES:
            raise ResultsError(f"no table {name!r}; there are {', '.join([*TABLES, STEPS])}")
        run = self._run(cell, replication)
        if not run["kept"]:
            raise ResultsError(
                f"the tables of replication {replication} were not kept; run the study with all tables kept"
            )
        from sim.study import tables

        path = self.folder / table_path(name, run["folder"], replication)
        return tables.read(path) if path.exists() else tables.empty(name)

    def _run(self, cell: int, replication: int) -> Mapping[str, Any]:
        for run in self.runs(cell):
            if run["replication"] == replication:
                return run
        raise ResultsError(f"{self.folder} has no replication {replication} of cell {cell}")
