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
