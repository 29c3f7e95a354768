"""Chemical elements by symbol and atomic number, and how close two bonded atoms are."""

from __future__ import annotations

from difflib import get_close_matches

SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
    "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir "
    "Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh "
    "Fl Mc Lv Ts Og"
).split()
"""Symbol of element Z at place Z - 1."""
_NUMBER = {symbol: at + 1 for at, symbol in enumerate(SYMBOLS)}
_COVALENT = (
    *(0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11, 1.07, 1.05, 1.02, 1.06),
    *(2.03, 1.76, 1.70, 1.60, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22, 1.20, 1.19, 1.20, 1.20, 1.16),
)
_MASSES = (
    *(1.008, 4.0026, 6.94, 9.0122, 10.81, 12.011, 14.007, 15.999, 18.998, 20.180, 22.990, 24.305, 26.982, 28.085),
    *(30.974, 32.06, 35.45, 39.95, 39.098, 40.078, 44.956, 47.867, 50.942, 51.996, 54.938, 55.845, 58.933, 58.693),
    *(63.546, 65.38, 69.723, 72.630, 74.922, 78.971, 79.904, 83.798),
)
OTHER_RADIUS = 1.5
"""Angstrom; of the elements beyond krypton, for drawing alone."""


def atomic_number(symbol: str) -> int:
    """The atomic number of an element's symbol, in any case, or of a number written out.

    Raises ValueError, with the nearest symbol, for anything else.

    >>> atomic_number("C"), atomic_number("cl"), atomic_number("8")
    (6, 17, 8)
    """
    known = _NUMBER.get(symbol.strip().capitalize())
    if known is None and symbol.strip().isdecimal() and len(symbol.strip()) < 4 and 1 <= int(symbol) <= len(SYMBOLS):
        known = int(symbol)
    if known is None:
        close = get_close_matches(symbol[:8].capitalize(), SYMBOLS, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}?" if close else "write a symbol such as 'C' or a number from 1 to 118"
        raise ValueError(f"{symbol[:20]!r} is no chemical element; {hint}")
    return known


def covalent_radius(number: int) -> float:
    """Covalent radius in angstrom (Cordero et al., Dalton Trans. 2832, 2008), 1.5 beyond krypton.

    >>> covalent_radius(6), covalent_radius(79)
    (0.76, 1.5)
    """
    return _COVALENT[number - 1] if 1 <= number <= len(_COVALENT) else OTHER_RADIUS


def atomic_mass(number: int) -> float:
    """Abridged standard atomic weight in dalton (IUPAC 2021), up to krypton.

    Raises ValueError for other elements.

    >>> atomic_mass(1), atomic_mass(8)
    (1.008, 15.999)
    """
    if not 1 <= number <= len(_MASSES):
        raise ValueError(f"the mass of element {number} was asked; those of 1 to {len(_MASSES)} are known here")
    return _MASSES[number - 1]
