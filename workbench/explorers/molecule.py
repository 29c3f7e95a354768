"""What pushes each atom of a molecule, and does the push turn along?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.datasets.molecule import Molecule
from workbench.e3.copies import copied
from workbench.explorers._explorer import Explorer
from workbench.explorers._potentials import (
    BROKEN,
    POTENTIALS,
    SHIPPED,
    SPECIES,
    Own,
    alone,
    answer,
    bonds,
    check_known,
    elements,
    in_float64,
    own_molecule,
    potential,
    shipped_molecule,
)
from workbench.groups import O3, SO3
from workbench.measure.atom_features import atom_features, feature_floors
from workbench.measure.dataset import labelled
from workbench.measure.molecule_orbit import molecule_orbit
from workbench.measure.motions import InField, motion_errors
from workbench.views.molecule import molecule_picture

AXIS = (1.0, 2.0, 2.0)
ELEMENTS_OF_A_MOTION = 8
COARSE_ELEMENTS = 2
FINE, COARSE = tuple(range(0, 361, 15)), (0, 90, 180, 270, 360)
"""Degrees of the curve at rest and while a control moves."""
SHOWN, WITH_FIELD, WITHOUT_FIELD = "the network", "in a field along z", "without the field"
FORCES = "forces"


class MoleculeExplorer(Explorer):
    """A molecule with the forces of a potential and of a reference, turned, and its error under four motions.

    >>> ds = MoleculeExplorer(potential="untrained").at(coarse=True).dataset()
    >>> bool(ds["error_max"].max() < 1e-4)
    True
    """

    slug = "molecule"
    title = "Molecule"
    question = "What pushes each atom of a molecule, and does the push turn along?"
    explanation = (
        "The arrows are forces: one set from a small network that was trained on energies and forces, one from the "
        "calculation that it was trained on, GFN2-xTB. Turn the molecule: its forces are computed anew, and should be "
        "the old ones, turned. The curve says how far they are from that at every angle of this turn, and the dots "
        "below under other rotations, point reflection, shift and another order of the atoms. The dotted lines are "
        "what rounding alone changes; a network that is equivariant by construction stays near them, trained or not; "
        "one that prefers a direction, as the same network in a field along z, does not. How well it knows the forces "
        "is another matter: compare the arrows. Inside, each atom carries features: numbers, arrows, and functions on "
        "the sphere of degree 2, which turn along as well; choose one to see it."
    )
    heavy = True
    accepts = ("molecule", "model")

    species = param.Selector(objects=SPECIES, default="CH3CH2OH", label="Molecule", doc="What is shown.")
    potential = param.Selector(
        objects=POTENTIALS | BROKEN,
        default=SHIPPED,
        label="Network",
        doc="Whose forces are shown beside the reference.",
    )
    rattled = param.Boolean(
        True, label="Rattled", doc="Each atom moved by about 0.05 angstrom from where it rests, so that forces act."
    )
    angle_deg = param.Number(
        40.0, bounds=(0, 360), step=1, label="Turn the molecule (degrees)", doc="About a fixed axis through its middle."
    )
    mirrored = param.Boolean(False, label="Reflect it", doc="Also sends every atom through the middle to the far side.")
    shown = param.Selector(
        objects={"forces": FORCES, "vector features (degree 1)": "1", "features of degree 2": "2"},
        default=FORCES,
        label="Drawn at the atoms",
        doc="What pushes the atoms, or what each of them carries after the first layer of the network.",
    )
    channel = param.Integer(
        1,
        bounds=(1, 18),
        step=1,
        label="Feature",
        doc="Which of the features of that degree is drawn; beyond the last one, the last one.",
    )
    arrow = param.Number(
        0.5,
        bounds=(0.05, 1),
        step=0.05,
        label="Length of arrows",
        doc="Angstrom for a force of 1 eV/angstrom; the largest feature is drawn twice as long.",
    )

    def set_molecule(self, molecule: Any) -> None:
        """Show your own molecule; None takes it away.

        Args:
            molecule: the path or bytes of an .xyz file, the path of any file that ASE reads where it is installed,
                ASE's `Atoms`, or a `Molecule`; of several frames the first is shown.

        Raises:
            ValueError: no molecule, too large, in a cell, or with an element that the network does not know.
            TypeError: something else.
        """
        self.attach("molecule", None if molecule is None else own_molecule(molecule, elements(self._network())))

    def set_model(self, model: Any) -> None:
        """Show the forces of your own potential, as it is now; None takes it away.

        Args:
            model: has `energy_and_forces(positions, numbers, batch)`, as the workbench's potentials do: energies
                `(B,)` in eV and forces `(N, 3)` in eV/angstrom.

        Raises:
            ValueError: it has no such method.
        """
        if model is not None and not callable(getattr(model, "energy_and_forces", None)):
            raise ValueError(
                f"a {type(model).__name__} was given, which has no energy_and_forces(positions, numbers, batch); wrap "
                "it in a module that has, energies in eV and forces in eV/angstrom."
            )
        self.attach("model", None if model is None else copied(model).eval().requires_grad_(False))

    def compute(self) -> xr.Dataset:
        """Positions, forces of both sources in the pose shown, and the errors of the four motions."""
        own: Own | None = self.attached.get("molecule")
        molecule = own.molecule if own else shipped_molecule(self.species, self.rattled)
        model = self._network()
        check_known(molecule, elements(model))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # atoms without a neighbour: told in the picture
            errors = self._errors(model, molecule).rename(transform="element", error_mean="motion_error_mean")
            curve = self._curve(model, molecule)
            pose = self._pose(model, molecule, "the file" if own else "GFN2-xTB")
            carried = self._carried(model, molecule)
        frames = own.frames if own else 1
        found = xr.merge([pose, carried, errors, curve], combine_attrs="drop_conflicts", compat="override")
        return found.assign_attrs(
            {**curve.attrs, **errors.attrs},
            frame=f"frame 1 of {frames}" if frames > 1 else "",
            showing=self._part(found),
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return molecule_picture(ds, self.arrow)

    def _part(self, ds: xr.Dataset) -> str:
        """What there is more of than is drawn."""
        parts = [
            (ds.sizes["transform"], len(FINE), "angles"),
            (ds.sizes["element"], ELEMENTS_OF_A_MOTION, "elements of each motion"),
            (ds.sizes.get("surface", ds.sizes["atom"]), ds.sizes["atom"], "features"),
        ]
        words = [f"{there} of {all_} {what}" for there, all_, what in parts if there < all_]
        return f"showing {', '.join(words)}" if words else ""

    def _network(self) -> Any:
        return self.attached.get("model") or potential(self.potential)

    def _kept(self, name: str, found: Callable[[], xr.Dataset]) -> xr.Dataset:
        """What no control of the pose changes."""
        kept = self._results.get(self._place(name))
        if kept is None:
            kept = found()
            self._results.put(self._place(name), kept)
        return kept

    def _place(self, name: str) -> tuple[Any, ...]:
        return (name, self._revision, self.species, self.rattled, self.potential)

    def _errors(self, model: Any, molecule: Molecule) -> xr.Dataset:
        """Of the molecule as it is given; few elements of each motion while a coarse picture will do."""
        numbers, positions, _ = molecule.tensors(torch.float64)

        def of(n: int) -> xr.Dataset:
            return motion_errors(model, numbers, positions, n=n, input_kind=molecule.formula, exact=in_float64(model))

        return self._fine_or_coarse("errors", lambda: of(ELEMENTS_OF_A_MOTION), lambda: of(COARSE_ELEMENTS))

    def _curve(self, model: Any, molecule: Molecule) -> xr.Dataset:
        """The error at every angle, and that of a control which fails, or of a sound one where the network fails."""
        numbers, positions, _ = molecule.tensors(torch.float64)
        beside = {WITHOUT_FIELD: model.potential} if isinstance(model, InField) else {WITH_FIELD: InField(model)}

        def of(angles: tuple[int, ...]) -> xr.Dataset:
            return molecule_orbit(
                {SHOWN: model} if angles == COARSE else {SHOWN: model, **beside}, numbers, positions, angles,
                axis=AXIS, reflected=self.mirrored, input_kind=molecule.formula, exact=in_float64(model),
                progress=self.tell_progress, cancel=self.cancel,
            )  # fmt: skip

        curve = self._fine_or_coarse(f"curve {self.mirrored}", lambda: of(FINE), lambda: of(COARSE))
        return curve.assign(angle_shown_deg=labelled((), self.angle_deg, "molecule turned by", "degrees"))

    def _fine_or_coarse(
        self, name: str, fine: Callable[[], xr.Dataset], coarse: Callable[[], xr.Dataset]
    ) -> xr.Dataset:
        """What is known in full, or what is asked for: the coarse while a coarse picture will do."""
        if self.coarse and self._results.get(self._place(name)) is None:
            return self._kept(f"coarse {name}", coarse)
        return self._kept(name, fine)

    def _carried(self, model: Any, molecule: Molecule) -> xr.Dataset:
        """The feature that is to be drawn, of the molecule as it is turned."""
        if self.shown == FORCES:
            return xr.Dataset()
        numbers, positions, _ = molecule.tensors(torch.float64)
        inner = model.potential if isinstance(model, InField) else model
        degree = int(self.shown)
        floors = self._kept(
            f"floors {degree}", lambda: feature_floors(inner, numbers, positions, degree, exact=in_float64(inner))
        )
        ds = atom_features(inner, numbers, positions, self._element(), degree, self.channel)
        return ds.assign(feature_floor=floors["feature_floor"][ds.attrs["channel"] - 1])

    def _element(self) -> torch.Tensor:
        """The turn that is shown, of O(3)."""
        axis = torch.tensor(AXIS, dtype=torch.float64)
        turn = SO3().exp(axis / axis.norm() * np.radians(self.angle_deg))
        return torch.cat([turn, turn.new_tensor([-1.0 if self.mirrored else 1.0])])

    def _upright(self, model: Any, molecule: Molecule) -> xr.Dataset:
        energy, forces = answer(model, molecule.numbers, molecule.positions - molecule.positions.mean(0))
        return xr.Dataset({"energy": ((), energy), "forces": (("atom", "xyz"), forces)})

    def _pose(self, model: Any, molecule: Molecule, source: str) -> xr.Dataset:
        turn = O3().matrix(self._element()).numpy()
        positions = (molecule.positions - molecule.positions.mean(0)) @ turn.T
        energy, forces = answer(model, molecule.numbers, positions)
        before = self._kept("upright", lambda: self._upright(model, molecule))
        along = before["forces"].values
        reference = np.full_like(forces, np.nan) if molecule.forces is None else molecule.forces @ turn.T
        each = ("atom", "xyz")
        rest = float(np.linalg.norm(forces - along @ turn.T)) / max(float(np.linalg.norm(along)), 1e-12)
        off = 1000 * np.abs(forces - reference).mean()
        known = np.nan if molecule.energy is None else molecule.energy
        changed = 1000 * (energy - float(before["energy"]))
        pairs = bonds(molecule.numbers, positions)
        return xr.Dataset(
            {
                "numbers": labelled("atom", molecule.numbers, "atomic number"),
                "positions": labelled(each, positions, "position", "angstrom"),
                "forces": labelled(each, forces, "force of the network", "eV/angstrom"),
                "reference": labelled(each, reference, f"force of {source}", "eV/angstrom"),
                "bonded": labelled(("bond", "end"), pairs.reshape(-1, 2), "bonded atoms"),
                "energy": labelled((), energy, "energy of the network", "eV"),
                "energy_reference": labelled((), known, f"energy of {source}", "eV"),
                "energy_turned_by": labelled((), changed, "change of the energy by the turn", "meV"),
                "error_here": labelled((), rest, "equivariance error of the forces at this turn"),
                "force_mae": labelled((), off, "mean |force error|", "meV/angstrom"),
                "alone": labelled((), alone(model, positions), "atoms without a neighbour"),
            },
            {
                "symbol": labelled("atom", np.array(molecule.symbols, dtype=str), "element"),
                "xyz": labelled("xyz", np.array(["x", "y", "z"]), "axis"),
            },
        ).assign_attrs(formula=molecule.formula)


EXPLORER = MoleculeExplorer
