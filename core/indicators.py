"""True range, ATR and EMA over finished candles, bar by bar and over a whole series, equal to the last digit.

* TR = max(high - low, |high - close before|, |low - close before|); of the first candle high - low.
* ATR n, `sma`: the mean of the last n true ranges, of all there are while they are fewer.
  ATR n, `wilder`: that mean up to the n-th candle, then (ATR before x (n - 1) + TR) / n
  (J. W. Wilder, "New Concepts in Technical Trading Systems", 1978).
* EMA n: EMA before + 2 / (n + 1) x (close - EMA before), starting at the first close.

Each value is rounded half-even to 18 decimal places as it is made, so that a store holds exactly what was computed. The
slowest of them, EMA 200, still carries 13 % of its first close after 200 candles: before `WARMUP` candles nothing is ready.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from core.market import Candle
from core.quick import quick
from core.values import AMOUNT_PLACES, ZERO

ATR_LENGTHS = (14, 28)
EMA_LENGTHS = (14, 28, 50, 100, 200)
WARMUP = 200
SMOOTHINGS = ("sma", "wilder")

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
# An EMA weighs what it was with n - 1 and the close with 2, over n + 1.
_EMA_LESS = tuple(Decimal(length - 1) for length in EMA_LENGTHS)
_EMA_MORE = tuple(Decimal(length + 1) for length in EMA_LENGTHS)


@quick
@dataclass(frozen=True, slots=True)
class Reading:
    """The indicators after one finished candle, in price units; `emas` in the order of `EMA_LENGTHS`."""

    tr: Decimal
    atr_14: Decimal
    atr_28: Decimal
    emas: tuple[Decimal, ...]

    def ema(self, length: int) -> Decimal:
        """Return one EMA by its length; raises `ValueError` for a length that is not computed."""
        return self.emas[EMA_LENGTHS.index(length)]


@quick
@dataclass(frozen=True, slots=True)
class Gauge:
    """What the next candle's indicators follow from: how many candles were seen, the last close, the last true ranges."""

    count: int
    close: Decimal
    ranges: tuple[Decimal, ...]
    reading: Reading

    @property
    def ready(self) -> bool:
        """Whether enough candles were seen for the slowest indicator."""
        return self.count >= WARMUP


def follow(gauge: Gauge | None, candle: Candle, smoothing: str = "sma") -> Gauge:
    """Take in the next finished candle; None before the first one. `smoothing` is one of `SMOOTHINGS`."""
    if gauge is None:
        tr = candle.high - candle.low
        return Gauge(1, candle.close, (tr,), Reading(tr, tr, tr, (candle.close,) * len(EMA_LENGTHS)))
    before, close = gauge.reading, candle.close
    tr = true_range(candle, gauge.close)
    ranges = (*gauge.ranges[-(ATR_LENGTHS[-1] - 1) :], tr)
    count = gauge.count + 1
    wilder = smoothing == "wilder"
    atr_14 = _next_atr(before.atr_14, tr, ranges, count, ATR_LENGTHS[0], wilder=wilder)
    atr_28 = _next_atr(before.atr_28, tr, ranges, count, ATR_LENGTHS[1], wilder=wilder)
    # Written out: the hours and minutes of a backtest spend their time here.
    twice, fma, divide = close * 2, _CONTEXT.fma, _CONTEXT.divide
    emas = tuple(
        [
            divide(fma(old, less, twice), more).quantize(AMOUNT_PLACES, None, _CONTEXT)
            for old, less, more in zip(before.emas, _EMA_LESS, _EMA_MORE, strict=True)
        ]
    )
    return Gauge(count, close, ranges, Reading(tr, atr_14, atr_28, emas))


def readings(candles: Sequence[Candle], smoothing: str = "sma") -> list[Reading]:
    """Compute the indicators of a whole series, column by column: what `follow` must give candle by candle."""
    closes = [candle.close for candle in candles]
    ranges = [
        candle.high - candle.low if i == 0 else true_range(candle, closes[i - 1]) for i, candle in enumerate(candles)
    ]
    atrs = [_atr_column(ranges, length, smoothing) for length in ATR_LENGTHS]
    emas = [_ema_column(closes, length) for length in EMA_LENGTHS]
    return [Reading(tr, atrs[0][i], atrs[1][i], tuple(column[i] for column in emas)) for i, tr in enumerate(ranges)]


def true_range(candle: Candle, close_before: Decimal) -> Decimal:
    """Return how far the price went, the way from the close before included."""
    return max(candle.high, close_before) - min(candle.low, close_before)


def _next_atr(
    before: Decimal, tr: Decimal, ranges: tuple[Decimal, ...], count: int, length: int, *, wilder: bool
) -> Decimal:
    if wilder and count > length:
        return _smoothed(before, tr, length)
    return _over(sum(ranges[-length:], ZERO), min(count, length))


def _atr_column(ranges: Sequence[Decimal], length: int, smoothing: str) -> list[Decimal]:
    column: list[Decimal] = []
    whole = ZERO
    for i, tr in enumerate(ranges):
        whole += tr - (ranges[i - length] if i >= length else ZERO)
        if smoothing == "wilder" and i >= length:
            column.append(_smoothed(column[-1], tr, length))
        else:
            column.append(_over(whole, min(i + 1, length)))
    return column


def _ema_column(closes: Sequence[Decimal], length: int) -> list[Decimal]:
    column: list[Decimal] = []
    for close in closes:
        column.append(_next_ema(column[-1], close, length) if column else close)
    return column


def _next_ema(before: Decimal, close: Decimal, length: int) -> Decimal:
    return _over(_CONTEXT.fma(before, Decimal(length - 1), close * 2), length + 1)


def _smoothed(before: Decimal, tr: Decimal, length: int) -> Decimal:
    return _over(_CONTEXT.fma(before, Decimal(length - 1), tr), length)


def _over(whole: Decimal, count: int) -> Decimal:
    return _CONTEXT.divide(whole, count).quantize(AMOUNT_PLACES, None, _CONTEXT)
