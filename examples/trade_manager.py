"""A Gaussian ladder of trades from a notebook, on a paper account whose price is walked by hand. No keys, no network.

python examples/trade_manager.py
"""

from tasks.manager import PaperClient, TradeManager

# In place of PaperClient: ccxt.binance({"apiKey": ..., "secret": ...}), and symbol="BTC/USDT" beside the offsets.
client = PaperClient(price=62500, symbol="BTC/USDT")
manager = TradeManager(client, maker_offset_buy=0.1, maker_offset_sell=0.1)
manager.create_normal_traders(min_p=60000, max_p=65000, count=20, qty=0.001, profit=0.5, loop=True)

for price in (62500, 61800, 62600, 61000, 63400, 62000, 64000):
    client.move(price)
    done = manager.process_tick()
    print(f"{price}: {done['fills']} fills, {done['placed']} orders placed, {manager.realized_pnl} USDT net so far")

for trader in manager.traders:
    print(f"{trader.name} {trader.state:<14} {trader.target_entry} -> {trader.target_exit} {trader.reason}")
print(f"state saved in {manager.save_to_disk()}; closed trades in results/pnl.log")
manager.close()
