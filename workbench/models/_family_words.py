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
    "augmented": Words(AROUND, "The plain network is trained on four turned copies of each picture and averages them."),
    "learned augmentation": Words(AROUND, "As augmented, but how far copies are turned is learned with the weights."),
    "test-time averaging": Words(AROUND, "The plain network, trained as it is; its answers are averaged over turns."),
    "canonical pose": Words(AROUND, "Each picture is first turned into the one of four poses that a fixed rule picks."),
    "soft penalty": Words(LEANING, "The plain network pays, in its loss, for weights that do not turn along."),
    "residual pathway": Words(LEANING, "Each layer is a strict one plus a free one that a prior keeps small."),
    "relaxed group": Words(LEANING, "A group network whose filters may become another at each orientation."),
    "partial": Words(LEANING, "A group network that learns how much of the circle each layer answers for."),
    "strict": Words(BUILT_IN, "Each layer holds its filters at all four quarter turns and cannot do otherwise."),
}


def family_words(name: str) -> Words:
    """What is said of a family; of one that is not known here, only where it may be looked up.

    >>> family_words("plain").where
    'nowhere'
    """
    known = _WORDS.get(name)
    if known is None and name.split(" ")[0].rstrip(",") in ("strict", "partial"):  # a variant of it
        known = _WORDS[name.split(" ")[0].rstrip(",")]
    return known or Words(LEANING, f"{name}: see its configuration in the stored results.")
