"""Every flow that prefect.yaml deploys can be loaded the way a worker loads it.

`prefect deploy` accepts a flow whose imports fail (it falls back to a placeholder) and the first scheduled run finds
out; here the fallback is off.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PREFECT_YAML = ROOT / "prefect.yaml"

# A process of its own, as for a worker: the flow's file is imported under a bare name and changes sys.path.
LOAD = """
import json, sys
from prefect.flows import load_flow_from_entrypoint
flow = load_flow_from_entrypoint(sys.argv[1], use_placeholder_flow=False)
print(json.dumps({"name": flow.name, "function": flow.fn.__name__, "parameters": flow.parameters.model_dump()}))
"""


def deployments() -> list[dict[str, Any]]:
    """The deployments of prefect.yaml."""
    return yaml.safe_load(PREFECT_YAML.read_text())["deployments"]


def entrypoints() -> list[str]:
    """Each entrypoint once, in the order of the file."""
    return list(dict.fromkeys(deployment["entrypoint"] for deployment in deployments()))


@pytest.mark.parametrize("entrypoint", entrypoints())
def test_the_entrypoint_loads(entrypoint: str) -> None:
    """The flow itself is imported from the root of the checkout, with all that it imports."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, entrypoint],
        cwd=ROOT,
        env={**os.environ, "PREFECT_LOGGING_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{entrypoint}\n{done.stdout}{done.stderr}"
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded["function"] == entrypoint.rpartition(":")[2]
    unknown = parameters_given(entrypoint) - loaded["parameters"]["properties"].keys()
    assert not unknown, f"prefect.yaml gives {entrypoint} parameters that it does not take"


def parameters_given(entrypoint: str) -> set[str]:
    """The parameters that the deployments of a flow set."""
    return {
        name
        for deployment in deployments()
        if deployment["entrypoint"] == entrypoint
        for name in deployment.get("parameters") or {}
    }


def test_every_flow_is_deployed() -> None:
    """A flow without a deployment can be neither scheduled nor started from the UI."""
    flows = {f"flows/{path.name}:{path.stem}" for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__"}
    assert flows == set(entrypoints())
