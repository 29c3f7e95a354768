"""The one table of tolerances: every test takes its bound from here, by name, and none is typed inline."""

import torch

# Relative error of an identity that holds exactly in real arithmetic, by dtype: what rounding alone may cost.
EXACT: dict[torch.dtype, float] = {torch.float64: 1e-12, torch.float32: 2e-6}

# Relative rounding of one float32 number.
ONE_BIT = 6e-8
# The same number told once more, or summed in another order: relative, of double precision, and where single had a
# part in it (measured below 1e-7); and beside that, absolute, what stands for zero.
AGAIN = 1e-12
AGAIN_SINGLE = 1e-6
AGAIN_ZERO = 1e-8
# Actions: a blob's centre of mass after resampling lies within half a pixel of where geometry puts it.
HALF_PIXEL = 0.5
# Actions: relative error in the inscribed disc against Gaussian blobs (sigma 2 px, 40 x 40 pixels) drawn again
# at the turned position; measured 1.5e-1, 3.4e-2, 1.8e-2, 2e-8 (torch 2.13).
RESAMPLED_BLOBS = {"nearest": 0.2, "bilinear": 0.05, "bicubic": 0.03, "fourier": 1e-6}

# Datasets: share of a glyph's ink outside the disc inside which it can be turned; measured 3.5e-5 (Pillow 13).
INK_OUTSIDE_DISC = 1e-3
# Measures: an error that is there stands this far above what rounding leaves.
SEPARATION = 1e3
# Measures: relative difference between one batch and many, in float64: another order of the same sums.
SPLIT = 1e-6
# Measures: distance of the measured coverage of a 95 % interval from 0.95.
INTERVAL_COVERAGE = 0.03
# Measures: forward passes in which the checker must find a broken network: as it is, once for each turn, and spare.
CHECK_PASSES = 8
# Measures: error over output floor of a strict C8 network with band-limited kernels; measured 0.9-1.3, and 3-4.6
# with kernels that alias (45 degrees, bicubic, centre disc, inputs smooth to 2 px and more).
BAND_LIMITED = 1.7
# Measures: overlap of arcs counted on 200,000 angles against its formula.
ARC_BRUTE_FORCE = 3e-4
# Measures: a partial layer's relative error against sqrt(2 delta); random kernels weigh the angles unevenly.
PARTIAL_LAYER = 0.1
# Studies: eight elements beat four at least so many times at generic angles, measured 6.8 (seeds: 4.7 to 9.9).
GRID_GAIN = 5.0
# Studies: the periodic encoding's noise is at least so many times lower from n = 8 on, measured 60 at omega0 = 3.
NOISE_GAIN = 10.0
# Studies: relative error of the arc's slope, and the most of it that the released rule may show at five angles.
ARC_GRADIENT = 0.05
# Measures: degrees between where a derivative sends a sample and its difference quotient over 1e-6 of the circle.
FINITE_DIFFERENCE = 1e-4
# Measures: relative rounding of Student's printed table, four digits.
STUDENT_TABLE = 2e-4
REFERENCE_RULE = 0.1
# Measures of data: rate of false rejections around alpha = 0.05 over 600 repeats (three standard errors: 0.027).
FALSE_POSITIVES = 0.027
# Measures of data: degrees between a recovered arc and the one that the data was made with, where it is resolvable.
DATA_ARC_DEG = 10.0
# Measures of data: share of 95 % intervals that must hold the truth; shapes add an error of their own (measured 0.97).
INTERVAL_SHARE = 0.9
# Measures of data: reach of an interval, in units of what was asked for, at twice the pictures said to be needed
# (measured 0.2 to 1.21 over five seeds).
REACH_AT_TWICE = 1.3
# Measures of data: a probability in one of 37 bins counted over 2,000,000 draws (their standard error: 3e-4).
MONTE_CARLO_DENSITY = 2e-3
# Layers: the least relative error that a deliberately broken layer must show (measured 0.1 to 1.6).
BROKEN = 0.05
# Layers: what eight bits of mantissa cost two layers (measured 4e-3); kernels made in bf16 would cost 6e-2.
BF16 = 0.02
# Served pages: seconds within which Stop is heard and another visitor's page answers while one computes.
SERVED_SOON = 1.0
# Served pages: contrast of text on its ground, and of what marks a control, in both themes (WCAG 2.2, level AA).
CONTRAST_TEXT = 4.5
CONTRAST_MARK = 3.0
# Layers: bounds of std out / std in at the start.
STD_RATIO = (0.5, 2.0)
# Kernels: looked-up quarter turns against direct evaluation; in float32 the rounding of an angle passes through
# frequencies of up to 256 radians per kernel (measured 2e-5).
LOOKED_UP = {torch.float64: 1e-12, torch.float32: 2e-4}
# Layers: float32 against float64 with the same weights (measured 1e-6).
SINGLE_AGAINST_DOUBLE = 2e-5
# Layers: pooled statistics of 4 against 32 elements differ by less than this share, of 16 by this share of that.
COUNT_GAP = 0.2
# Models: the same for the pooled logits of an untrained network (measured 2e-2).
BROKEN_LOGITS = 5e-3
# Lie derivative: central differences between pixels against the formula of a Gaussian of sigma 3 px.
GRID_DERIVATIVE = 0.05
# Lie derivative: relative difference to the exact error over the angle, at 0.02 radians on inputs smooth to 3 px.
LIE_AGAINST_ANGLE = 0.2
# Lie derivative: what the rounding of a difference quotient leaves where the rate is zero, by dtype.
LIE_ROUNDING = {torch.float64: 1e-8, torch.float32: 1e-3}
# Scale layers: error of a lifting between neighbouring scales, support radius 5 px or more (measured 2e-3 to 4e-3).
LIFTED_SCALE = 0.02
# Scale layers: the same behind group layers, where every scale that an element sees is there (measured 4e-3 to 6e-3).
INNER_SCALE = 0.02
# Scale layers: share by which errors in closed form may be missed, factor by which a stored median of seeds may be.
SCALE_ERROR = 0.05
SCALE_TABLE = 2.0
# Relaxed layers: ratio of the errors at twice the dial to 2, at dials of 0.02 and below (measured 5e-3).
DIAL_LINEAR = 0.02
# Relaxed layers: distance of the errors of unrelated filters from sqrt 2, mean of eight seeds (measured 5e-2).
DIAL_SATURATED = 0.1
# Relaxed group layers: size of the kernels at any dial over that at 0, mean of eight seeds (measured 0.95 to 1.06).
DIAL_AMPLITUDE = (0.8, 1.25)
# Kernels: change of a smooth turned kernel (sigma 2.5 px, 21 taps) against the formula of its harmonic, and its floor.
TURNED_KERNEL = 0.06
# Kernels: radii and areas among frequencies on a grid of 64 against their formulas.
GRID_BAND = 0.06
# Kernels: entropy of thousands of random kernels against that of infinitely many, and between two random layers.
RANDOM_KERNELS = 0.03
# Kernels: share by which gradient descent on a sample of 20,000 misses the predicted energy of its filters.
LINEAR_ENERGY = 0.06
# Features of SO(3), O(3), E(3): relative error of equivariance, of layers and of energies and forces.
SPACE = {torch.float64: 1e-11, torch.float32: 5e-6}
# Molecules: forces against central differences of the energy over 1e-5 angstrom, in float64.
FORCE_DIFFERENCE = 1e-6
# Molecules: change of energy and forces while an atom passes the cutoff by 1e-6 of it (measured 3e-8; without an
# envelope 1e-3 and more).
CUTOFF_JUMP = 1e-6
