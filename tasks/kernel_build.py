"""Compiles kernels of the core with numba into LLVM code that needs neither numba nor Python.

numba's own cache must load numba again in every process (half a second), and numba itself takes 5 to 25 seconds for a kernel.
So numba writes LLVM code once; everything but the entries is made private and optimised away where it cannot be reached, the
error paths among it, because kernels never raise. What is left calls nothing outside but memory functions of the C library.
It is for no processor in particular, and the same wherever it is made: `tasks.kernel_native` turns it into machine code.

    python -m tasks.kernel_build grid > kernel.bc     # one kernel
    python -m tasks.kernel_build --keep               # all of them into tasks/kernels, from where they are taken as made
"""

import gc
import sys
import zlib
from types import FunctionType, ModuleType
from typing import Any

import llvmlite.binding as llvm
from numba import carray, cfunc, types
from numba.extending import register_jitable

from core import (
    equity_kernel,
    grid_barrier_kernel,
    grid_book_kernel,
    grid_choice_kernel,
    grid_close_kernel,
    grid_kernel,
    ladder_kernel,
    limit_kernel,
    path_kernel,
    rolling_book_kernel,
    rolling_entry_kernel,
    rolling_kernel,
    rolling_lots_kernel,
    rolling_orders_kernel,
    rolling_place_kernel,
    rolling_recovery_kernel,
    rolling_stop_kernel,
    search_kernel,
)
from core.equity_kernel import drawdown
from core.grid_kernel import run
from core.grid_table import BLOCK, DUE_COLUMNS, FILL_COLUMNS, LEVEL_ROWS, PARAMETERS, SCALARS
from core.ladder_kernel import LADDER_PARAMETERS, LADDER_ROWS, run_ladder
from core.limit_kernel import LIMIT_COLUMNS, LIMIT_SCALARS, reached
from core.rolling_kernel import run_rolling
from core.rolling_table import ROLLING_PARAMETERS, ROLLING_ROWS, ROLLING_SCALARS
from tasks import kernel_build_atr, kernel_native

_INT, _FLOAT = types.int64, types.float64
_INTS, _FLOATS = types.CPointer(_INT), types.CPointer(_FLOAT)


def _grid_run(
    ts: Any, open_: Any, high: Any, low: Any, close: Any, low_1: Any, high_1: Any, bars: int,
    p: Any, s: Any, g: Any, levels: int, due: Any, due_rows: int, log: Any, log_rows: int,
) -> int:  # fmt: skip
    blocks = (bars + BLOCK - 1) // BLOCK
    return run(
        carray(ts, (bars,)), carray(open_, (bars,)), carray(high, (bars,)), carray(low, (bars,)), carray(close, (bars,)),
        carray(low_1, (blocks,)), carray(high_1, (blocks,)), carray(p, (PARAMETERS,)), carray(s, (SCALARS,)),
        carray(g, (LEVEL_ROWS, levels)), carray(due, (due_rows, DUE_COLUMNS)), carray(log, (log_rows, FILL_COLUMNS)),
    )  # fmt: skip


def _ladder_run(
    ts: Any, open_: Any, high: Any, low: Any, close: Any, low_1: Any, high_1: Any, bars: int,
    p: Any, s: Any, g: Any, levels: int, due: Any, due_rows: int, log: Any, log_rows: int,
) -> int:  # fmt: skip
    blocks = (bars + BLOCK - 1) // BLOCK
    return run_ladder(
        carray(ts, (bars,)), carray(open_, (bars,)), carray(high, (bars,)), carray(low, (bars,)), carray(close, (bars,)),
        carray(low_1, (blocks,)), carray(high_1, (blocks,)), carray(p, (LADDER_PARAMETERS,)), carray(s, (SCALARS,)),
        carray(g, (LADDER_ROWS, levels)), carray(due, (due_rows, DUE_COLUMNS)), carray(log, (log_rows, FILL_COLUMNS)),
    )  # fmt: skip


def _rolling_run(
    ts: Any, open_: Any, high: Any, low: Any, close: Any, low_1: Any, high_1: Any, bars: int,
    p: Any, s: Any, g: Any, levels: int, due: Any, due_rows: int, log: Any, log_rows: int,
) -> int:  # fmt: skip
    blocks = (bars + BLOCK - 1) // BLOCK
    return run_rolling(
        carray(ts, (bars,)), carray(open_, (bars,)), carray(high, (bars,)), carray(low, (bars,)), carray(close, (bars,)),
        carray(low_1, (blocks,)), carray(high_1, (blocks,)), carray(p, (ROLLING_PARAMETERS,)), carray(s, (ROLLING_SCALARS,)),
        carray(g, (ROLLING_ROWS, levels)), carray(due, (due_rows, DUE_COLUMNS)), carray(log, (log_rows, FILL_COLUMNS)),
    )  # fmt: skip


def _equity_drawdown(
    close: Any, low_1: Any, high_1: Any, bars: int, log: Any, fills: int, short: int,
    price_unit: float, qty_unit: float, close_unit: float, start: float, asked: Any, count: int, worth: Any, found: Any,
) -> int:  # fmt: skip
    blocks = (bars + BLOCK - 1) // BLOCK
    fall, exposure = drawdown(
        carray(close, (bars,)), carray(low_1, (blocks,)), carray(high_1, (blocks,)),
        carray(log, (fills, FILL_COLUMNS)), short == 1, price_unit, qty_unit, close_unit, start,
        carray(asked, (count,)), carray(worth, (count,)),
    )  # fmt: skip
    out = carray(found, (2,))
    out[0] = fall
    out[1] = exposure
    return 0


def _limit_reached(
    ts: Any, open_: Any, high: Any, low: Any, close: Any, low_1: Any, high_1: Any, bars: int,
    p: Any, q: Any, s: Any, rows: Any, count: int,
) -> int:  # fmt: skip
    blocks = (bars + BLOCK - 1) // BLOCK
    return reached(
        carray(ts, (bars,)), carray(open_, (bars,)), carray(high, (bars,)), carray(low, (bars,)), carray(close, (bars,)),
        carray(low_1, (blocks,)), carray(high_1, (blocks,)), carray(p, (PARAMETERS,)), carray(q, (LIMIT_SCALARS,)),
        carray(s, (LIMIT_SCALARS,)), carray(rows, (count, LIMIT_COLUMNS)),
    )  # fmt: skip


_RUN = _INT(*[_INTS] * 7, _INT, _INTS, _INTS, _INTS, _INT, _INTS, _INT, _INTS, _INT)
_DRAWDOWN = _INT(
    _INTS, _INTS, _INTS, _INT, _INTS, _INT, _INT, _FLOAT, _FLOAT, _FLOAT, _FLOAT, _INTS, _INT, _FLOATS, _FLOATS
)  # fmt: skip
# What is compiled into one object file: the modules that it takes, and its entries, by their symbol, with their signatures.
OBJECTS: dict[str, tuple[tuple[ModuleType, ...], dict[str, tuple[FunctionType, Any]]]] = {
    "grid": (
        (
            path_kernel,
            search_kernel,
            grid_book_kernel,
            grid_barrier_kernel,
            grid_choice_kernel,
            grid_close_kernel,
            grid_kernel,
            equity_kernel,
        ),
        {"grid_run": (_grid_run, _RUN), "equity_drawdown": (_equity_drawdown, _DRAWDOWN)},
    ),
    "ladder": ((path_kernel, search_kernel, grid_book_kernel, ladder_kernel), {"ladder_run": (_ladder_run, _RUN)}),
    "rolling": (
        (
            path_kernel,
            search_kernel,
            grid_book_kernel,
            rolling_book_kernel,
            rolling_lots_kernel,
            rolling_place_kernel,
            rolling_entry_kernel,
            rolling_recovery_kernel,
            rolling_stop_kernel,
            rolling_orders_kernel,
            rolling_kernel,
        ),
        {"rolling_run": (_rolling_run, _RUN)},
    ),
    "limits": (
        (path_kernel, search_kernel, limit_kernel),
        {"limit_reached": (_limit_reached, _INT(*[_INTS] * 7, _INT, *[_INTS] * 4, _INT))},
    ),
    "atr_grid": (kernel_build_atr.MODULES, kernel_build_atr.ENTRIES),
}


def build(name: str) -> bytes:
    """Compile one of OBJECTS into LLVM's bitcode; raises `RuntimeError` where code of Python's is left in it."""
    modules, entries = OBJECTS[name]
    machine = any_machine()
    for module in modules:
        _offer(module)
    whole = llvm.parse_assembly("")
    for symbol, (function, signature) in entries.items():
        made = cfunc(signature, error_model="numpy")(function)
        part = llvm.parse_assembly(made.inspect_llvm())
        native = made.native_name.removeprefix("cfunc.")
        for one in part.functions:
            if not one.is_declaration and one.name != native:
                one.linkage = "internal"
        part.get_function(native).name = symbol
        _optimise(part, machine)
        whole.link_in(part)
    outside = [one.name for one in whole.functions if one.is_declaration and not one.name.startswith("llvm.")]
    if outside:
        message = f"the kernel calls {', '.join(outside)}: one of its functions may raise or allocate"
        raise RuntimeError(message)
    return whole.as_bitcode()


def _offer(module: ModuleType) -> None:
    # The kernels are plain Python; this tells numba that compiled code may call them.
    for function in vars(module).values():
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            register_jitable(error_model="numpy", no_cfunc_wrapper=True)(function)


def _optimise(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    # Between the two rounds numba's counting of references goes: the arrays are the caller's.
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    prune = llvm.create_new_module_pass_manager()
    prune.add_refprune_pass()
    prune.run(module, builder)
    builder.getModulePassManager().run(module, builder)


def any_machine() -> llvm.TargetMachine:
    """Return the plainest processor of this architecture as a target."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(opt=3, reloc="pic", codemodel="jitdefault", jit=True)


def _keep() -> None:
    # A process for each: numba holds what it compiled, and numbers its functions through.
    kernel_native.KEPT.mkdir(exist_ok=True)
    files = {name: kernel_native.kept_file(name) for name in OBJECTS}
    for name, file in files.items():
        if not file.is_file():
            file.write_bytes(zlib.compress(kernel_native.compiled(name), 9))
    for other in set(kernel_native.KEPT.iterdir()) - set(files.values()):
        other.unlink()


if __name__ == "__main__":
    if sys.argv[1:] == ["--keep"]:
        _keep()
    else:
        gc.disable()  # a tenth of the time, in a process that ends at once
        sys.stdout.buffer.write(build(sys.argv[1]))
