"""Make the gallery again: run every shipped scenario and keep its page and its two CSV files.

    python reports/make_gallery.py [SCENARIO.yaml ...]

Takes a few minutes. With Chromium installed it also takes the screenshot that the README shows.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sim.report import render
from sim.scenario.load import load
from sim.study.execute import run_study

ROOT = Path(__file__).parent
KEPT = ("report.html", "latency.csv", "utilization.csv")
BROWSER = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,1180")


def main(files: list[Path]) -> None:
    """Run the scenarios and replace what the gallery shows of them."""
    with tempfile.TemporaryDirectory() as work:
        for file in files:
            folder = run_study(load(file), out=Path(work), jobs=2, finish=render)
            place = ROOT / "gallery" / file.stem
            place.mkdir(parents=True, exist_ok=True)
            for name in KEPT:
                shutil.copyfile(folder / name, place / name)
            print(f"{place}: {sum((place / name).stat().st_size for name in KEPT) / 1e3:.0f} kB")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser:
        page = (ROOT / "gallery" / "edge_vs_cloud" / "report.html").resolve().as_uri()
        picture = ROOT.parent / "docs" / "report.png"
        subprocess.run([browser, *BROWSER, f"--screenshot={picture}", page], check=True, capture_output=True)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or sorted((ROOT.parent / "scenarios").glob("*.yaml")))
