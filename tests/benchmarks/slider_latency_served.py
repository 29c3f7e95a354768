"""Slider to changed picture on the served page: `python -m tests.benchmarks.slider_latency_served`.

The clock starts when the page sees the key (capture phase) and stops at the `plotly_afterplot` of the picture whose
`layout.meta` carries the slider's new value. Each move waits for the one before it. Split: *compute* is the explorer's
own time, *draw* is unpacking and `Plotly.react`, *transfer* is everything else: the slider, packing, two crossings of
the server. `--explorer SLUG:CONTROL:STEP` moves a slider of a real explorer instead of the stated 20 ms, to and fro
between its ends: of a short range most values come again and are remembered, so that the 95th percentile tells the
first moves. `--explorer audit?network=resnet18:sigma_px:0.1` opens a page at a state of its permalink.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tests.chromium import Chromium, with_profile
from tests.dashboards.serving import serving
from workbench.commands.browser import REMEDY, find_browser

RESULTS = Path(__file__).parent / "results" / "slider_latency_served.json"
MUST_P95, AIM_P95, AIM_P50 = 130.0, 100.0, 60.0  # ms
STATED = "tests.benchmarks.latency_explorer:Waves"
NOISE = 15  # runs of the fixed piece of work that tells how busy the machine is

# The picture sits in a shadow root; a move is finished when the picture that answers its ticket is drawn.
LISTEN = """(control) => {
  const find = (root) => {
    for (const el of root.querySelectorAll('*')) {
      if (el.classList.contains('js-plotly-plot')) return el;
      const inner = el.shadowRoot && find(el.shadowRoot);
      if (inner) return inner;
    }
    return null;
  };
  const plot = find(document);
  window.moves = [];
  window.plot = plot;
  window.shown = () => Number(plot.layout.meta.state[control]);
  window.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
  plot.on('plotly_afterplot', () => {
    const now = performance.now(), { received, compute_ms, pack_ms } = plot.layout.meta;
    window.moves.push({
      value: window.shown(), total: now - window.pressed, compute: compute_ms, pack: pack_ms, draw: now - received,
    });
  });
}"""
# The first picture since the key that shows the new value: a slider that turns back shows each value again.
LAST = """([value, before]) =>
  window.moves.slice(before).find((one) => Math.abs(one.value - value) < 1e-6) || null"""


def measure(page: Any, control: str, step: float, moves: int, warm: int = 10) -> dict[str, list[float]]:
    """Move a slider by the arrow keys, to and fro between its ends, one move after the other; ms per move and part."""
    page.evaluate(LISTEN, control)
    slider = page.locator(f"[data-name={control}] input[type=range]")
    low, high = (float(slider.get_attribute(end)) for end in ("min", "max"))
    slider.focus()
    parts: dict[str, list[float]] = {"total": [], "compute": [], "transfer": [], "draw": []}
    value, key = page.evaluate("window.shown()"), "ArrowRight"
    for index in range(warm + moves):
        if not low - 1e-9 <= value + step <= high + 1e-9:
            key, step = {"ArrowRight": "ArrowLeft", "ArrowLeft": "ArrowRight"}[key], -step
        value += step
        before = page.evaluate("window.moves.length")
        page.keyboard.press(key)
        seen = page.wait_for_function(LAST, arg=[value, before], polling=20).json_value()
        if index >= warm:
            seen["transfer"] = seen["total"] - seen["compute"] - seen["draw"]
            for name, times in parts.items():
                times.append(seen[name])
        time.sleep(0.12)  # let the page come to rest, as between two presses of a finger
    return parts


def run(explorer: str, path: str, control: str, step: float, moves: int) -> dict[str, list[float]]:
    """One run: a fresh server and browser."""
    from playwright.sync_api import sync_playwright

    executable = find_browser()
    if executable is None:
        raise SystemExit(REMEDY)
    names = [explorer] if explorer else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        with serving(*names) as address:
            browser = Chromium(with_profile(playwright, executable, Path(folder) / "profile"), Path(folder))
            try:
                browser.page.goto(address + path)
                browser.page.wait_for_selector(".js-plotly-plot .main-svg", timeout=60_000)
                return measure(browser.page, control, step, moves)
            finally:
                browser.close()


def busyness() -> float:
    """Milliseconds of a fixed piece of work: about 5 on a quiet machine; told beside every result."""
    times = []
    for _ in range(NOISE):
        begin = time.perf_counter()
        sum(i * i for i in range(60_000))
        times.append((time.perf_counter() - begin) * 1e3)
    return round(float(np.percentile(times, 95)), 1)


def scheduling() -> str:
    """How the system treats this process and its children: on a busy machine they may have been put first."""
    policies = {os.SCHED_OTHER: "normal", os.SCHED_RR: "real time, round robin", os.SCHED_FIFO: "real time"}
    return f"{policies.get(os.sched_getscheduler(0), 'other')}, niceness {os.nice(0)}"


def summary(runs: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Median over the runs of each run's p50 and p95, with their spread."""
    report: dict[str, Any] = {}
    for part in runs[0]:
        for percentile in (50, 95):
            each = [float(np.percentile(one[part], percentile)) for one in runs]
            report[f"{part}_p{percentile}_ms"] = {
                "median": round(statistics.median(each), 1),
                "runs": [round(value, 1) for value in each],
            }
    return report


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--moves", type=int, default=80)
    options.add_argument("--explorer", help="SLUG:CONTROL:STEP of a real explorer; printed, not stored")
    options.add_argument("--no-store", action="store_true", help="print only")
    given = options.parse_args()
    name, path, control, step = STATED, "waves", "angle_deg", 1.0
    if given.explorer:
        path, control, text = given.explorer.split(":")
        name, step = "", float(text)
    load, busy = os.getloadavg()[0], busyness()
    runs = [run(name, path, control, step, given.moves) for _ in range(given.runs)]
    what = "8 kernels of 64x64 and 3 curves, 20 ms of compute" if name else given.explorer
    report = {
        "what": f"slider key to changed picture, served by Panel, {what}",
        "must_p95_ms": MUST_P95,
        "aim_p95_ms": AIM_P95,
        "aim_p50_ms": AIM_P50,
        "moves_per_run": given.moves,
        **summary(runs),
        "load_average_before": round(load, 2),
        "fixed_work_p95_ms": busy,
        "scheduling": scheduling(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("panel", "bokeh", "plotly", "tornado")},
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if name and not given.no_store:
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
