"""Write tests/benchmarks/README.md from the stored results: `python -m tests.benchmarks.summary`."""

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.relaxed_cost import ARCS

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
KINDS = ("group step", "group eval", "lifting step", "lifting eval")


def stored(name: str) -> dict[str, Any]:
    """One result file."""
    return json.loads((HERE / "results" / f"{name}.json").read_text())


def spread(row: dict[str, Any], bound: float = 1.0) -> str:
    """Median and quartiles, in bold where we lose."""
    low, high = row["quartiles"]
    middle = f"{row['ratio']:.2f}" if row["ratio"] <= bound else f"**{row['ratio']:.2f}**"
    return f"{middle} ({low:.2f} to {high:.2f})"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def layers(result: dict[str, Any], of: str = "layers") -> str:
    """Rows of layers: one line per shape, one column per kind of call."""
    shapes: dict[tuple, dict[str, str]] = {}
    for row in result[of]:
        kind, call = row["kind"].split()
        key = (kind, row["channels"], row["pixels"], row["k"], row["n"], row["batch"])
        shapes.setdefault(key, {})[call] = spread(row)
    lines = [[*(str(part) for part in key), found["step"], found["eval"]] for key, found in shapes.items()]
    return table(["layer", "C", "pixels", "k", "n", "batch", "training step", "evaluation, kernels kept"], lines)


def networks(result: dict[str, Any]) -> str:
    """Training steps of whole networks."""
    lines = [
        [f"`{row['network']}`", str(row["batch"]), spread(row), f"{row['ratio_to_ours_dense']:.2f}"]
        for row in result["networks"]
    ]
    return table(["network", "batch", "over the plain writing", "over ours with dense calls"], lines)


def shares(result: dict[str, Any]) -> str:
    """Kernel generation as a share of a step."""
    found = (f"{100 * row['ratio']:.1f} % (C = {row['channels']}, {row['pixels']} px)" for row in result["kernels"])
    return ", ".join(found)


def published(result: dict[str, Any]) -> str:
    """The released code, ours and the plain writing."""
    lines = [
        [
            row["case"], threads, str(row["batch"]), spread(row["ratios"]["ours / published"]),
            spread(row["ratios"]["published / all pairs"], float("inf")),
        ]
        for threads, found in result.items() for row in found["rows"]
    ]  # fmt: skip
    return table(["case", "threads", "batch", "ours / released code", "released code / plain writing"], lines)


def peers(result: dict[str, Any]) -> str:
    """Other people's layers, ours and the plain convolution, in bold where ours lose."""
    lines = [
        [
            name, threads, *(str(row[part]) for part in ("call", "channels", "pixels", "k", "n", "batch")),
            *(str(row["weights"][who]) for who in ("ours", "peer")), spread(row["ratios"]["ours / peer"]),
            spread(row["ratios"]["peer / plain"], float("inf")), spread(row["ratios"]["ours / plain"]),
        ]
        for threads, found in result.items() for name in found for row in found[name]["rows"]
    ]  # fmt: skip
    weights, compared = ("our weights", "its weights"), ("ours / peer", "peer / plain", "ours / plain")
    head = ["peer", "threads", "call", "C", "pixels", "k", "n", "batch", *weights, *compared]
    return table(head, lines)


def sliders() -> str:
    """Slider to changed picture, both faces, then views in space of ours; in bold beyond what is promised."""
    found = {"JupyterLab": stored("slider_latency_lab"), "served": stored("slider_latency_served")}
    spaces = stored("slider_latency_explorers")
    found |= {f"JupyterLab, `{slug}`, drawn in software": spaces[slug] for slug in sorted(spaces)}
    lines = []
    for face, one in found.items():
        p50, p95, *parts = (
            one[f"{part}_ms"]["median"]
            for part in ("total_p50", "total_p95", "compute_p50", "transfer_p50", "draw_p50")
        )
        most = f"{p95:.0f}" if p95 <= one["must_p95_ms"] else f"**{p95:.0f}**"
        lines.append([face, f"{p50:.0f}", most, *(f"{part:.0f}" for part in parts), f"{one['must_p95_ms']:.0f}"])
    return table(["face", "p50 ms", "p95 ms", "compute p50", "transfer p50", "draw p50", "promised p95"], lines)


def moves(result: dict[str, Any]) -> str:
    """What a move of the dearest slider of each explorer costs the process, in bold beyond its bound."""
    dearest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in result["rows"]:
        state = ", ".join(f"{name} {value}" for name, value in row["state"].items()) or "as it opens"
        known = dearest.setdefault((row["explorer"], state), row)
        if row["p95"] > known["p95"]:
            dearest[row["explorer"], state] = row
    lines = [
        [f"`{slug}`", state, f"`{row['control']}`", f"{row['p50']:.0f}",
         f"{row['p95']:.0f}" if row["p95"] <= result["allowed_ms"] else f"**{row['p95']:.0f}**"]
        for (slug, state), row in dearest.items()
    ]  # fmt: skip
    return table(["explorer", "state", "dearest slider", "p50 ms", "p95 ms"], lines)


def audits(result: dict[str, Any]) -> str:
    """What measuring costs over the bare forward passes it needs, in bold beyond its bound."""
    lines = []
    for kind in ("sweep", "lie"):
        for row in result[kind]:
            few = "8 channels" if " 8 channels" in row["network"] else "16 channels and more"
            bound = result["ratio_allowed"]["lie" if kind == "lie" else f"sweep at {few}"]
            lines.append([kind, row["network"], str(row["samples"]), spread(row, bound), f"{bound:g}"])
    return table(["measure", "network", "samples", "over bare passes", "bound"], lines)


def relaxed(result: dict[str, Any]) -> str:
    """Relaxed and partial layers over their strict twins, in bold beyond their bound, with the memory of a step."""
    lines = []
    for kind in ("planar", "turning"):
        for row in result[kind]:
            bound = row["allowed"]
            lines.append([
                "GroupConv, partial" if row["form"] in ARCS
                else {"planar": "RelaxedConv2d", "turning": "RelaxedGroupConv"}[kind], row["form"],
                *(str(row[name]) for name in ("channels", "pixels", "k", "batch", "padding")),
                spread(row, float("inf") if bound is None else bound), "none" if bound is None else f"{bound:g}",
                f"{row['kept_megabytes']:.1f} ({row['twin_megabytes']:.1f})",
            ])  # fmt: skip
    head = ["layer", "form", "C", "pixels", "k", "batch", "padding", "step over the twin", "bound", "MB kept (twin)"]
    return table(head, lines)


def products(result: dict[str, Any]) -> str:
    """The reduced edge product against e3nn's, in bold below a must, with the memory of a step."""
    lines = []
    for row in result["rows"]:
        musts, cells = row["musts"] or {}, []
        for name in ("own", "shared", "forces"):
            found = row.get(name)
            low, high = found["quartiles"] if found else (0, 0)
            bold = "**" if found and found["ratio"] < musts.get(name, 1.0) else ""
            cells.append(f"{bold}{found['ratio']:.1f}{bold} ({low:.1f} to {high:.1f})" if found else "")
        kept = row["kept_megabytes"]
        bounds = f"{musts['own']:g} and {musts['shared']:g}" if musts else "none"
        lines.append([
            str(row["lmax"]), str(row["channels"]), *cells, bounds, f"{row['milliseconds']['own']:.1f}",
            f"{kept['own']:.1f} ({kept['e3nn']:.1f})",
        ])  # fmt: skip
    head = ["L", "C", "own frames", "shared by six", "forces", "at least", "own, ms", "MB kept (e3nn)"]
    return table(head, lines)


def edge_products(result: dict[str, Any]) -> str:
    """The same with weights of each edge, in bold where ours loses."""
    lines = []
    for row in result["edge_rows"]:
        cells = []
        for found in (row["edge"], row.get("edge_forces")):
            bold = "**" if found and found["ratio"] < 1 else ""
            spread = " ({:.1f} to {:.1f})".format(*found["quartiles"]) if found else ""
            cells.append(f"{bold}{found['ratio']:.1f}{bold}{spread}" if found else "")
        kept = row["kept_megabytes"]
        lines.append([
            str(row["lmax"]), str(row["channels"]), *cells, f"{row['milliseconds']['so2']:.1f}",
            f"{kept['so2']:.1f} ({kept['e3nn']:.1f})",
        ])  # fmt: skip
    return table(["L", "C", "own frames", "forces", "own, ms", "MB kept (e3nn)"], lines)


def sizes(held_out: bool) -> list[dict[str, Any]]:
    """Sizes of the choice among ways: those that its prices were fitted to, or the others."""
    return [row for row in stored("choice")["rows"] if row["held_out"] is held_out]


def ways(rows: list[dict[str, Any]], bound: float) -> str:
    """Every way to convolve at every size, over the best, with the one that layers pick, in bold beyond its bound."""
    names = ("dense", "last", "split", "columns", "spectral", "steps")
    lines = []
    for row in rows:
        times, about = row["milliseconds"], (row[name] for name in ("call", "channels", "pixels", "k", "n", "batch"))
        best = min(times.values())
        lines.append([
            row["kind"], *map(str, about), *(f"{times[way] / best:.2f}" if way in times else "" for way in names),
            f"{best:.1f}", row["picked"], spread(row, bound),
        ])  # fmt: skip
    head = ["layer", "call", "C", "pixels", "k", "n", "batch", *names, "best, ms", "picked", "picked over best"]
    return table(head, lines)


def within(rows: list[dict[str, Any]], bound: float) -> str:
    """How many sizes are done within the bound of their best way."""
    return f"{sum(row['ratio'] <= bound for row in rows)} of {len(rows)}"


def page() -> str:
    """The whole page."""
    one, two, imports = stored("group_conv_speed_1"), stored("group_conv_speed_2"), stored("import_cost")
    bound = stored("choice")["within"]
    return f"""# What it costs

Written by `python -m tests.benchmarks.summary` from `results/`; nothing here is typed. Ratios below 1 are faster than
what they are compared with, bold ones are where we lose; in brackets the quartiles over rounds taken in one process.
Machine: {one["environment"]["machine"]}, torch {one["environment"]["torch"]}, CPU time; no accelerator was there, so
nothing on this page was taken on one.

## Layers, over `Conv2d(n C, n C, k)` with fixed weights (lifting: `C, n C`)

`python tests/benchmarks/group_conv_speed.py`, one thread.

{layers(one)}

![cost against batch, k, n and channels](results/group_conv_speed_1.png)

Cost grows as a plain convolution's does, with batch, pixels, and the square of n C; with k it grows as the taps of the
disc, k^2 times pi / 4, or hardly at all where spectra are multiplied. Making the kernels grows with n and C^2 but not
with the batch, so it is what one loses at batch 1. As a share of a step at batch 64: {shares(one)}.

## Separable layers, over the same convolution

`--only separable`. The kernels are products of one over the group and one over the plane, so that mixing and filtering
follow each other; the cost of mixing grows as the square of n C, that of filtering as n C and k^2.

{layers(one, "separable")}

## Layers over groups that stretch, over the same convolution

`--only stretched`; n is rotations x stretches. At k = 15 the smallest kernels of these groups see four pixels around
their centre, the published 7 is too narrow for them and warns. Scale, Sim2 (`RotationScale`), SL and GL+ layers may
cost 1.3 of the plain convolution at equal k and batches of 8 and more.

{layers(one, "stretched")}

## How a convolution is done

`python -m tests.benchmarks.choice`, one thread. Every way over the best one, and the way that layers pick by the prices
of `workbench/layers/choice.py`; bold where that is more than {bound} of the best. *dense* is one call of the plain
convolution, *last* the same on an input with its channels last in memory, *split* a disc as a square block and four
tips, *columns* the taps laid out as channels, *spectral* products of spectra, *steps* mixing and filtering one after
the other, where the kernel is a product. Spectra that would take more than a thirty-second part of the machine's memory
are not made. {within(sizes(False), bound)} sizes are within that bound; rows of few milliseconds change their order
from one run to the next.

{ways(sizes(False), bound)}

The prices were fitted to this table, which therefore shows how well they describe, not how well they foretell. Sizes
that took no part (`--held-out`): {within(sizes(True), bound)} within the bound.

{ways(sizes(True), bound)}

## How cost grows

`python -m tests.benchmarks.growth`, one thread, a training step; one quantity moves, the others stay at n = 8, k = 7,
C = 16, 14 pixels and a batch of 16. The position-relaxed layer wraps around, the others pad zeros.

![time and memory of a step against n, k, channels, batch and image size](results/growth.png)

## Relaxed and partial layers, over their strict twins

`python -m tests.benchmarks.relaxed_cost`, one thread, a training step. The twin of a planar layer is torch's `Conv2d`,
that of a group layer our `GroupConv`. *dial 0* is a dial that stands at 0 and is not trained, *rank R* mixes R filters
place by place, *each place* has a filter for each and no bound, *whole circle* and *half circle* are learned arcs of a
partial layer. Making filters takes a few tenths of a millisecond whatever the batch, which only a step of few
milliseconds feels. Memory is what the forward pass keeps for the backward.

{relaxed(stored("relaxed_cost_1"))}

## Tensor products with the harmonics of edges, over e3nn

`python -m tests.benchmarks.edge_product`, one thread, a training step with gradients of features, weights and edges:
1,000 edges, features of C channels for each degree up to L. Here larger is better: the time of e3nn's
`FullyConnectedTensorProduct` over that of our `EdgeProduct` reduced to SO(2), with Wigner matrices of its own or shared
by six layers, and where gradients are differentiated again to learn forces; bold where ours loses or misses its bound.

{products(stored("edge_product_1"))}

With weights of each edge, channel by channel, as networks make them from distances: e3nn's `TensorProduct` with
instructions "uvu" over ours, whose memory holds numbers for each pair of degrees and each m.

{edge_products(stored("edge_product_1"))}

## Whole networks, a training step with elements drawn anew

The plain writing has one dense convolution call per layer and PyTorch's own modules, as the paper's code; the second
ratio is stricter, ours in everything but the way to convolve.

{networks(one)}

## Beside the released code of Partial G-CNNs

`python -m tests.benchmarks.published_code --folder FOLDER`, where FOLDER holds a copy of it.

{published(stored("published_code"))}

## Beside other people's layers

`python -m tests.benchmarks.peers --folder FOLDER...`, where each FOLDER holds a copy of one; the plain convolution is
`Conv2d(n C, n C, k)`. A step makes kernels anew, an evaluation keeps them where the library can. *escnn* is its
`R2Conv` between C regular fields of C_n, beside our `GroupConv`: alike are channels, k and n, but its kernels are sums
over a basis of limited bandwidth that knows the angles of C_n alone, ours come from a network that answers at every
angle. *separable* is the layer released with separable group convolutions, beside our `SeparableConv`: the same
factorisation, networks and number of weights; that layer keeps no kernels, it makes them in evaluation, too.

{peers(stored("peers"))}

## Two threads

Still CPU time, of both threads, which counts the second one's waiting: what is not spread over threads, such as making
kernels or splitting a disc, weighs double, and the choice among ways was fitted to one thread.

{layers(two)}

{layers(two, "separable")}

{layers(two, "stretched")}

{relaxed(stored("relaxed_cost_2"))}

## Sliders, from the key to the changed picture in a real browser

{sliders()}

## Moves, what they cost the process

`python -m tests.benchmarks.moves`, one thread: new state, numbers and figure, of the dearest slider in each state; the
bound is {stored("moves")["allowed_ms"]:.0f} ms.

{moves(stored("moves"))}

## Audits: error of every module at 36 angles, and Lie derivative of every module

`python tests/benchmarks/audit_cost.py`, one thread; bold beyond the bound. The plain CNN is the one of this house, four
blocks of a 5 x 5 convolution, a norm and a ReLU, of which two are pooled. The hardest case are networks that keep all
pixels to the end and multiply little for each: a comparison costs the same whatever was multiplied.

{audits(stored("audit_cost"))}

![cost of a sweep against modules, angles and samples](results/audit_cost.png)

How the sweep grows, at 16 channels, 3 x 3 and without pooling: with modules, angles and samples as the bare passes do
that it needs anyway; the numbers are the ratio of both.

## Imports

`import workbench` costs {imports["ratio_median"]["workbench"]:.3f} times `import torch`; the promise is at most
{imports["ratio_allowed"]}.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
