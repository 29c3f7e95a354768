"""What each family of the study is, in words: where its symmetry comes from, and a sentence for a newcomer."""

from __future__ import annotations

from typing import NamedTuple

NOWHERE, AROUND, LEANING, BUILT_IN = "nowhere", "around the network", "in the layers, given up at will", "in the layers"


class Words(NamedTuple):
    """Where a family has its symmetry, and what it does."""

    where: str
    sentence: str


_WORDS = {
    "plain": Words(NOWHERE, "An ordinary convolutional network, trained on the pictures as they are."),
    "augmented": Words(
        AROUND, "The plain network; in training each picture is turned by a random angle, every time anew."
    ),
    "learned augmentation": Words(
        AROUND, "As augmented, by up to a learned angle; its answers are averaged over turns."
    ),
    "test-time averaging": Words(
        AROUND, "The plain network, trained as it is; its answers are averaged over quarter turns."
    ),
    "canonical pose": Words(AROUND, "Each picture is first turned into the one of four poses that a fixed rule picks."),
    "soft penalty": Words(LEANING, "The plain network pays, in its loss, for weights that do not turn along."),
    "residual pathway": Words(LEANING, "Each layer is a strict one plus a free one that a prior keeps small."),
    "relaxed group": Words(LEANING, "A group network whose filters may become another at each orientation."),
    "partial": Words(LEANING, "A group network of generated kernels that learns how much of the circle a layer keeps."),
    "strict": Words(BUILT_IN, "A group network of generated kernels that holds all quarter turns in every layer."),
    "strict (same backbone)": Words(BUILT_IN, "The plain network with each filter held at all four quarter turns."),
}


GIVE_UP = (*(name for name, words in _WORDS.items() if words.where == LEANING), "learned augmentation")
"""Families that lean towards the symmetry and give it up as the data ask for it."""


def family_words(name: str) -> Words:
    """What is said of a family; of one that is not known here, only where it may be looked up.

    >>> family_words("plain").where
    'nowhere'
    """
    return _WORDS.get(name) or Words(LEANING, f"{name}: see its configuration in the stored results.")
