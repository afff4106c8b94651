/*
 * Scalar arithmetic that kernels call once a row. The formulas are those of operations/row_arithmetic.py.
 * Freestanding C11; it divides bit by bit, because Hexagon has no instruction for it.
 */
#include <stdint.h>

/* s with 2^15 <= value * 2^-s < 2^16; value is positive. */
int32_t npuc_normalizing_shift(uint32_t value) { return 16 - __builtin_clz(value); }

/* floor(2^31 / (value * 2^-s)) for the s above; at most 2^16. */
int32_t npuc_reciprocal(uint32_t value) {
    int32_t shift = npuc_normalizing_shift(value);
    uint32_t divisor = shift >= 0 ? value >> shift : value << -shift;
    uint32_t remainder = UINT32_C(1) << 15, quotient = 0;

    for (int bit = 16; bit >= 0; --bit) {
        quotient <<= 1;
        if (remainder >= divisor) {
            remainder -= divisor;
            quotient |= 1;
        }
        remainder <<= 1;
    }
    return (int32_t)quotient;
}

/* Largest integer whose square is not above value. */
static uint32_t square_root(uint64_t value) {
    uint64_t root = 0, bit = UINT64_C(1) << 62;

    while (bit > value) bit >>= 2;
    for (; bit != 0; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

/* n times the standard deviation of a row of n codes, at least 1. */
int32_t npuc_deviation(int32_t sum, int32_t squares, int32_t count, int64_t epsilon) {
    int64_t variance = (int64_t)count * squares - (int64_t)sum * sum + epsilon;
    uint32_t root = square_root((uint64_t)variance);

    return root > 0 ? (int32_t)root : 1;
}
