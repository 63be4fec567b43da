"""The words of the compiled rolling grid, behind those of `core.grid_table`: places of its parameters, rows and scalars.

The table has three columns for each of n places, because so many orders of one may live at once: column i works its exit,
n + i its entry, and in 2 n + i an entry ends that was given up. Columns from 3 n on work the rungs of ladders, or hold one
more order that is called back, each for the place that OWNER names. A place may hold two lots, as a given-up entry may be
filled after all: the rows of lots in columns i and n + i are theirs.
"""

from core.grid_table import CHAINED, LEVEL_ROWS, PARAMETERS, SCALARS

# Ends beside the grid's. NO_ROOM asks for a table with more columns.
NO_ROOM, LATE_ENTRY, OVERSOLD = range(CHAINED + 1, CHAINED + 4)

# Parameters. AWAY is how far behind the other side of the book an entry rests. TARGET_* make a lot's exit of its entry, LOSS_*
# its stop (LOSS_DEN 0: none), STUCK_* of its exit where it is stuck (STUCK_DEN 0: nothing would come of it), STEP_* of the
# nearest exit where the next entry may start. COOL_* are cooldowns by how full the bot is, the shortest first. BOUND_QUOTE
# bounds lots and entries, in price times quantity. PAUSE and BACK are prices (PAUSE 0: none).
(AWAY, TARGET_NUM, TARGET_DEN, LOSS_NUM, LOSS_DEN, STUCK_NUM, STUCK_DEN, STEP_NUM, STEP_DEN, COOL_LEAST, COOL_HALF,
 COOL_ONCE, COOL_TWICE, REQUOTE_US, REQUOTES, TIMEOUT_US, BOUND_QUOTE, STEP_MS, PAUSE,
 BACK) = range(PARAMETERS, PARAMETERS + 20)  # fmt: skip
# STOP_AT is the price at which everything is closed (0: none), passed by falling where STOP_FALLS, and STOP_BACK where it is
# back. PLACES is n, LOT_STEP in units of quantity; a fee's finest part is 1 / FINE of a unit of sums.
# UNBOUNDED: its prices are the last ones, over which the machine knows no band.
STOP_AT, STOP_BACK, STOP_FALLS, PLACES, LOT_STEP, FINE, UNBOUNDED = range(PARAMETERS + 20, PARAMETERS + 27)
# MODE and ESCALATES say how stuck lots are recovered, PATIENCE_US and ESCALATE_US how long that waits. The loss that it may
# realise is BUDGET_NUM over BUDGET_DEN of what was earned (BUDGET_DEN 0: any). RUNGS rungs of a ladder lie at the present
# price times RUNG_NUM + k over RUNG_DEN.
(MODE, ESCALATES, PATIENCE_US, ESCALATE_US, BUDGET_NUM, BUDGET_DEN, RUNGS, RUNG_DEN,
 RUNG_NUM) = range(PARAMETERS + 27, PARAMETERS + 36)  # fmt: skip
RUNGS_MOST = 10
ROLLING_PARAMETERS = RUNG_NUM + RUNGS_MOST
WAITS, AT_MARKET, BY_RUNGS = range(3)

# Rows of orders. WANTED is the leg's price, ASKED that price when its order was sent, FRESH whether the leg has had no order
# yet, SIZE the order's quantity, TAKES_BOOK whether it closes at the market, PAID and PAID_FEE its fill. OWNER is the place,
# ENTERS whether it is an entry, LEFT what a rung shall still close (0: it is none).
(WANTED, ASKED, FRESH, SIZE, TAKES_BOOK, PAID, PAID_FEE, OWNER, LEFT, ENTERS) = range(LEVEL_ROWS, LEVEL_ROWS + 10)
# Rows of lots: when one was opened, the number of its entry, its price, what is left of it, what that has earned; LOT_FINE is
# the part of its fees below LOT_FEE, BORN the order in which lots were booked. SPARED and TAKEN are of a closing of all.
(OPENED, LOT_NUMBER, LOT_PRICE, LOT_LEFT, LOT_GAIN, LOT_FINE, BORN, SPARED,
 TAKEN) = range(LEVEL_ROWS + 10, LEVEL_ROWS + 19)  # fmt: skip
# Rows of places, in column i. DOES is what a place does, NUMBER its legs', USED the highest that one has had. HELD is what it
# holds, at a mean price of half ENTRY_2; IS_LOT tells whether its marks are those of a lot, though it may be sold. SINCE is when
# that was entered, BEGAN when its closing began, GOAL what that shall still close, at CAP or better, STOPPING whether for a stop
# loss; QUOTED when its entry was priced, TIMES how often anew. NUMBER is a rung's in its own column.
(DOES, NUMBER, USED, HELD, ENTRY_2, IS_LOT, TARGET, STOP, STUCK_AT, SINCE, BEGAN, GOAL, CAP, STOPPING, QUOTED,
 TIMES) = range(LEVEL_ROWS + 19, LEVEL_ROWS + 35)  # fmt: skip
# EPISODE tells whether the place's lot is recovered, since STUCK_SINCE; ANCHORED is when that was last looked after, ESCALATED
# whether it has escalated.
EPISODE, STUCK_SINCE, ANCHORED, ESCALATED = range(LEVEL_ROWS + 35, LEVEL_ROWS + 39)
ROLLING_ROWS = LEVEL_ROWS + 39
FREE, ENTERING, OFFERED, CLOSING, LADDERED = range(5)

# Scalars. OPENED_AT is when the last entry was started or given up (-1: never), FREED whether a lot has left since. NEAR and
# OVER are the prices, NEXT_AT the time, at or beyond which the next entry may be concerned; then NEXT_AT is anything's.
R_OPENED_AT, R_FREED, R_PAUSED, R_NEAR, R_OVER, R_NEXT_AT = range(SCALARS, SCALARS + 6)
# COLUMNS is how many columns are in use, BORN how many lots there have been, PHASE what `stop_price` has brought, TRIPPED
# whether it was ever passed. UNWOUND is profit that was closed with everything, OUT_PAID and OUT_FEE the fill that did. SPENT_2
# is twice the loss that recovery realised. AGAIN is BY_TIME or BY_PRICE where another step at the same moment would do more: the
# engine takes it in the round after one that sent anything, else at the next moment.
(R_COLUMNS, R_BORN, R_PHASE, R_TRIPPED, R_UNWOUND, R_OUT_PAID, R_OUT_FEE, R_SPENT_2,
 R_AGAIN) = range(SCALARS + 6, SCALARS + 15)  # fmt: skip
# Prices and quantities of rungs that are being laid, one more than there may be, for the budget's rest.
R_RUNG_PRICE = SCALARS + 15
R_RUNG_QTY = R_RUNG_PRICE + RUNGS_MOST + 1
ROLLING_SCALARS = R_RUNG_QTY + RUNGS_MOST + 1
TRADES, FLATTENS, STOPPED = range(3)
BY_PRICE, BY_TIME = range(1, 3)
# A cancel that brings no news for so long has the engine look at its bot at every moment.
PATIENCE_OF_CANCELS_US = 10_000_000
