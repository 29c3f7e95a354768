"""Audits whose sweeps lie on disk in pieces: the same answer, resumed, and measured by the workers of a cluster."""

import pytest
import torch
import xarray as xr

from workbench.audit import audit, load_model
from workbench.audit.pieces import pieces_of

NAME = "tests.measure.toys:c4_net"


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(6, 1, 9, 9, generator=torch.Generator().manual_seed(1))


def asked(images: torch.Tensor, **options):
    torch.manual_seed(3)
    return audit(NAME, images, data_samples=0, **options)


def test_an_audit_in_pieces_says_what_the_whole_one_says_and_goes_on_from_them(images, tmp_path) -> None:
    whole, cut = asked(images), asked(images, folder=tmp_path)
    assert cut.answer == whole.answer
    for name, sweep in whole.sweeps.items():
        xr.testing.assert_identical(cut.sweeps[name].load(), sweep)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("part-*.nc")}
    assert len({path.parent for path in kept}) == len(whole.sweeps)
    asked(images, folder=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    with pytest.raises(ValueError, match="another question"):
        asked(images.flip(0), folder=tmp_path)


@pytest.mark.slow
def test_an_audit_on_a_cluster_says_the_same(images, tmp_path) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False}, memory_limit=0,
    ) as local:  # fmt: skip
        there = asked(images, group="C(4)", folder=tmp_path / "all", scheduler=local.scheduler_address)
        part = audit(
            "tests.audit.test_selecting:Both", images, group="C(4)", select="scores", folder=tmp_path / "one",
            scheduler=local.scheduler_address,
        )  # fmt: skip
    here = asked(images, group="C(4)")
    xr.testing.assert_identical(there.sweeps["C(4)"].load(), here.sweeps["C(4)"])
    again = audit(part.model, images, group="C(4)")  # already at that answer
    xr.testing.assert_equal(part.sweeps["C(4)"].load(), again.sweeps["C(4)"])


def test_a_scheduler_asks_for_a_folder_and_a_network_that_workers_can_import(images, tmp_path) -> None:
    with pytest.raises(ValueError, match="scheduler was given without folder"):
        asked(images, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(ValueError, match="expected package.module:name"):
        pieces_of(load_model(torch.nn.Identity()), tmp_path, "tcp://127.0.0.1:1")
    assert pieces_of(load_model(torch.nn.Identity()), None, None) is None
