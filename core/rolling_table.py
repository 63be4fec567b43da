"""The words of the compiled rolling grid, behind those of `core.grid_table`: places of its parameters, rows and scalars.

The table has three columns for each of n places, because so many orders of one may live at once: column i works its exit,
n + i its entry, and in 2 n + i an entry ends that was given up. A place may hold two lots, as a given-up entry may be filled
after all: HOLDING, LOT_COST and LOT_FEE of columns i and n + i are theirs.
"""

from core.grid_table import LEVEL_ROWS, PARAMETERS, SCALARS, WOULD_CROSS

# Ends beside the grid's.
STUCK, LATE_ENTRY, BOUND = range(WOULD_CROSS + 1, WOULD_CROSS + 4)

# Parameters. AWAY is how far behind the other side of the book an entry rests. TARGET_* make a lot's exit of its entry, LOSS_*
# its stop (LOSS_DEN 0: none), STUCK_* of its exit where it is stuck (STUCK_DEN 0: nothing would come of it), STEP_* of the
# nearest exit where the next entry may start. COOL_* are cooldowns by how full the bot is, the shortest first. BOUND_QUOTE
# bounds lots and entries, in price times quantity. PAUSE and BACK are prices (PAUSE 0: none).
(AWAY, TARGET_NUM, TARGET_DEN, LOSS_NUM, LOSS_DEN, STUCK_NUM, STUCK_DEN, STEP_NUM, STEP_DEN, COOL_LEAST, COOL_HALF,
 COOL_ONCE, COOL_TWICE, REQUOTE_US, REQUOTES, TIMEOUT_US, BOUND_QUOTE, STEP_MS, PAUSE,
 BACK) = range(PARAMETERS, PARAMETERS + 20)  # fmt: skip
ROLLING_PARAMETERS = PARAMETERS + 20

# Rows of orders. WANTED is the leg's price, ASKED that price when its order was sent, FRESH whether the leg has had no order
# yet, UNITS the order's quantity in entries, TAKES_BOOK whether it closes at the market.
(WANTED, ASKED, FRESH, UNITS, TAKES_BOOK) = range(LEVEL_ROWS, LEVEL_ROWS + 5)
# Rows of lots: when one was opened, and the number of its entry.
OPENED, LOT_NUMBER = range(LEVEL_ROWS + 5, LEVEL_ROWS + 7)
# Rows of places, in column i. DOES is what a place does, NUMBER its legs', USED the highest that one has had. HELD entries it
# holds, at a mean price of half ENTRY_2; IS_LOT tells whether its marks are those of a lot, though it may be sold. SINCE is when
# that was entered, BEGAN when its closing began, QUOTED when its entry was priced, TIMES how often anew.
(DOES, NUMBER, USED, HELD, ENTRY_2, IS_LOT, TARGET, STOP, STUCK_AT, SINCE, BEGAN, QUOTED,
 TIMES) = range(LEVEL_ROWS + 7, LEVEL_ROWS + 20)  # fmt: skip
ROLLING_ROWS = LEVEL_ROWS + 20
FREE, ENTERING, OFFERED, CLOSING = range(4)

# Scalars. OPENED_AT is when the last entry was started or given up (-1: never), FREED whether a lot has left since. NEAR and
# OVER are the prices, NEXT_AT the time, at or beyond which the next entry may be concerned; then NEXT_AT is anything's.
R_OPENED_AT, R_FREED, R_PAUSED, R_NEAR, R_OVER, R_NEXT_AT = range(SCALARS, SCALARS + 6)
ROLLING_SCALARS = SCALARS + 6
