"""Loads the compiled kernels, compiling them where this machine has not yet, and calls them with numpy arrays.

The object file lies in the user's cache, named after the content of the sources and the processor: a checkout may be
read-only, and code of one version or machine never runs as another's. Without a cache that can be written it is compiled for
one process. A first call says one line on stderr.
"""

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
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

_ROOT = Path(__file__).parents[1]
SOURCES = (
    "core/grid_table.py", "core/grid_book_kernel.py", "core/grid_close_kernel.py", "core/grid_kernel.py",
    "core/equity_kernel.py", "tasks/kernel_build.py",
)  # fmt: skip
_POINTER, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
# What numba passes first: where the result goes, and where the exception would.
_HEAD = (ctypes.POINTER(_INT), ctypes.POINTER(_POINTER))
_ARGUMENTS = {
    "grid_run": (*[_POINTER] * 7, _INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER, _INT, _POINTER, _INT),
    "equity_drawdown": (
        *[_POINTER] * 3, _INT, _POINTER, _INT, _INT, _FLOAT, _FLOAT, _FLOAT, _FLOAT, _POINTER,
    ),
}  # fmt: skip


def run_grid(candles: Sequence[Ints], p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> int:
    """Call `core.grid_kernel.run`, compiled: the same arguments, the candle columns as one sequence."""
    return _call(
        "grid_run", *map(_at, candles), len(candles[0]),
        _at(p), _at(s), _at(g), g.shape[1], _at(due), len(due), _at(log), len(log),
    )  # fmt: skip


def drawdown(
    columns: Sequence[Ints],
    log: Ints,
    *,
    short: bool,
    price_unit: float,
    qty_unit: float,
    close_unit: float,
    start: float,
) -> tuple[float, float]:
    """Call `core.equity_kernel.drawdown`, compiled; `columns` are closes and the blocks' lows and highs."""
    found = np.zeros(2)
    _call(
        "equity_drawdown", *map(_at, columns), len(columns[0]), _at(log), len(log), int(short),
        price_unit, qty_unit, close_unit, start, _at(found),
    )  # fmt: skip
    return float(found[0]), float(found[1])


def prepare() -> None:
    """Load the kernels now, so that the first call does not pay for it."""
    _loaded()


def cache_file(processor: str) -> Path:
    """Return where the object file for a processor lies."""
    content = b"".join((_ROOT / name).read_bytes() for name in SOURCES)
    mark = hashlib.sha256(content + f"{llvmlite.__version__} {processor}".encode()).hexdigest()[:16]
    root = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(root) / "gridkeeper" / f"kernel-{mark}.o"


def _call(name: str, *arguments: Any) -> int:
    result, fault = _INT(), _POINTER()
    status = _loaded()[name](ctypes.byref(result), ctypes.byref(fault), *arguments)
    if status != 0:
        message = f"the compiled {name} ended with status {status}: it must never raise"
        raise RuntimeError(message)
    return result.value


def _at(array: NDArray[Any]) -> int:
    if not array.flags.c_contiguous or array.dtype.itemsize != 8:
        message = f"a kernel takes contiguous columns of 64 bits, not {array.dtype} with strides {array.strides}"
        raise ValueError(message)
    return array.ctypes.data


@cache
def _loaded() -> dict[str, Any]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    processor, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=processor, features=features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )
    content = _object(cache_file(f"{processor} {features}"))
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(content))
    engine.finalize_object()
    made: dict[str, Any] = {"engine": engine}  # the code lives as long as the engine
    for name, types in _ARGUMENTS.items():
        made[name] = ctypes.CFUNCTYPE(ctypes.c_int32, *_HEAD, *types)(engine.get_function_address(name))
    return made


def _object(file: Path) -> bytes:
    if file.is_file():
        return file.read_bytes()
    say("compiling the backtest kernel for this machine, once: 5 to 10 s")
    # In a process of its own: numba stays out of this one, and need not optimise what is optimised as a whole after it.
    command = [sys.executable, "-m", "tasks.kernel_build"]
    done = subprocess.run(command, cwd=_ROOT, env={**os.environ, "NUMBA_OPT": "0"}, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no word why"]
        message = f"the kernel could not be compiled ({lines[-1]}); --engine core does the same, slower"
        raise GridkeeperError(message, key="--engine")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            part.write(done.stdout)
        Path(part.name).replace(file)
    except OSError as fault:
        say(f"the compiled kernel cannot be kept in {file.parent} ({fault.strerror}): every run will compile it")
    return done.stdout
