"""One HTML file that says it all: it opens offline, prints, and needs no eyes; every text in it is escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from workbench import __version__
from workbench.audit.answer import words
from workbench.audit.data_look import data_line, data_sentence
from workbench.audit.data_report import data_sections
from workbench.audit.evidence import on_samples, task_rows
from workbench.audit.figures import ABSOLUTE, MOST_ROWS, Picture, Table, element_tables, pictures, section
from workbench.audit.kinds import AXES, NOUNS, PLACES
from workbench.audit.result import AuditResult, Verdict
from workbench.audit.rounding import told_rounding
from workbench.audit.slots import SLOT_BY_SLOT, SLOTS
from workbench.audit.trial import NOISE
from workbench.audit.upfront import by_reason, noise_left, stochastic
from workbench.audit.words import HIDDEN, PIXELS, both, percent, shown

_HERE = Path(__file__).parent / "assets"
MOST_MODULES = 12
_SINGLE = ["error_before", "error_repaired", "share_all", "share_all_low", "share_all_high"]


def levels_of(kind: str) -> dict[str, str]:
    """The levels of a verdict in words, for such samples."""
    floor = f"holds as far as {PLACES[kind]} allow"
    return {"exact": "holds exactly", "floor": floor, "close": "nearly holds", "broken": "broken", "chance": HIDDEN}


def write_report(result: AuditResult, path: str | os.PathLike) -> Path:
    """Write the report of an audit as one HTML file, the old one or the whole new one, and give its path.

    Raises:
        TypeError: for anything but the result of an audit.
        FileNotFoundError: for a folder that does not exist.
    """
    return write_whole(report_html(result), Path(path))


def write_whole(page: str, target: Path) -> Path:
    """Write a page, the old one or the whole new one, and give its path."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder of {target} does not exist; expected an existing one; create it first.")
    content = page.encode()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def report_html(result: AuditResult) -> str:
    """The report of an audit as one HTML document.

    Raises:
        TypeError: for anything but the result of an audit.
    """
    if not isinstance(result, AuditResult):
        raise TypeError(f"a {type(result).__name__} was given; expected the result of workbench.audit.audit.")
    drawn, nouns = pictures(result), NOUNS[result.data.input]
    return template("report.html").render(
        result=result,
        version=__version__,
        levels=levels_of(result.data.input),
        nouns=nouns,
        both=lambda error, absolute: both(error, absolute, result.verdicts[0].unit),
        elements=element_tables(result),
        verdicts=_verdict_table(result),
        more=_more(result),
        remedies=_rows(result.remedies, "remedy"),
        findings=_finding_rows(result),
        fixes_on=on_samples(result.findings if "fixes" not in result.more else result.more["fixes"], nouns)
        if result.findings is not None
        else "",
        decisions=_decisions(result),
        groups=list(result.groups()),
        method=_method(result),
        data_told=[] if (asked := result.more.get("data")) is None else [data_sentence(asked), data_line(asked)],
        **fixtures(drawn),
    )


def fixtures(drawn: list[Picture]) -> dict[str, Any]:
    """What every page with pictures needs: look, script, plotly where it is used, their marks, and the figures."""
    script = (_HERE / "report.js").read_text("utf-8")
    plotly = _plotly() if drawn else ""
    return {
        "style": (_HERE / "report.css").read_text("utf-8"),
        "script": script,
        "plotly": plotly,
        "marks": " ".join(f"'sha256-{_mark(text)}'" for text in (script, plotly) if text),
        "pictures": drawn,
        "figures": {picture.name: _inert(picture) for picture in drawn},
    }


def _plotly() -> str:
    """plotly.js as it may stand inside a script element."""
    import plotly

    source = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_text("utf-8")
    return source.replace("</script", "<\\/script")


def _mark(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _inert(picture: Picture) -> str:
    """A figure as JSON that cannot end its script element, whatever its names hold."""
    import plotly.io as pio

    text = pio.to_json(picture.figure, validate=False, engine="json")
    json.loads(text)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@lru_cache(maxsize=2)
def template(name: str) -> Any:
    """A page in which every text is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _finding_rows(result: AuditResult) -> list[dict[str, Any]]:
    """The findings, with what each fix removes where that was measured."""
    measured = result.more.get("fixes")
    rows = _rows(result.findings if measured is None else measured.drop_vars(_SINGLE), "finding")
    for row in rows:
        if "share" not in row:
            row["removes"] = "not measured"
        elif not np.isfinite(row["share"]):
            by_hand = row["note"].startswith("no replacement is known")
            row["removes"] = "not measured: it is done by hand" if by_hand else row["note"] or "not measured"
        else:
            ends = f" ({row['share_low']:.0%} to {row['share_high']:.0%})" if np.isfinite(row["share_low"]) else ""
            row["removes"] = f"{row['share']:.0%}{ends}{'' if shown(row['share_low']) else ', not measurable'}"
    return rows


def _more(result: AuditResult) -> list[dict[str, Any]]:
    """Further sections, each with sentences and a table."""
    found = []
    if "task" in result.more:
        ds = result.more["task"]
        head = ("moved by", "accuracy", "accuracy lost", "95 % interval, paired", "loss gained")
        right = f"{float(ds.accuracy_still):.0%} of {ds.sizes['sample']}"
        told = [f"As the images are, {right} are right. The labels are taken to stay what they are."]
        if result.data.classes:
            told.append("Labels are numbered in the order of the folder's names; the network must number them alike.")
        found.append(
            section(
                "What it costs the task", told, Table("Accuracy and loss under each move", head, tuple(task_rows(ds)))
            )
        )
    if result.unseen:
        found.append(_unseen(result))
    if "attribution" in result.more:
        found.append(_attribution(result.more["attribution"]))
    if "Lie derivative" in result.more:
        found.append(_lie(result.more["Lie derivative"]))
    if "data" in result.more:
        found += data_sections(result.more["data"])
    return found


def _unseen(result: AuditResult) -> dict[str, Any]:
    """Layers that could not be compared, with the reason."""
    rows = tuple((", ".join(names), why) for why, names in by_reason(result.unseen).items())
    told = [result.unseen_line]
    if "attribution" in result.more:
        told.append("Among the shares of modules below, theirs is counted with the next module that was compared.")
    table = Table("Layers that could not be compared, by reason", ("layers", "why"), rows)
    return section("Layers that could not be compared", told, table, "Their names and the reasons as a table")


def _attribution(ds: Any) -> dict[str, Any]:
    share = ds.contribution_mean.values
    order = np.argsort(-np.abs(share).max(1))[:MOST_MODULES]
    moves = ("a quarter turn", "a left-right flip")
    hidden = ds.hidden.values if "hidden" in ds.variables else np.full(ds.sizes["layer"], "")
    counted = ("counted with it, because it could not be compared",) if any(map(str, hidden)) else ()
    head = ("module", *(h for move in moves for h in (move, "95 % interval")), *counted)
    rows = tuple(
        (
            str(ds.layer.values[at]),
            *(c for t in range(len(moves)) for c in (f"{share[at, t]:.2g}", _ends(ds, "contribution", at, t))),
            *([str(hidden[at]) or "nothing"] if counted else []),
        )
        for at in order
    )
    note = f"showing {len(order)} of {ds.sizes['layer']} modules, the largest" if len(order) < ds.sizes["layer"] else ""
    whole = " and ".join(f"{float(ds.whole[t]):.2g} for {move}" for t, move in enumerate(moves))
    told = [
        f"Measured on {on_samples(ds)}; the intervals are of their mean.",
        f"The shares of all modules add up to the whole error: {whole}. A negative share takes back error of others.",
        "A share holds also what functions since the module before it bring in"
        + (", and modules that could not be compared." if counted else "."),
    ]
    return section("Which module brings the error in", told, Table("Share in the error at the end", head, rows, note))


def _ends(ds: Any, name: str, *at: int) -> str:
    low, high = (float(ds[f"{name}_{end}"].values[at]) for end in ("low", "high"))
    return f"{low:.2g} to {high:.2g}" if np.isfinite(low) else "one sample"


def _lie(ds: Any) -> dict[str, Any]:
    absolute = ds.absolute_lie.mean("sample").values
    rows = tuple(
        (str(name), f"{float(ds.lie_mean[at]):.3g}", _ends(ds, "lie", at), f"{absolute[at]:.3g}")
        for at, name in enumerate(ds.layer.values)
    )
    note = f"showing {MOST_ROWS} of {len(rows)} layers" if len(rows) > MOST_ROWS else ""
    told = [
        f"Turning by a small angle t changes the answer by about t times {float(ds.lie_mean[-1]):.2g} (t in radians, "
        f"relative error; {absolute[-1]:.2g} t in its own units): the Lie derivative, measured without any resampling "
        "in two passes.",
        f"Measured on {on_samples(ds)}.",
    ]
    head = ("layer", "Lie derivative [1/rad]", "95 % interval", "absolute [units of its output/rad]")
    return section(
        "An infinitely small rotation", told, Table("Lie derivative behind every layer", head, rows[-MOST_ROWS:], note)
    )


def _verdict_table(result: AuditResult) -> Table:
    levels = levels_of(result.data.input)
    rows = tuple(
        (
            verdict.question,
            levels[verdict.level],
            f"{verdict.error:.3g}",
            f"{verdict.low:.3g} to {verdict.high:.3g}" if len(result.data.inputs) > 1 else "one sample",
            f"{verdict.absolute:.3g}",
            verdict.at,
            _floor_cell(result, verdict),
            f"{verdict.error / verdict.floor:.3g}" if verdict.floor else "no floor",
        )
        for verdict in result.verdicts
    )
    absolute = "absolute error [px]" if result.verdicts[0].unit == PIXELS else ABSOLUTE
    head = (
        "question", "answer", "mean relative error", "95 % interval", absolute, "at", "resampling floor",
        "error over floor",
    )  # fmt: skip
    return Table("What was asked, and the error at the worst element", head, rows)


def _floor_cell(result: AuditResult, verdict: Verdict) -> str:
    """What resampling costs at the element that a verdict tells, or why it costs nothing."""
    if verdict.floor:
        return f"{verdict.floor:.3g}"
    sweep, places = result.sweeps[verdict.question].sel(layer="output"), PLACES[result.data.input]
    named = [at for at in range(sweep.sizes["transform"]) if words(sweep, at) == verdict.at]
    at = min(named, key=lambda one: abs(float(sweep.error_mean[one]) - verdict.error))
    floor = float(sweep.input_floor_mean[at])
    if not floor:
        return f"0 ({places} move onto {places})"
    return f"none of the output, which moves without resampling; input {floor:.3g}"


def _rows(ds: Any, dim: str) -> list[dict[str, Any]]:
    if ds is None:
        return []
    names = [str(name) for name in ds.variables]
    return [{name: ds[name].values[at].item() if isinstance(ds[name].values[at], np.generic) else ds[name].values[at]
             for name in names} for at in range(ds.sizes[dim])]  # fmt: skip


def _decisions(result: AuditResult) -> Table | None:
    if result.decisions is None:
        return None
    ds = result.decisions
    rows = tuple(
        (
            str(ds.what.values[i]),
            f"{float(ds.changed[i]):.0%}",
            f"{float(ds.changed_low[i]):.0%} to {float(ds.changed_high[i]):.0%}",
        )
        for i in range(ds.sizes["transform"])
    )
    caption = (
        f"Share of {ds.attrs['samples']} images whose predicted class changes; the answers to two different images "
        f"differ by {percent(float(ds.attrs['spread']))}"
    )
    return Table(caption, ("moved by", "class changes", "95 % interval"), rows)


def _output(attrs: dict[str, Any]) -> str:
    """How the output was taken to move, and how sure that is."""
    told = str(attrs.get("output", "unknown"))
    sure = f", confidence {float(attrs['output_confidence']):.0%}" if "output_confidence" in attrs else ""
    return f"{told}{sure}" + (f": {attrs['output_why']}" if attrs.get("output_why") else "")


def _unit(result: AuditResult) -> str:
    return "pixels of the input" if result.verdicts[0].unit == PIXELS else "units of the output"


def _chance(result: AuditResult) -> str:
    """How much two runs differ under each question, and over how many runs each number is averaged."""
    return "; ".join(
        f"{name}: two runs differ by {percent(stochastic(ds))}, {int(ds.attrs.get('repeats', 1))} runs averaged, which "
        f"leaves {percent(noise_left(ds))}"
        for name, ds in result.sweeps.items()
    )


_CONVENTIONS = {
    "image": "angles counter-clockwise on screen; shifts right and up; left action (L_g f)(p) = f(g^-1 p)",
    "series": "shifts towards later samples; factors above 1 slow down; left action (L_g f)(t) = f(g^-1 t)",
    "points": "each point p moves to g p, angles counter-clockwise; shifts in the units of the points",
    "set": "a permutation g brings member i to place g(i)",
}


def _exact(result: AuditResult, rounding: str) -> str:
    if rounding:
        return f"nothing is called so in half precision: {rounding}, and less cannot be told from it"
    return f"a relative error up to {result.limit:.0e}, which rounding alone can make in a deep network"


def _method(result: AuditResult) -> list[tuple[str, str]]:
    first = next(iter(result.sweeps.values()))
    attrs = first.attrs
    data, nouns = result.data, NOUNS[result.data.input]
    several = len({str(ds.attrs["output"]) for ds in result.sweeps.values()}) > 1
    told_of = result.sweeps if several else {"": first}
    each = {name: (ds.attrs["mask"], ds.attrs["padding"]) for name, ds in result.sweeps.items()}
    told = [
        ("Network", f"{result.model.name} ({result.model.how})"),
        (nouns.capitalize(), f"{data.name} ({data.kind}); {len(data.inputs)} of {data.of} used"),
        ("Input", f"{' x '.join(str(side) for side in data.inputs.shape[1:])} ({AXES[data.input]})"),
        ("Relative error", f"|f(g x) - g f(x)| / |g f(x)| of each, then the mean over {nouns}"),
        ("Absolute error", f"the root mean square of the numbers of f(g x) - g f(x), in {_unit(result)}"),
        *[(f"Output, {name}" if several else "Output", _output(ds.attrs)) for name, ds in told_of.items()],
        *([("Compared", SLOT_BY_SLOT)] if any(SLOTS in verdict.sentence for verdict in result.verdicts) else []),
        *([("Chance", _chance(result))] if any(stochastic(ds) > NOISE for ds in result.sweeps.values()) else []),
        ("Interval", f"95 %, of the mean over {nouns}"),
        ("Floors", "the round trip there and back of the input, and of the output: what resampling alone changes"),
        ("Exact", _exact(result, told_rounding(first))),
        ("Resampler", str(attrs["resampler"])),
        ("Mask, padding", "; ".join(f"{name}: {mask}, {padding}" for name, (mask, padding) in each.items())),
        ("Conventions", _CONVENTIONS[data.input]),
        ("Seed, precision", f"{attrs['seed']}, {attrs['dtype']}"),
        ("Versions", f"workbench {attrs['workbench_version']}, torch {attrs['torch_version']}"),
    ]
    if result.cost is not None:
        total = {name: int(result.cost[name].sum()) for name in ("parameters", "multiply_adds")}
        told.append(("Size", f"{total['parameters']:,} parameters, {total['multiply_adds']:,} multiply-adds a sample"))
    return told
