"""``TesaMap``: the attribute of every tensor of a function, keyed by Relax variable.

Variables are rebuilt by most passes, names and function attributes are not: the map is also written into the
function (attribute ``tesa``, JSON by variable name), and ``TesaMap.of`` finds it again after other passes ran.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Attribute, Code, TesaError
from tvm_aie.tesa.ir import bindings_of, is_tensor, shape_of
from tvm_aie.tesa.propagation import Propagation

ATTR = "tesa"
_BINDING = re.compile(r"^(\s*)(\w+): R\..*?\) = ")


@dataclass(frozen=True, eq=False)
class TesaMap:
    """Attributes by variable of one function."""

    by_var: Mapping[Any, Attribute]

    def __getitem__(self, var: Any) -> Attribute:
        """The attribute of a variable, or of the variable with that name."""
        if isinstance(var, str):
            return self.named()[var]
        return self.by_var[var]

    def __iter__(self) -> Iterator[Any]:
        """Variables in program order."""
        return iter(self.by_var)

    def __len__(self) -> int:
        """Number of variables."""
        return len(self.by_var)

    def named(self) -> dict[str, Attribute]:
        """Attributes by variable name."""
        found: dict[str, Attribute] = {}
        for var, attribute in self.by_var.items():
            name = str(var.name)
            if name in found and found[name] != attribute:  # two variables of one name: only what holds for both
                attribute = Attribute.uniform(attribute.shape)
            found[name] = attribute
        return found

    @staticmethod
    def from_propagation(result: Propagation) -> TesaMap:
        """Every tensor of a propagated function, constant weights included."""
        found: dict[Any, Attribute] = {}
        weights: dict[Any, Attribute] = {}
        for use in result.weights.values():
            argument = result.nodes[use.var].call.args[use.position]
            mine = result.weight_attribute(use)
            if argument in weights:  # shared: pruned only where every user agrees
                both = weights[argument].mask & mine.mask
                wide = max(weights[argument], mine, key=lambda a: a.bits)
                code = next((Code(int(c)) for c in np.unique(wide.codes)[::-1] if c != Code.PRUNED), Code.NONPRUNED)
                mine = Attribute.pruned(mine.shape, both, 0.0, code)
            weights[argument] = mine
        for var in (*result.func.params, *result.order):
            if var in weights:
                found[var] = weights[var]
            elif var in result.constants.calls:
                found[var] = result.constant_attribute(var)
            elif var in result.facts and len(result.facts[var]) == 1:
                found[var] = result.attribute(var)
        return TesaMap(found)

    @staticmethod
    def of(func: Any) -> TesaMap:
        """The map that was written into a function, bound to its variables of today."""
        if not func.attrs or ATTR not in func.attrs:
            raise TesaError("the function has no attribute 'tesa': run PropagateTesa first")
        named = TesaMap.parse(str(func.attrs[ATTR]))
        variables = [*func.params, *(var for var, _ in bindings_of(func))]
        same = {var: named[str(var.name)] for var in variables if str(var.name) in named and is_tensor(var)}
        return TesaMap({var: attribute for var, attribute in same.items() if attribute.shape == shape_of(var)})

    @staticmethod
    def parse(text: str) -> dict[str, Attribute]:
        """Attributes by name from JSON. Raises ``TesaError``."""
        try:
            data = json.loads(text)
            return {str(name): Attribute.from_json(item) for name, item in data.items()}
        except (json.JSONDecodeError, AttributeError) as error:
            raise TesaError(f"not a sparsity map: {error}") from error

    def to_json(self) -> str:
        """JSON by variable name."""
        return json.dumps({name: a.to_json() for name, a in self.named().items()}, separators=(",", ":"))

    def written_to(self, func: Any) -> Any:
        """The function with this map as attribute."""
        return func.with_attr(ATTR, self.to_json())

    def script(self, func: Any) -> str:
        """The text of the function with each variable's attribute as a comment."""
        named, lines = self.named(), []
        for line in func.without_attr(ATTR).script(show_meta=False).splitlines():
            match = _BINDING.match(line)
            attribute = named.get(match.group(2)) if match else None
            lines.append(line if attribute is None else f"{line}  # tesa: {attribute.text()}")
        return "\n".join(lines)
