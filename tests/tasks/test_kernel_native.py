"""The compiled kernels: the machine code does what the Python source does, and loads without numba."""

import platform
import subprocess
import sys
import zlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from core import grid_kernel, grid_table
from tasks import kernel_native
from tasks.errors import Refused
from tasks.kernel_run import curve_of, drawdown_of, equity_in_one_pass
from tests.core.kernel_runs import KernelScenario, inputs, scenarios


@settings(max_examples=60, deadline=None)
@given(scenarios())
def test_machine_code_is_the_source(scenario: KernelScenario) -> None:
    """The kernel as plain Python and as machine code leave the same log and the same scalars."""
    status, made = [], []
    for run in (lambda c, *rest: grid_kernel.run(*c, *rest), kernel_native.run_grid):
        columns, p, s, g, due, log = inputs(scenario)
        status.append(run(columns.all, p, s, g, due, log))
        made.append((s, log[: s[grid_table.S_FILLS]]))
    assert status[0] == status[1]
    assert np.array_equal(made[0][0], made[1][0])
    assert np.array_equal(made[0][1], made[1][1])


@settings(max_examples=60, deadline=None)
@given(scenarios())
def test_drawdown_and_exposure_are_those_of_the_curve(scenario: KernelScenario) -> None:
    """The compiled pass finds the very floats of the whole curve, long or short."""
    try:
        made = scenario.kernel()
    except Refused:
        return
    for capital in (made.spec.capital_quote, Decimal(1)):
        made.spec = replace(made.spec, capital_quote=capital)  # with 1 of capital the account goes bankrupt
        curve = curve_of(made)
        assert drawdown_of(made) == (float(curve.drawdown.max()), float(curve.exposure.max()))
        asked = np.append(0, np.arange(0, len(curve.equity), 7))
        assert np.array_equal(equity_in_one_pass(made, asked)[2], curve.equity[asked])


def test_a_warm_start_needs_no_numba() -> None:
    """With the object file in the cache a process runs the kernels without numba, which takes half a second to load."""
    kernel_native.prepare()
    code = "import sys; from tasks import kernel_native; kernel_native.prepare(); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
    assert done.stderr == ""


def test_the_cache_is_named_after_sources_and_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Code of another version or for another processor is never loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = kernel_native.cache_file("one")
    assert one.is_relative_to(tmp_path)
    assert one != kernel_native.cache_file("two")
    monkeypatch.setattr(kernel_native, "SOURCES", {"grid": kernel_native.SOURCES["grid"][:1]})
    assert one != kernel_native.cache_file("one")


def test_without_a_cache_machine_code_is_made_for_this_run(tmp_path: Path) -> None:
    """Where nothing can be written a run makes its machine code of what is kept, says so, and still answers."""
    (tmp_path / "file").write_text("")
    code = "from tasks import kernel_native; kernel_native.prepare()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300,
        env={"XDG_CACHE_HOME": str(tmp_path / "file"), "PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert "making machine code" in done.stderr or "compiling" in done.stderr
    assert "cannot be kept" in done.stderr


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="kernels are kept for Linux on x86-64"
)
def test_the_kept_kernels_are_those_of_the_sources() -> None:
    """Every kernel's code is kept for its present sources, and no other; else `python -m tasks.kernel_build --keep`."""
    wanted = {kernel_native.kept_file(name).name for name in kernel_native.SOURCES}
    assert {file.name for file in kernel_native.KEPT.iterdir()} == wanted


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="of other versions of Python numba writes other code")
def test_without_kept_code_numba_compiles_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compiled anew, for no processor in particular, a kernel is the kept one byte for byte, and runs."""
    made: list[bytes] = []
    real = kernel_native.compiled
    monkeypatch.setattr(kernel_native, "compiled", lambda name: made.append(real(name)) or made[0])
    kept = kernel_native.kept_file("ladder")
    monkeypatch.setattr(kernel_native, "KEPT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert "ladder_run" in kernel_native._loaded.__wrapped__("ladder")
    assert "compiling" in capsys.readouterr().err
    if kept.is_file():
        assert zlib.decompress(kept.read_bytes()) == made[0]


def test_only_columns_of_64_bits_are_taken() -> None:
    """An array that machine code would misread is refused."""
    with pytest.raises(ValueError, match="64 bits"):
        kernel_native.run_grid([np.zeros(4, dtype=np.int32)] * 7, *[np.zeros((1, 1), dtype=np.int64)] * 5)
