"""YAML without its traps: unknown types, duplicate keys and surprising scalars are refused or kept as text.

Only decimal integers, true, false and null are read as such. Everything else stays text, so `no` is a word, `010` is
no octal, `1:30` no sexagesimal number, and 0.1 never becomes a binary float on its way to a Decimal.
"""

import re
from typing import Any

import yaml

from tasks.errors import Refused

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class _Loader(yaml.SafeLoader):
    """A loader with a mapping and scalar rule of its own; everything is safe YAML underneath."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; raises `Refused` on a key that stands twice."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(self.construct_object(key_node, deep=True))
            if key in seen:
                line = key_node.start_mark.line + 1
                raise Refused(f"stands twice (line {line})", key=key, accepted="each key once")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _scalar(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    text = str(loader.construct_scalar(node))
    if node.style is not None:  # quoted: meant as text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return text


# Every plain scalar resolves to one tag, so none of YAML 1.1's guesses apply.
_Loader.yaml_implicit_resolvers = {}
_Loader.add_constructor("tag:yaml.org,2002:str", _scalar)


def load(text: str, name: str) -> Any:
    """Read one YAML document; raises `Refused` naming file and line where it is no valid YAML."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  _Loader is a SafeLoader
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark is not None else name
        problem = getattr(fault, "problem", None) or "no valid YAML"
        raise Refused(f"{where}: {problem}", key="portfolio", accepted="a YAML file as in docs/contract.md") from None
