"""Elementary functions as TIR polynomials in float32: vectorisable, the same on every CPU, and without a libm.

Coefficients of exp, log, sin and cos are those of the Cephes library (S. L. Moshier, single precision: expf.c, logf.c,
sinf.c), those of erf and tanh the rational minimax fits of the Eigen library (generic_fast_erf_float,
generic_fast_tanh_float). All are within a few float32 rounding steps over the ranges stated below.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from tvm import tirx

_LOG2_E = 1.44269504088896341
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_EXP_LOWEST, _EXP_HIGHEST = -87.33654, 88.72283
_LOG = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_HALF_PI = (1.5703125, 4.83751296997e-4, 7.54978995489e-8)
_ERF_NUMERATOR = (
    *(-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05),
    *(-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
)
_ERF_DENOMINATOR = (
    *(-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03),
    *(-7.37332916720468e-03, -1.42647390514189e-02),
)
_TANH_NUMERATOR = (
    *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
    *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
)
_TANH_DENOMINATOR = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def constant(value: float) -> tirx.Expr:
    """A float32 immediate."""
    return tirx.const(value, "float32")


def _polynomial(x: tirx.Expr, coefficients: Sequence[float]) -> tirx.Expr:
    """Horner's scheme, highest power first."""
    result = constant(coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + constant(coefficient)
    return result


def _clamp(x: tirx.Expr, low: float, high: float) -> tirx.Expr:
    return tirx.min(tirx.max(x, constant(low)), constant(high))


def bind(value: tirx.Expr, body: Callable[[tirx.Expr], tirx.Expr]) -> tirx.Expr:
    """`body(value)` with the value evaluated once.

    Expressions are trees: without the binding, a polynomial of a polynomial would be written out in full for every
    use of its argument.
    """
    variable = tirx.Var("x", value.ty.dtype)
    return tirx.Let(variable, value, body(variable))


def bind_all(values: Sequence[tirx.Expr], body: Callable[..., tirx.Expr]) -> tirx.Expr:
    """`body(*values)` with each value evaluated once."""
    variables = [tirx.Var("x", value.ty.dtype) for value in values]
    result = body(*variables)
    for variable, value in reversed(list(zip(variables, values, strict=True))):
        result = tirx.Let(variable, value, result)
    return result


def bound(function: Callable[[tirx.Expr], tirx.Expr]) -> Callable[[tirx.Expr], tirx.Expr]:
    """Makes a scalar function evaluate its argument once."""

    @functools.wraps(function)
    def evaluate(value: tirx.Expr) -> tirx.Expr:
        return bind(value, function)

    return evaluate


def select(condition: tirx.Expr, yes: tirx.Expr, no: tirx.Expr) -> tirx.Expr:
    """`yes` where the condition holds, else `no`; both are computed, which keeps loops vectorisable."""
    return tirx.Select(condition, yes, no)


def round_half_even(x: tirx.Expr) -> tirx.Expr:
    """Nearest integer, halves to the even one.

    By TVM's `round`, which rounds this way. Its vectoriser looks at the argument of `nearbyint` twice, and then refuses
    the bindings inside.
    """
    return tirx.round(x)


def is_nan(x: tirx.Expr) -> tirx.Expr:
    """Whether a float32 is NaN, by its bits: TVM's simplifier takes `x != x` for false."""
    magnitude = tirx.reinterpret("uint32", x) & tirx.const(0x7FFFFFFF, "uint32")
    return magnitude > tirx.const(0x7F800000, "uint32")


def keep_nan(x: tirx.Expr, result: tirx.Expr) -> tirx.Expr:
    """`result`, except that a NaN argument is handed on (clamping would lose it)."""
    return select(is_nan(x), x, result)


@bound
def exp(x: tirx.Expr) -> tirx.Expr:
    """eˣ: x = n·ln 2 + r, polynomial in r, n put into the exponent bits. Results below 2e-38 may be 0."""
    clamped = _clamp(x, _EXP_LOWEST, _EXP_HIGHEST)
    result = bind(tirx.floor(clamped * constant(_LOG2_E) + constant(0.5)), lambda n: _scaled_exp(clamped, n))
    result = select(x < constant(_EXP_LOWEST), constant(0.0), result)
    return keep_nan(x, select(x > constant(_EXP_HIGHEST), constant(math.inf), result))


def _scaled_exp(x: tirx.Expr, n: tirx.Expr) -> tirx.Expr:
    remainder = x - n * constant(_LN2_HIGH) - n * constant(_LN2_LOW)
    fraction = bind(remainder, lambda r: _polynomial(r, _EXP) * r * r + r + constant(1.0))
    # n reaches 128, one more than a float32 exponent holds: scale in two steps
    return fraction * _power_of_two(n - constant(1.0)) * constant(2.0)


def _power_of_two(n: tirx.Expr) -> tirx.Expr:
    exponent = (n.astype("int32") + tirx.const(127, "int32")) << tirx.const(23, "int32")
    return tirx.reinterpret("float32", exponent)


@bound
def log(x: tirx.Expr) -> tirx.Expr:
    """Natural logarithm; −∞ at 0, NaN below. Subnormal arguments are scaled up first."""
    tiny = x < constant(1.1754943508e-38)
    scaled = select(tiny, x * constant(8388608.0), x)
    bits = tirx.reinterpret("int32", scaled)
    result = bind(bits, lambda b: _log_of_bits(b, select(tiny, constant(23.0), constant(0.0))))
    result = select(x == constant(0.0), constant(-math.inf), result)
    result = select(x == constant(math.inf), x, result)
    return select(tirx.any(x < constant(0.0), is_nan(x)), constant(math.nan), result)


def _log_of_bits(bits: tirx.Expr, shift: tirx.Expr) -> tirx.Expr:
    """Logarithm of the normal number with these bits, less `shift`·ln 2."""
    exponent = ((bits >> tirx.const(23, "int32")) - tirx.const(126, "int32")).astype("float32") - shift
    mantissa_bits = (bits & tirx.const(0x007FFFFF, "int32")) | tirx.const(0x3F000000, "int32")
    return bind(tirx.reinterpret("float32", mantissa_bits), lambda m: _log_of_parts(m, exponent))


def _log_of_parts(mantissa: tirx.Expr, exponent: tirx.Expr) -> tirx.Expr:
    """Logarithm of mantissa·2^exponent, ½ ≤ mantissa < 1."""
    small = mantissa < constant(math.sqrt(0.5))
    power_of_two = exponent - select(small, constant(1.0), constant(0.0))

    def series(e: tirx.Expr, r: tirx.Expr) -> tirx.Expr:
        tail = _polynomial(r, _LOG) * r * r * r + e * constant(_LN2_LOW) - constant(0.5) * r * r
        return r + tail + e * constant(_LN2_HIGH)

    reduced = select(small, mantissa + mantissa, mantissa) - constant(1.0)
    return bind(power_of_two, lambda e: bind(reduced, lambda r: series(e, r)))


@bound
def erf(x: tirx.Expr) -> tirx.Expr:
    """Gauss error function; ±1 beyond ±4 to float32 precision."""
    clamped = _clamp(x, -4.0, 4.0)
    return keep_nan(x, _odd_ratio(clamped, _ERF_NUMERATOR, _ERF_DENOMINATOR))


def _odd_ratio(x: tirx.Expr, numerator: Sequence[float], denominator: Sequence[float]) -> tirx.Expr:
    """x·P(x²) / Q(x²)."""
    return bind(
        x, lambda v: bind(v * v, lambda s: v * _polynomial(s, numerator) / _polynomial(s, denominator))
    )


@bound
def tanh(x: tirx.Expr) -> tirx.Expr:
    """Hyperbolic tangent; ±1 beyond ±9 to float32 precision, x itself near 0."""
    clamped = _clamp(x, -7.90531110763549805, 7.90531110763549805)
    result = _odd_ratio(clamped, _TANH_NUMERATOR, _TANH_DENOMINATOR)
    return keep_nan(x, select(tirx.abs(x) < constant(4e-4), x, result))


def sigmoid(x: tirx.Expr) -> tirx.Expr:
    """1 / (1 + e⁻ˣ)."""
    return constant(1.0) / (constant(1.0) + exp(constant(0.0) - x))


def sin(x: tirx.Expr) -> tirx.Expr:
    """Sine of radians; full precision up to |x| ≈ 8192."""
    return _sine(x, quarter_turns=0)


def cos(x: tirx.Expr) -> tirx.Expr:
    """Cosine of radians; full precision up to |x| ≈ 8192."""
    return _sine(x, quarter_turns=1)


def _sine(x: tirx.Expr, quarter_turns: int) -> tirx.Expr:
    def reduced(value: tirx.Expr, turns: tirx.Expr) -> tirx.Expr:
        r = value
        for part in _HALF_PI:
            r = r - turns * constant(part)
        quadrant = turns.astype("int32") + tirx.const(quarter_turns, "int32")
        return bind(r, lambda v: bind(quadrant, lambda q: _sine_in_quadrant(v, q)))

    return bind(
        x, lambda v: bind(tirx.floor(v * constant(2.0 / math.pi) + constant(0.5)), lambda t: reduced(v, t))
    )


def _sine_in_quadrant(r: tirx.Expr, quadrant: tirx.Expr) -> tirx.Expr:
    """Sine of r + quadrant·π/2, |r| ≤ π/4."""
    one, two, zero = (tirx.const(value, "int32") for value in (1, 2, 0))

    def combined(square: tirx.Expr) -> tirx.Expr:
        sine = _polynomial(square, _SIN) * square * r + r
        cosine = _polynomial(square, _COS) * square * square - constant(0.5) * square + constant(1.0)
        return select((quadrant & one) == zero, sine, cosine)

    unsigned = bind(r * r, combined)
    return bind(unsigned, lambda v: select((quadrant & two) == zero, v, constant(0.0) - v))


def power(base: tirx.Expr, exponent: tirx.Expr) -> tirx.Expr:
    """baseᵉˣᵖᵒⁿᵉⁿᵗ = e^(exponent·ln |base|), with the sign of an odd integer exponent for a negative base."""
    return bind(base, lambda b: bind(exponent, lambda e: _power(b, e)))


def _power(base: tirx.Expr, exponent: tirx.Expr) -> tirx.Expr:
    magnitude = exp(exponent * log(tirx.abs(base)))
    is_integer = tirx.floor(exponent) == exponent
    half = exponent * constant(0.5)
    is_odd = tirx.all(is_integer, tirx.floor(half) != half)

    def signed(value: tirx.Expr) -> tirx.Expr:
        odd_or_nan = select(is_integer, value, constant(math.nan))
        return select(base < constant(0.0), select(is_odd, constant(0.0) - value, odd_or_nan), value)

    return select(exponent == constant(0.0), constant(1.0), bind(magnitude, signed))


def fmod(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
    """Remainder of a division that is cut off towards zero, with the sign of x; exact up to a quotient of 2²⁸.

    Args:
        x: float32.
        y: float32; the result is x itself where it is infinite.
    """
    wide, divisor = x.astype("float64"), y.astype("float64")
    rest = wide - tirx.trunc(wide / divisor) * divisor
    is_infinite = tirx.all(tirx.abs(y) == constant(math.inf), tirx.abs(x) < constant(math.inf))
    return select(is_infinite, x, rest.astype("float32"))


def floor_mod(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
    """The same of a division that is rounded down, with the sign of y."""
    zero = constant(0.0)

    def signed(rest: tirx.Expr) -> tirx.Expr:
        differs = tirx.any(tirx.all(rest < zero, y > zero), tirx.all(rest > zero, y < zero))
        return select(differs, rest + y, rest)

    return bind(fmod(x, y), signed)
