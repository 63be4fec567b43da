"""The words of the compiled ATR grid: the places of its parameters, scalars, and of the columns of its tables.

Prices are whole numbers of one unit, quantities of another; `money` is quote in a unit of which a price times a quantity
and a fee are whole multiples. A fraction is a numerator (`*_NUM`) over a denominator (`*_DEN`). `core.atr_kernel` says how
they are used.
"""

from core.grid_table import DONE, LOG_FULL, ROUNDING

# How a run ended, beside `core.grid_table`'s: what the kernel does not know the core's answer to.
BELOW_MINIMUM, CROWDED, NO_FUNDS, MIXED, STRANGE, LIQUIDATED = range(10, 16)
STATUSES = (DONE, LOG_FULL, ROUNDING, BELOW_MINIMUM, CROWDED, NO_FUNDS, MIXED, STRANGE, LIQUIDATED)

# Parameters. EDGE is what a price must pass a limit by. MAKER and TAKER over FEE_DEN are the fees as the machine reckons
# them (never below zero), PAID_* over PAID_DEN those that the venue takes, in 1e-8. A price times a quantity times
# MONEY_MUL is money, times (FEE_DEN + fee) x MONEY_FEE_MUL money with its fee; a fee in 1e-8 times PAID_MUL is money.
(LEVELS, TICK, LOT, EDGE, PATH, LATENCY_US, THIRD_US, CLOSE_US, MIN_NOTIONAL, MIN_QTY, LEAST, MAKER, TAKER, FEE_DEN,
 PAID_MAKER, PAID_TAKER, PAID_DEN, MONEY_MUL, MONEY_FEE_MUL, PAID_MUL, ORDER_QUOTE, CAP_NUM, CAP_DEN, ATR_NUM, ATR_DEN,
 WILD_NUM, WILD_DEN, CALM_NUM, CALM_DEN, ADJUST_NUM, ADJUST_DEN, ADJUST_BARS, DRIFT_NUM, DRIFT_DEN, CONSUMED_NUM,
 CONSUMED_DEN, RECENTER_BARS, SALE_NUM, SALE_DEN, LOSS_SALE, FINE, FINE_PLACES, CASH, OPENING,
 # of the hedge; HEDGE says whether there is one
 HEDGE, TICK_2, LOT_2, MIN_NOTIONAL_2, MIN_QTY_2, TAKER_2, PAID_TAKER_2, FINE_VALUE, FINE_FEE, QTY_SCALE, NANOS,
 CAPITAL, CAPITAL_LOW, MARGIN, MARGIN_LOW, LEVERAGE, LOSS_MOST, LOSS_MOST_LOW, BUDGET_LEAST, BUDGET_LEAST_LOW, OPENING_2,
 OPENING_2_LOW, ZONE_NUM, ZONE_DEN, PENDING_NUM, PENDING_DEN, BREAK_NUM, BREAK_DEN, DANGER_NUM, DANGER_DEN, BREAK_ATR_NUM,
 BREAK_ATR_DEN, LEAVE_ATR_NUM, LEAVE_ATR_DEN, BAND_NUM, BAND_DEN, COOL_BARS, STOP_NUM, STOP_DEN, PROFIT_NUM, PROFIT_DEN,
 COST_NUM, COST_DEN, TURN_NUM, TURN_DEN, CUT_US, FROM_NUM, FROM_DEN, UNTIL_NUM, UNTIL_DEN, SALE_FROM_NUM, SALE_FROM_DEN,
 REDUCE_NUM, REDUCE_DEN, FEE_DEN_2, FINE_FEE_2,
 # of funding: how many rows of rates there are, and how a payment is brought to 1e-8
 RATES, RATE_NINES, RATE_REST,
 # half the spread, and the slippage of orders at the market, as fractions of a price
 HALF_NUM, HALF_DEN, SLIP_NUM, SLIP_DEN,
 # the most base and quote (a pair) that lots and purchases under way may come to; FINE_VALUE is the last two multiplied
 MOST_QTY, CAPPED, MOST_QUOTE, MOST_QUOTE_LOW, FINE_NINES, FINE_REST) = range(113)  # fmt: skip
PARAMETERS = 113
# What there is room for without a limit.
UNBOUNDED = 1 << 62
# ATR_NUM over ATR_DEN turns an ATR in 1e-9 quote into a tenth of the spacing, in ticks. FINE is how many 1e-18 quote
# make a price unit, FINE_PLACES how many price units make 1; FINE_VALUE and FINE_FEE bring a price times a quantity, and
# that times a fee's numerator, to 1e-18 quote, FINE_FEE_2 with the hedge's fee over FEE_DEN_2. Amounts in 1e-18 are pairs
# (`core.wide_kernel`): the second number is *_LOW. A price times a quantity times a rate, divided by 10**9 RATE_NINES times
# and by RATE_REST, is funding in 1e-8.
# The shares of the bag by zone follow each other, ZONE_* (none) first: each at twice its zone's number.

# Scalars of the machine. VOLATILITY and TREND are the words below; LAYOUT whether a grid was ever laid, LINES how many
# lines it has; ADJUSTED, RECENTERED and COUNT count candles.
(S_STATUS, S_CASH, S_LAYOUT, S_SPACING, S_LINES, S_VOLATILITY, S_TREND, S_PENDING, S_FALLEN, S_RECOVERY, S_ADJUSTED,
 S_RECENTERED, S_COUNT, S_INVENTORY, S_LAST,
 # of the order layer and the venue: queue of legs to look at, commands, news, the path, resting prices, money
 S_QUEUE, S_INTENTS, S_NEWS, S_PRICE, S_TIME, S_BAR, S_OPENED, S_NEXT_ID, S_FILLS, S_DUE, S_STALE, S_BID, S_ASK, S_LOW,
 S_HIGH, S_MOVED, S_LIVE_EXIT, S_QUOTE, S_LOCKED_QUOTE, S_LOCKED_BASE, S_VISITED, S_PAID, S_CHANGED,
 # of the hedge: its state in the machine, its lot and its market
 S_ZONE, S_SHORT_CYCLE, S_ASKED_SELL, S_ASKED_BUY, S_SOLD, S_BOUGHT, S_CAP_SELL, S_CAP_BUY, S_ASKED_AT, S_TRIES, S_PROCEEDS,
 S_PROCEEDS_LOW, S_COSTS, S_COSTS_LOW, S_OPENED_AT, S_OFF_SINCE, S_COOL_UNTIL, S_BUDGET, S_BUDGET_LOW, S_HEDGED, S_HEDGED_LOW,
 S_NET_COST, S_NET_COST_LOW, S_SHORT, S_SHORT_COST, S_SHORT_COST_LOW, S_LOT_CYCLE, S_LAST_2, S_PRICE_2, S_TIME_2, S_NEXT_ID_2,
 S_DUE_2, S_NEWS_2, S_QUOTE_2, S_QUOTE_2_LOW, S_LOCKED_2, S_HELD_2, S_HIGH_2, S_NOW, S_SHORT_CHANGED,
 # whether funding was paid when the bar opened, and whether the short was closed among the news under way
 S_FUNDED, S_SHUT,
 # the touch of both markets as the engine was told it
 S_TOUCH_BID, S_TOUCH_ASK, S_TOUCH_BID_2, S_TOUCH_ASK_2,
 # base of purchases under way, what they are worth at their prices, and what they may be worth
 S_LIVE_ENTRY, S_LIVE_VALUE, S_ROOM) = range(87)  # fmt: skip
SCALARS = 87
# Zones of the hedge, and the words of its ends. NEVER: a time that has not come.
ZONE_NONE, ZONE_PENDING, ZONE_BREAK, ZONE_DANGER = range(4)
NO_EXIT, PENDING_DONE, MAX_LOSS, TAKE_PROFIT, REVERSAL_STOP, REVERSAL_CUT = range(6)
NEVER = -1
CALM, WILD = 1, 2
DOWN, UP, SIDEWAYS = 1, 2, 3

# Rows of the table of levels: `core.machines.atr_grid.state`'s. FINER is what the entry has below a price unit, in 1e-18;
# OPEN the base of all open lots of the place; CHANGED whether its legs may be others now; RANK its place by name.
IDLE, RESTING, HOLDING = range(3)
(L_STATE, L_CYCLE, L_PRICE, L_SPACING, L_QTY, L_BOUGHT, L_HELD, L_ENTRY, L_FINER, L_SOLD, L_TARGET, L_CUT_TO, L_CAP,
 L_OPEN, L_CHANGED, L_KEPT, L_RANK) = range(17)  # fmt: skip
LEVEL_ROWS = 17

# Legs: SLOTS for each place and role, one a cycle. Rows of their table: what is wanted, what is done, the order, and when it
# was called back.
SLOTS = 4
ENTRY, EXIT = 0, 1
(W_USED, W_CYCLE, W_WANTED, W_QTY, W_PRICE, W_POST, W_DONE, W_NEXT, W_MARK, W_STATUS, W_OQTY, W_OPRICE, W_ASKED,
 W_ATTEMPT, W_ORDER, W_VENUE, W_LOCKED, W_OPOST, W_RECALLED) = range(19)  # fmt: skip
LEG_ROWS = 19
# An order as the engine knows it, and as the venue does.
NONE, PENDING, OPEN, CANCELING = range(4)
AWAY, SENT, RESTS, OVER = range(4)

# Rows of the gauge: indicators by candle. An ATR is its whole 1e-9 quote and what is below, in 1e-18.
(G_CLOSE, G_ATR_14, G_ATR_14_LOW, G_ATR_28, G_ATR_28_LOW, G_TREND, G_UNDER) = range(7)
GAUGE_ROWS = 7
WARMUP = 200

# Columns of the queue of what is on its way, of the commands of a round, and of the news.
DUE_US, DUE_ORDER, DUE_PLACES, DUE_LEG = range(4)
DUE_COLUMNS = 4
NEWS_LEG, NEWS_FILLED, NEWS_PRICE, NEWS_QTY, NEWS_US, NEWS_MAKER, NEWS_FEE, NEWS_TRADE = range(8)
NEWS_COLUMNS = 8
# Rows of the table of open spot lots: SLOTS for each place.
T_QTY, T_CYCLE, T_COST, T_COST_LOW, T_OPENED = range(5)
LOT_ROWS = 5
# Rows of the table of funding: the bar at whose opening it is paid, the rate in its own unit, and what a run received, in
# 1e-8 quote.
R_BAR, R_RATE, R_PAID = range(3)
RATE_ROWS = 3
# How long the lists are: lines of a grid, rows of the queue.
LINES_A_LEVEL, LINES_MORE, QUEUE_ROWS = 4, 64, 4
# An account may grow to so many times what it opens with; beyond it sums might not fit.
GROWTH = 8
