"""Loads the compiled kernels, making machine code of them where this machine has none yet, and calls them with numpy arrays.

What numba makes of the sources is kept in tasks/kernels as LLVM code, named after the content of the sources: most often only
its last step, code for this very processor, is left to do, in about a second. Where sources, LLVM or architecture are others,
numba compiles first. The machine code lies in the user's cache, named after the sources and the processor: a checkout may be
read-only, and code of one version or machine never runs as another's. Without a cache that can be written it is made for one
process. A first call says one line on stderr.
"""

import ctypes
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from tasks.errors import GridkeeperError
from tasks.outcome import say

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_ROOT = Path(__file__).parents[1]
# LLVM code that `python -m tasks.kernel_build --keep` made of the sources.
KEPT = Path(__file__).with_name("kernels")
_GRID = (
    "core/grid_table.py",
    "core/grid_book_kernel.py",
    "core/path_kernel.py",
    "core/search_kernel.py",
    "tasks/kernel_build.py",
)
_ATR = (
    "core/atr_table.py", "core/wide_kernel.py", "core/atr_gauge_kernel.py", "core/atr_book_kernel.py",
    "core/atr_orders_kernel.py", "core/atr_levels_kernel.py", "core/atr_candle_kernel.py", "core/atr_kernel.py",
    "core/atr_perp_kernel.py", "core/atr_short_kernel.py", "core/atr_watch_kernel.py",
    "tasks/kernel_build_atr.py",
)  # fmt: skip
# The sources of each object file of `tasks.kernel_build`.
SOURCES: dict[str, tuple[str, ...]] = {
    "grid": (
        *_GRID,
        "core/grid_barrier_kernel.py",
        "core/grid_choice_kernel.py",
        "core/grid_close_kernel.py",
        "core/grid_kernel.py",
        "core/equity_kernel.py",
    ),
    "ladder": (*_GRID, "core/ladder_kernel.py"),
    "rolling": (
        *_GRID,
        "core/rolling_table.py",
        "core/rolling_book_kernel.py",
        "core/rolling_lots_kernel.py",
        "core/rolling_place_kernel.py",
        "core/rolling_entry_kernel.py",
        "core/rolling_recovery_kernel.py",
        "core/rolling_stop_kernel.py",
        "core/rolling_orders_kernel.py",
        "core/rolling_kernel.py",
    ),
    "limits": (
        "core/grid_table.py",
        "core/path_kernel.py",
        "core/search_kernel.py",
        "core/limit_kernel.py",
        "tasks/kernel_build.py",
    ),
    "atr_grid": (*_GRID, *_ATR),
}
_POINTER, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
# What numba passes first: where the result goes, and where the exception would.
_HEAD = (ctypes.POINTER(_INT), ctypes.POINTER(_POINTER))
_RUN = (*[_POINTER] * 7, _INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER, _INT, _POINTER, _INT)
_DRAWDOWN = (
    *[_POINTER] * 3,
    _INT,
    _POINTER,
    _INT,
    _INT,
    _FLOAT,
    _FLOAT,
    _FLOAT,
    _FLOAT,
    _POINTER,
    _INT,
    _POINTER,
    _POINTER,
)
_LIMIT = (*[_POINTER] * 7, _INT, _POINTER, _POINTER, _POINTER, _POINTER, _INT)
_ATR_GAUGE = (*[_POINTER] * 3, _INT, _INT, _INT, _POINTER)
_ATR_RUN = (*[_POINTER] * 13, _INT, _POINTER, _POINTER, _INT, *[_POINTER] * 3, _INT, *[_POINTER] * 10, _INT)
_ATR_WATCH = (*[_POINTER] * 8, _INT, _INT, *[_POINTER] * 4, _INT, _FLOAT, _FLOAT)
# The entries of each object file, with what they take.
_ENTRIES = {
    "grid": {"grid_run": _RUN, "equity_drawdown": _DRAWDOWN},
    "ladder": {"ladder_run": _RUN},
    "rolling": {"rolling_run": _RUN},
    "limits": {"limit_reached": _LIMIT},
    "atr_grid": {"atr_gauge": _ATR_GAUGE, "atr_run": _ATR_RUN, "atr_watch": _ATR_WATCH},
}


def run_grid(candles: Sequence[Ints], p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> int:
    """Call `core.grid_kernel.run`, compiled: the same arguments, the candle columns as one sequence."""
    return _run("grid", candles, p, s, g, due, log)


def run_ladder(candles: Sequence[Ints], p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> int:
    """Call `core.ladder_kernel.run_ladder`, compiled: the same arguments, the candle columns as one sequence."""
    return _run("ladder", candles, p, s, g, due, log)


def atr_gauge(high: Ints, low: Ints, close: Ints, nanos: int, wilder: bool, g: Ints) -> int:
    """Call `core.atr_gauge_kernel.gauge`, compiled."""
    return _call("atr_grid", "atr_gauge", _at(high), _at(low), _at(close), len(close), nanos, int(wilder), _at(g))


def run_atr(candles: Sequence[Ints], told_ms: Ints, g: Ints, tables: Sequence[Ints], log: Ints) -> int:
    """Call `core.atr_kernel.run`, compiled; `tables` are its arguments from `p` to `rates`."""
    p, s, lv, *others = tables
    return _call(
        "atr_grid", "atr_run", *map(_at, candles), len(candles[0]), _at(told_ms), _at(g), len(told_ms),
        _at(p), _at(s), _at(lv), lv.shape[1], *map(_at, others), _at(log), len(log),
    )  # fmt: skip


def watch_atr(
    columns: Sequence[Any], path: int, at: Ints, base: Floats, base_2: Floats, cash: Floats, keep: float, slack: float
) -> int:
    """Call `core.atr_watch_kernel.watch`, compiled; `columns` are the candles of spot and futures."""
    candles = [_at(column) for one in columns for column in one.all[1:5]]
    return _call(
        "atr_grid", "atr_watch", *candles, len(columns[0].close), path, *map(_at, (at, base, base_2, cash)), len(at),
        keep, slack,
    )  # fmt: skip


def run_rolling(candles: Sequence[Ints], p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> int:
    """Call `core.rolling_kernel.run_rolling`, compiled: the same arguments, the candle columns as one sequence."""
    return _run("rolling", candles, p, s, g, due, log)


def limit_reached(candles: Sequence[Ints], p: Ints, q: Ints, s: Ints, rows: Ints) -> int:
    """Call `core.limit_kernel.reached`, compiled: the same arguments, the candle columns as one sequence."""
    return _call(
        "limits", "limit_reached", *map(_at, candles), len(candles[0]), _at(p), _at(q), _at(s), _at(rows), len(rows)
    )


def drawdown(
    columns: Sequence[Ints],
    log: Ints,
    asked: Ints,
    *,
    short: bool,
    price_unit: float,
    qty_unit: float,
    close_unit: float,
    start: float,
) -> tuple[float, float, NDArray[np.float64]]:
    """Call `core.equity_kernel.drawdown`, compiled; `columns` are closes and the blocks' lows and highs.

    The third of what it returns is the equity at the bars `asked`, which must not fall.
    """
    found, worth = np.zeros(2), np.empty(len(asked))
    _call(
        "grid", "equity_drawdown", *map(_at, columns), len(columns[0]), _at(log), len(log), int(short),
        price_unit, qty_unit, close_unit, start, _at(asked), len(asked), _at(worth), _at(found),
    )  # fmt: skip
    return float(found[0]), float(found[1]), worth


def prepare(name: str = "grid") -> None:
    """Load an object file now, so that the first call does not pay for it."""
    _loaded(name)


def cache_file(processor: str, name: str = "grid") -> Path:
    """Return where an object file for a processor lies."""
    root = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(root) / "gridkeeper" / f"kernel-{name}-{_mark(name, processor)}.o"


def kept_file(name: str) -> Path:
    """Return where the LLVM code of these very sources lies, if it was kept."""
    return KEPT / f"{name}-{sys.platform}-{platform.machine()}-{_mark(name, '')}.bc.z"


def compiled(name: str) -> bytes:
    """Compile a kernel with numba into LLVM's bitcode; raises `GridkeeperError` where that fails."""
    # In a process of its own: numba stays out of this one, and need not optimise what is optimised as a whole after it. The
    # processor is left out, so that the code is the same wherever it was made.
    command = [sys.executable, "-m", "tasks.kernel_build", name]
    plain = {"NUMBA_OPT": "0", "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(command, cwd=_ROOT, env={**os.environ, **plain}, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no word why"]
        message = f"the kernel could not be compiled ({lines[-1]}); --engine core does the same, slower"
        raise GridkeeperError(message, key="--engine")
    return done.stdout


def _mark(name: str, processor: str) -> str:
    content = b"".join((_ROOT / source).read_bytes() for source in SOURCES[name])
    return hashlib.sha256(content + f"{llvmlite.__version__} {processor}".encode()).hexdigest()[:16]


def _run(name: str, candles: Sequence[Ints], p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> int:
    return _call(
        name, f"{name}_run", *map(_at, candles), len(candles[0]),
        _at(p), _at(s), _at(g), g.shape[1], _at(due), len(due), _at(log), len(log),
    )  # fmt: skip


def _call(name: str, entry: str, *arguments: Any) -> int:
    result, fault = _INT(), _POINTER()
    status = _loaded(name)[entry](ctypes.byref(result), ctypes.byref(fault), *arguments)
    if status != 0:
        message = f"the compiled {entry} ended with status {status}: it must never raise"
        raise RuntimeError(message)
    return result.value


def _at(array: NDArray[Any]) -> int:
    if not array.flags.c_contiguous or array.dtype.itemsize != 8:
        message = f"a kernel takes contiguous columns of 64 bits, not {array.dtype} with strides {array.strides}"
        raise ValueError(message)
    return array.ctypes.data


@cache
def _loaded(name: str) -> dict[str, Any]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    processor, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=processor, features=features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )
    content = _object(cache_file(f"{processor} {features}", name), name, machine)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(content))
    engine.finalize_object()
    made: dict[str, Any] = {"engine": engine}  # the code lives as long as the engine
    for entry, types in _ENTRIES[name].items():
        made[entry] = ctypes.CFUNCTYPE(ctypes.c_int32, *_HEAD, *types)(engine.get_function_address(entry))
    return made


def _object(file: Path, name: str, machine: llvm.TargetMachine) -> bytes:
    if file.is_file():
        return file.read_bytes()
    kept = kept_file(name)
    if kept.is_file():
        say(f"making machine code of the backtest kernel ({name}) for this processor, once: about a second")
        code = zlib.decompress(kept.read_bytes())
    else:
        say(f"compiling the backtest kernel ({name}) for this machine, once: 5 to 25 s")
        code = compiled(name)
    content = machine.emit_object(llvm.parse_bitcode(code))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            part.write(content)
        Path(part.name).replace(file)
    except OSError as fault:
        say(f"the compiled kernel cannot be kept in {file.parent} ({fault.strerror}): every run will compile it")
    return content
