"""Whole numbers of up to 36 digits as pairs of int64, for the kernels: value = high x 10**18 + low, 0 <= low < 10**18.

Compiled code has 64 bits; the core's amounts of quote have up to 18 decimals. Every function takes and returns pairs,
and none of them raises: that a number fits is the caller's to check.
"""

WIDE = 10**18
HALF = 10**9


def wide(value: int) -> tuple[int, int]:
    """Widen a number."""
    return value // WIDE, value % WIDE


def product(a: int, b: int) -> tuple[int, int]:
    """Multiply two numbers, each below 4 x 10**18 in size."""
    a1, a0, b1, b0 = a // HALF, a % HALF, b // HALF, b % HALF
    middle = a1 * b0 + a0 * b1
    low = middle % HALF * HALF + a0 * b0
    high = a1 * b1 + middle // HALF
    return (high + 1, low - WIDE) if low >= WIDE else (high, low)


def plus(h: int, low: int, h2: int, low2: int) -> tuple[int, int]:
    """Add two pairs."""
    both = low + low2
    return (h + h2 + 1, both - WIDE) if both >= WIDE else (h + h2, both)


def minus(h: int, low: int, h2: int, low2: int) -> tuple[int, int]:
    """Take the second pair from the first."""
    left = low - low2
    return (h - h2 - 1, left + WIDE) if left < 0 else (h - h2, left)


def times(h: int, low: int, factor: int) -> tuple[int, int]:
    """Multiply a pair by a number."""
    h2, low2 = product(low, factor)
    return h * factor + h2, low2


def over(h: int, low: int, divisor: int) -> tuple[int, int, bool]:
    """Divide by 0 < `divisor` < 9 x 10**9, towards minus infinity; also whether something is left."""
    quotient, rest = h // divisor, h % divisor
    top = rest * HALF + low // HALF
    upper, rest = top // divisor, top % divisor
    top = rest * HALF + low % HALF
    lower, rest = top // divisor, top % divisor
    both = upper * HALF + lower
    return quotient + both // WIDE, both % WIDE, rest != 0


def less(h: int, low: int, h2: int, low2: int) -> bool:
    """Whether the first pair is below the second."""
    return h < h2 or (h == h2 and low < low2)


def above_zero(h: int, low: int) -> bool:
    """Whether a pair is above zero."""
    return h > 0 or (h == 0 and low > 0)


def below_zero(h: int) -> bool:
    """Whether a pair is below zero, by its first number."""
    return h < 0
