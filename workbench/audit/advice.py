"""What to do about a broken symmetry of series, points and sets; what images need is measured, and told elsewhere."""

from __future__ import annotations

from workbench.audit.questions import CIRCULAR, MOTIONS, PERMUTATIONS, REFLECTIONS, REVERSAL, STRETCHES, TRANSLATIONS

ADVICE = {
    MOTIONS: (
        "If it should not, there are three ways: give it distances and angles between points instead of their "
        "coordinates (exact), layers that turn along (e3nn, exact), or train on turned copies (approximate)."
    ),
    REFLECTIONS: (
        "Where mirror images differ in what is asked (handedness), this is as it must be. If it should not, give it "
        "distances, which mirrors leave alone, or train on mirrored copies."
    ),
    TRANSLATIONS: "If it should not, subtract the mean of the points first, or give it differences between points.",
    PERMUTATIONS: (
        "If the order means nothing, add up, average or take the largest over the members of what one layer makes of "
        "each (or use attention without position encodings); training on shuffled copies only comes near."
    ),
    CIRCULAR: (
        "If it should not, pad circularly (padding_mode='circular'), and end with a mean over all samples instead of a "
        "flattening. Where the ends of your series do not meet, look at the shifts with the ends left out instead."
    ),
    REVERSAL: (
        "Where time has a direction in what is asked, this is as it must be. If it should not, average its answers to "
        "the series and its reversal (exact, at twice the cost), or train on reversed copies."
    ),
    STRETCHES: "If it should not, train on stretched copies, or average its answers over them.",
}
