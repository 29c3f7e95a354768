"""The advice follows stated rules on what an audit saw, and is checked on pictures that it never saw."""

import numpy as np
import pytest
import torch
import xarray as xr

from tests.measure.family_study import BASE, FAMILIES, made_study
from tests.tolerances import AGAIN
from workbench.audit.right_amount import ABSENT, PER_CLASS, PRESENT, UNTOLD, advise, check_advice, preferred
from workbench.measure import data_symmetry
from workbench.measure.dataset import labelled
from workbench.measure.studies import blob_images

STUDY = made_study()
CIRCLE, NARROW, VAGUE = (150, 180), (0, 4), (100, 180)


def audited(
    whole: tuple[bool, tuple[float, float]], classes: dict[str, bool] | None = None, count: int = 100, total: int = 400
) -> xr.Dataset:
    """What `data_symmetry` would say: whether the whole and each class differ from their quarter turns, and its arc."""
    classes = classes or {}
    differs = [whole[0], *classes.values()]
    low, high = whole[1]
    circle = whole[1] == CIRCLE
    verdict = "turned through the whole circle (150 to 180)" if circle else "not resolvable at this n"
    rows = len(differs)
    over = ("class", "question")
    return xr.Dataset(
        {
            "element_rejected": labelled(over, np.array(differs)[:, None], "differs"),
            "element_p_holm": labelled(over, np.where(differs, 0.01, 0.8)[:, None], "p"),
            "pictures": labelled("class", [total] + [count] * len(classes), "pictures"),
            "arc_low_deg": labelled("class", [low] * rows, "low"),
            "arc_high_deg": labelled("class", [high] * rows, "high"),
            "resolvable": labelled("class", [whole[1] == NARROW] * rows, "resolvable"),
            "verdict": labelled("class", [verdict] * rows, "in words"),
        },
        {
            "class": labelled("class", ["all", *classes], "class"),
            "question": labelled("question", ["C4"], "question"),
        },
    )


TEN = {str(digit): False for digit in range(10)}
CASES = {
    PRESENT: audited((False, CIRCLE), TEN),
    ABSENT: audited((True, NARROW), dict.fromkeys(TEN, True)),
    PER_CLASS: audited((False, VAGUE), {**TEN, "6": True, "9": True}),
    UNTOLD: audited((False, VAGUE), TEN),
}


@pytest.mark.parametrize(("kind", "data"), CASES.items())
def test_the_kind_is_what_the_audit_saw(kind, data):
    assert advise(data, STUDY).kind == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (audited((True, NARROW)), ABSENT),
        (audited((False, CIRCLE)), PRESENT),
        (audited((True, VAGUE), TEN), UNTOLD),
        (audited((False, CIRCLE), TEN, count=10), UNTOLD),
        (audited((True, VAGUE), {"a": True, "b": False}, count=10), UNTOLD),
        (audited((True, NARROW), {"a": True, "b": True}, count=10), ABSENT),
    ],
)
def test_without_classes_or_with_small_ones_it_says_only_what_can_be_known(data, kind):
    assert advise(data, STUDY).kind == kind


def test_where_the_symmetry_is_there_calmer_families_come_first_by_the_data_they_need():
    found = advise(CASES[PRESENT], STUDY)
    assert found.order["name"].values.tolist() == ["strict", "test-time averaging", "residual pathway", "plain"]
    assert found.order["fits"].values.tolist() == [True, True, True, False]
    assert float(found.order["data_needed"][0]) == 100
    assert "strict costs 2 times the arithmetic of the plain network and needs 100 pictures (100 to" in found.because[2]


def test_calmer_is_measured_and_no_matter_of_names():
    error = STUDY["turn_error"].copy()
    error[(STUDY["family"] == "strict").values] = 0.9
    found = advise(CASES[PRESENT], STUDY.assign(turn_error=error))
    assert found.family == "test-time averaging"
    assert found.order["name"].values[-1] in ("strict", "plain")


def test_where_it_is_not_the_least_arithmetic_comes_first_of_those_that_need_not_hold_it():
    found = advise(CASES[ABSENT], STUDY)
    assert found.order["name"].values.tolist() == ["plain", "residual pathway", "strict", "test-time averaging"]
    assert found.order["fits"].values.tolist() == [True, True, False, False]
    assert "needs" not in found.because[2]


def test_where_classes_differ_those_fit_that_lean_and_can_give_it_up():
    found = advise(CASES[PER_CLASS], STUDY)
    assert found.family == "residual pathway"
    assert found.order["fits"].values.tolist() == [True, False, False, False]
    assert found.classes["6"] == "differs"
    assert "differs in 6 and 9" in found.because[0]


def test_where_the_data_do_not_tell_the_smallest_worst_case_counts():
    found = advise(CASES[UNTOLD], STUDY)
    assert found.family == "residual pathway"
    worst = {name: max(max(v[s] for v in BASE.values()) - BASE[name][s] for s in range(3)) for name in FAMILIES}
    assert found.order["name"].values.tolist() == sorted(FAMILIES, key=lambda name: worst[name])


@pytest.mark.parametrize("kind", CASES)
def test_test_pictures_take_no_part(kind):
    other = STUDY.assign(test_accuracy=1 - STUDY["test_accuracy"])
    assert advise(CASES[kind], other).order.identical(advise(CASES[kind], STUDY).order)


@pytest.mark.parametrize(("kind", "data_set"), [(ABSENT, "digits-upright"), (PER_CLASS, "digits-interval")])
def test_nor_does_any_accuracy_on_data_of_the_kind_that_is_asked_about(kind, data_set):
    own = (STUDY["data_set"] == data_set).values
    right = STUDY["validation_accuracy"].copy()
    right[own] = 1 - right[own]
    assert advise(CASES[kind], STUDY.assign(validation_accuracy=right)).order.identical(
        advise(CASES[kind], STUDY).order
    )


def test_the_check_catches_an_order_that_hangs_on_what_is_swapped():
    swapped = STUDY.assign(validation_accuracy=1 - STUDY["validation_accuracy"])
    assert not advise(CASES[PRESENT], swapped).order.identical(advise(CASES[PRESENT], STUDY).order)


def test_it_says_what_it_cannot_tell():
    told = " ".join(advise(CASES[PRESENT], STUDY).cannot_tell)
    assert "what they mean" in told
    assert "How wide the arc" not in told
    assert "How wide the arc of 8 of 10 is" in " ".join(advise(CASES[PER_CLASS], STUDY).cannot_tell)
    assert "no labels were given" in " ".join(advise(audited((False, CIRCLE)), STUDY).cannot_tell)
    few = advise(audited((False, CIRCLE), {"a": False, "b": False}, count=10), STUDY)
    assert "fewer than 20 pictures" in " ".join(few.cannot_tell)
    assert str(few).startswith(f"Quarter turns: {UNTOLD}. Try first: ")


def test_the_check_on_unseen_pictures_says_best_within_or_worse():
    present, absent = advise(CASES[PRESENT], STUDY), advise(CASES[ABSENT], STUDY)
    good = check_advice(present, "digits-rotated", STUDY)
    assert good.attrs["verdict"] == "best"
    assert good["family"].values[0] == "strict"
    bad = check_advice(present, "digits-upright", STUDY)
    assert bad.attrs["verdict"] == "worse than the best"
    assert bad.attrs["place"] == 3
    assert float(bad["ahead"][0]) == pytest.approx(20, rel=AGAIN)
    assert "is ahead by 20.0 points (20.0 to 20.0)" in bad.attrs["sentence"]
    noisy = STUDY.copy()
    right = noisy["test_accuracy"].values.copy()
    right[(STUDY["family"] == absent.family).values] += np.array([0.1, -0.2, 0.1, -0.1, 0])
    assert check_advice(absent, "digits-upright", STUDY).attrs["verdict"] == "best", "two alike, the first of them"
    near = check_advice(absent, "digits-upright", noisy.assign(test_accuracy=(("experiment", "seed"), right)))
    assert near.attrs["verdict"] == "within the interval of the best"


def test_of_two_the_one_that_validation_prefers_is_kept():
    assert preferred(("strict", "plain"), "digits-upright", STUDY) == "plain"
    assert preferred(("plain", "strict"), "digits-rotated", STUDY) == "strict"
    swapped = STUDY.assign(test_accuracy=1 - STUDY["test_accuracy"])
    assert preferred(("strict", "plain"), "digits-upright", swapped) == "plain", "test pictures take no part"
    with pytest.raises(ValueError, match="'nobody' has no result on 'digits-upright'"):
        preferred(("plain", "nobody"), "digits-upright", STUDY)


def test_it_reads_a_real_audit():
    images = blob_images(0, range(0, 360, 9), count=1, size=15)[:, 0].float()
    quick = {"n_angles": 24, "permutations": 199, "resamples": 20, "power_repeats": 0}
    assert advise(data_symmetry(images, **quick), STUDY).kind == PRESENT
    same = torch.cat([blob_images(seed, [0.0], count=1, size=15)[:, 0].float() for seed in [1] * 40])
    noise = torch.rand(same.shape, generator=torch.Generator().manual_seed(0))
    assert advise(data_symmetry(same + 0.1 * noise, **quick), STUDY).kind == ABSENT


def test_data_that_were_not_asked_for_quarter_turns_are_refused():
    with pytest.raises(ValueError, match="not asked for quarter turns were given; expected 'C4'"):
        advise(CASES[PRESENT].drop_vars("question"), STUDY)
    with pytest.raises(ValueError, match=r"a NoneType was given; .* use advise\(data_symmetry"):
        advise(None)


def test_what_breaks_a_tie_is_what_is_said_to():
    said = advise(CASES[PRESENT]).because
    order = advise(CASES[PRESENT]).order.sel(rank=slice(1, None))
    tied = order.isel(rank=order["tied"].values)
    adds = tied["multiply_adds"].values
    assert (np.diff(adds) >= 0).all()
    share = int((adds == adds[0]).sum())
    assert share > 1
    assert (np.diff(np.nan_to_num(tied["data_needed_high"].values[:share], nan=1e9)) >= 0).all()
    assert f"{len(adds)} cannot be told apart" in said[-1]
    assert f"{share} of them share it" in said[-1]


def test_a_family_without_a_result_cannot_be_checked():
    drop = (("strict", "digits-rotated", "equal samples", 400),)
    with pytest.raises(ValueError, match="'strict' has no result on 'digits-rotated'"):
        check_advice(advise(CASES[PRESENT], STUDY), "digits-rotated", made_study(drop))
