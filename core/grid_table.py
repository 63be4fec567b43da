"""The words of the compiled grid: the place of each of its parameters, levels' rows, scalars and columns of the log.

The kernel knows whole numbers in arrays alone; these names are their places. `core.grid_kernel` says how they are used.
"""

# How a run ended. All but DONE say that the kernel does not know what the core would do.
DONE, LOG_FULL, BELOW_MINIMUM, ROUNDING, QUEUE_FULL, WOULD_CROSS, UNDECIDED, CHAINED = range(8)

# Parameters. EDGE is what a price must pass a limit by; SAFE_* and SLIP_* are numerators over *_DEN, SLIPPED_NUM over its DEN
# is what a price at the market is multiplied by; MAKER and TAKER over RATE_DEN give a fee in 1e-8 quote; COST_MUL and FEE_MUL
# bring cost and fees to one unit. GUARDED says whether there is any barrier over the price; TRAIL_FROM and TRAIL_DELTA over
# TRAIL_DEN are fractions of cost, BOT_* profits in that unit, RANGE_* the first prices outside the range, where RANGE_KEEPS
# says that what is held is kept. CHOOSES says whether not all levels may always work: OPEN_MOST entries at once, BATCH_MOST of
# them every BATCH_US, entries within ENTRY_NUM over ENTRY_DEN of the price and exits within EXIT_NUM over EXIT_DEN. 0, FAR or
# -FAR: not set.
(TICK, EDGE, SHORT, PATH, LATENCY_US, THIRD_US, CLOSE_US, SAFE_LESS, SAFE_MORE, SAFE_DEN, MIN_NOTIONAL, MIN_QTY, INVENTORY,
 LIMIT, KEEP, STOP_NUM, STOP_DEN, DEADLINE_US, DEADLINE_BAR, MAKER, TAKER, RATE_DEN, COST_MUL, FEE_MUL, SLIP_NUM,
 SLIP_DEN, SLIPPED_NUM, SLIPPED_DEN, GUARDED, TRAIL_FROM, TRAIL_DELTA, TRAIL_DEN, BOT_STOP, BOT_TAKE, RANGE_LOW, RANGE_HIGH,
 RANGE_KEEPS, CHOOSES, OPEN_MOST, BATCH_MOST, BATCH_US, ENTRY_NUM, ENTRY_DEN, EXIT_NUM, EXIT_DEN) = range(45)  # fmt: skip
PARAMETERS = 45
HIGH_FIRST, LOW_FIRST, NEARER_FIRST = range(3)
MARKET, RESTING, NONE = range(3)
FAR = 1 << 62
# Bars a block: short enough to look at one by one, long enough to skip by.
BLOCK = 16

# Rows of the table of levels; the first five are given, the others are the run's.
(BID, ASK, QTY, RANK, BY_RANK, HOLDING, STATE, PRICE, ORDER, CANCELING, CYCLE, ATTEMPT, TAKES, ON_BID, ON_ASK, LOT_COST,
 LOT_FEE, QUEUE, NOW, MOVED, BID_FEE, ASK_FEE, ENDED, ENTERS, WANTED, AT_MARKET) = range(26)  # fmt: skip
LEVEL_ROWS = 26
ABSENT, SENT, LIVE = range(3)
# ENTERS is whether a level may enter, WANTED whether its present leg is worked, AT_MARKET whether it enters at the market as the
# price had passed it at the start; all three only where the grid CHOOSES.
# ENDED is when a level's order was over (FAR: it lives), CANCELING when its cancel was sent (0: not). After so long the rest
# of a closing no longer waits for its end, as `core.engine.unwind` has it.
CANCEL_WAIT_US = 2_000_000
# As `core.backtest` has it: a moment of more rounds is the core's.
ROUNDS_MAX = 64

# The run's scalars. TOP and BOTTOM point to the best own-price bid and ask, LOW and HIGH are the prices that matter next,
# UNTIL the time.
# INVENTORY, COST and FEES are those of open lots, PEAK their best profit over cost in 2**-50 (PEAK_GAIN over PEAK_COST), ARMED
# whether it came to TRAIL_FROM; PROFIT of TRIPS closed ones, WON of them after fees; PAID is all fees. NET_LEAST is the least
# that profit after fees ever was. Costs and profits in price times quantity, fees in 1e-8. What levels are chosen holds between
# CHOICE_LOW and CHOICE_HIGH until NEXT_AT; BATCHED_AT is when entries last went out.
(S_LOW, S_HIGH, S_TOP, S_BOTTOM, S_QUEUE, S_MOVED, S_DUE_FROM, S_DUE_TO, S_NEXT_ID, S_FILLS, S_STATUS, S_CLOSED, S_UNARMED,
 S_INVENTORY, S_COST, S_FEES, S_PRICE, S_TIME, S_VISITED, S_BAR, S_PROFIT, S_PAID, S_TRIPS, S_WON, S_INITIAL,
 S_NET_LEAST, S_OPENED, S_OVER, S_MODE, S_UNWINDS, S_EPISODE, S_SEEN, S_OUT_ORDER, S_OUT_QTY, S_OUT_CAP,
 S_OUT_ATTEMPT, S_PEAK, S_PEAK_GAIN, S_PEAK_COST, S_ARMED, S_BATCHED_AT, S_NEXT_AT, S_CHOICE_LOW,
 S_CHOICE_HIGH, S_UNTIL) = range(45)  # fmt: skip
SCALARS = 45

# The barriers.
(NO_BARRIER, HIT_LIMIT, HIT_STOP, HIT_BOT_STOP, HIT_TIME, HIT_TRAIL, HIT_BOT_TAKE, HIT_RANGE) = range(8)

# CLOSED is the barrier that fired, MODE what is done about it, UNWINDS whether an unwind is under way; OUT_* is its order
# (0: none), SEEN the fills answered so far, OVER that nothing can happen any more.
CLOSING, GONE, KEPT = range(1, 4)

# Columns of the log of fills. A level of -1 is the unwinding of everything after a barrier.
(FILL_US, FILL_BAR, FILL_LEVEL, FILL_CYCLE, FILL_ATTEMPT, FILL_EXIT, FILL_PRICE, FILL_QTY, FILL_MAKER, FILL_TRADE,
 FILL_FEE) = range(11)  # fmt: skip
FILL_COLUMNS = 11
# Columns of the queue of what is on its way to the venue.
DUE_US, DUE_ORDER, DUE_PLACES, DUE_LEVEL = range(4)
DUE_COLUMNS = 4
