"""Recover the arcs of data sets whose arcs are known, over seeds, and store what came out.

Run: python tests/benchmarks/data_intervals.py [--seeds 5]. The result lies in data/audit/data_intervals.nc; the promise
is an arc within 10 degrees of the truth at 1,000 pictures, or the word "not resolvable". A seed draws the angles, the
pictures that take part, the halves and the bootstrap. 6-180 has 362 pictures and the rendered digits 960, which are
then all taken.

The number of pictures that is said to be needed is checked apart: it is asked of the first 100 pictures of a set as a
whole, and of twice as many as it says, where there are so many. That lies in data/audit/data_needed.nc.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from workbench.datasets import ImageSet, load
from workbench.measure import labelled, provenance, save
from workbench.measure.data_features import OrbitFeatures, orbit_features
from workbench.measure.data_symmetry import data_symmetry, table_symmetry

RESULT = Path(__file__).resolve().parents[2] / "data" / "audit" / "data_intervals.nc"
NEEDED = RESULT.with_name("data_needed.nc")
PICTURES = 1000
FIRST = 100
PERMUTATIONS = 4399


def digits(half_width: float, seed: int) -> ImageSet:
    return load("digits-interval", half_widths_deg={}, otherwise_deg=half_width, seed=seed)


# Set -> how it is made from a seed, and the half width of each of its classes in degrees.
SETS = {
    "digits as written": (lambda seed: digits(0.0, seed), [0.0] * 10),
    "digits within 30": (lambda seed: digits(30.0, seed), [30.0] * 10),
    "digits within 60": (lambda seed: digits(60.0, seed), [60.0] * 10),
    "digits within 90": (lambda seed: digits(90.0, seed), [90.0] * 10),
    "digits within 120": (lambda seed: digits(120.0, seed), [120.0] * 10),
    "digits all round": (lambda seed: digits(180.0, seed), [180.0] * 10),
    "digit c within 18 c": (
        lambda seed: load(
            "digits-interval", half_widths_deg={str(c): 18.0 * c for c in range(10)}, otherwise_deg=0, seed=seed
        ),
        [18.0 * c for c in range(10)],
    ),
    "rendered digits": (lambda seed: load("glyphs", size=16, characters="digits", seed=seed), [0.0] * 10),
    "6-180": (lambda seed: load("6-180", seed=seed), [0.0] * 2),
    "6-180 within 30": (lambda seed: load("6-180", rotate_deg=30.0, seed=seed), [30.0] * 2),
}


def some(data: ImageSet, seed: int, count: int = PICTURES) -> tuple[torch.Tensor, torch.Tensor]:
    """A random part of all three splits."""
    images, labels = (torch.cat([part[at] for part in data.splits.values()]) for at in (0, 1))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]
    return images[order], labels[order]


def recover(name: str, seed: int) -> list[dict]:
    """One row for the whole and one for each class."""
    make, truth = SETS[name]
    data = make(seed)
    images, labels = some(data, seed)
    ds = data_symmetry(
        images, labels, classes=data.classes, permutations=PERMUTATIONS, power_repeats=0, input_kind=name, seed=seed
    )
    # As a whole, a set whose classes differ is no arc.
    known = [truth[0] if len(set(truth)) == 1 else np.nan, *truth]
    keys = ("arc_half_width_deg", "arc_low_deg", "arc_high_deg", "upside_down_share", "pictures")
    rows = []
    for at, width in enumerate(known):
        row = {key: float(ds[key][at]) for key in keys} | {"truth_deg": width, "set": name, "seed": seed}
        row |= {"class_name": str(ds["class"].values[at]), "verdict": str(ds["verdict"].values[at])}
        row |= {"resolvable": bool(ds["resolvable"][at]), "rejected": bool(ds["rejected"][at])}
        row |= {"needed": float(ds["arc_needed"][at])}
        rows.append(row | {"floor_p": float(ds["floor_p"][at].min())})
    return rows


def foretold(name: str, seed: int) -> dict:
    """What the first pictures say is needed, the reach there, and that of the interval at twice as many."""
    images, _ = some(SETS[name][0](seed), seed)
    table = orbit_features(images)
    few = one(table, FIRST, seed)
    needed, there = float(few["arc_needed"][0]), len(images)
    twice = max(FIRST, int(2 * needed))
    later = one(table, twice, seed) if twice <= there else None
    reach = [float(max(ds["arc_high_deg"][0] - ds["arc_half_width_deg"][0],
                       ds["arc_half_width_deg"][0] - ds["arc_low_deg"][0])) if ds is not None else np.nan
             for ds in (few, later)]  # fmt: skip
    return {
        "set": name,
        "seed": seed,
        "needed": needed,
        "there_are": there,
        "reach": reach[0],
        "reach_at_twice": reach[1],
    }


def one(table: OrbitFeatures, count: int, seed: int) -> xr.Dataset:
    return table_symmetry(table.take(torch.arange(count)), permutations=119, power_repeats=0, seed=seed)


def table_needed(rows: list[dict], seeds: int) -> xr.Dataset:
    words = {
        "needed": ("pictures that the first 100 say are needed for 10 degrees", "1"),
        "there_are": ("pictures there are", "1"),
        "reach": ("reach of the interval of the first 100", "degrees"),
        "reach_at_twice": ("reach of the interval at twice the pictures needed, NaN where there are fewer", "degrees"),
    }
    return xr.Dataset(
        {key: labelled("row", [row[key] for row in rows], *text) for key, text in words.items()},
        coords={key: labelled("row", [row[key] for row in rows], key) for key in ("set", "seed")},
        attrs=_about(seeds, "one row for each set and seed"),
    )


def _about(seeds: int, reduction: str) -> dict:
    return provenance(
        "data_intervals",
        seed=list(range(seeds)),
        dtype="float32",
        resampler="bicubic",
        padding="border",
        mask="disc",
        reduction=reduction,
        input_kind="constructed sets",
        permutations=PERMUTATIONS,
        command="python tests/benchmarks/data_intervals.py",
    )


def table(rows: list[dict], seeds: int) -> xr.Dataset:
    words = {
        "arc_half_width_deg": ("recovered half width of the arc", "degrees"),
        "arc_low_deg": ("lower end of its 95 % interval", "degrees"),
        "arc_high_deg": ("upper end of its 95 % interval", "degrees"),
        "upside_down_share": ("alike pairs that meet upside-down", "1"),
        "pictures": ("pictures", "1"),
        "needed": ("pictures said to be needed for an interval within 10 degrees", "1"),
        "resolvable": ("the interval is within 10 degrees", "1"),
        "rejected": ("some turn changes the distribution", "1"),
        "floor_p": ("smallest p-value of the floor, uncorrected", "1"),
        "verdict": ("in words", "1"),
    }
    about = {"truth_deg": "half width that the set was made with", "set": "set", "class_name": "class", "seed": "seed"}
    units = {"truth_deg": "degrees"}
    return xr.Dataset(
        {key: labelled("row", [row[key] for row in rows], *text) for key, text in words.items()},
        coords={
            key: labelled("row", [row[key] for row in rows], text, units.get(key, "1")) for key, text in about.items()
        },
        attrs=_about(seeds, "one row for each set, class and seed"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in SETS:
        for seed in range(chosen.seeds):
            rows += recover(name, seed)
        mine = [r for r in rows if r["set"] == name and r["class_name"] == "all"]
        print(name, [(r["arc_half_width_deg"], r["arc_low_deg"], r["arc_high_deg"]) for r in mine], flush=True)
    chosen.out.parent.mkdir(exist_ok=True)
    save(table(rows, chosen.seeds), chosen.out)
    ahead = [foretold(name, seed) for name in SETS for seed in range(chosen.seeds)]
    save(table_needed(ahead, chosen.seeds), chosen.out.with_name(NEEDED.name))


if __name__ == "__main__":
    main()
