"""Attributes that the user gives: by tensor name, or from a mask file. Kept as a function attribute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Attribute, Code, TesaError
from tvm_aie.tesa.ir import bindings_of, is_tensor, relax_functions, shape_of
from tvm_aie.tesa.tesa_map import TesaMap

ATTR = "tesa_attached"
Given = Any  # an Attribute, a keep-mask (non-zero = keep), or the name of a format such as "int4"


def attached_to(func: Any) -> dict[str, Attribute]:
    """What the user attached to a function, by variable name."""
    if not func.attrs or ATTR not in func.attrs:
        return {}
    return TesaMap.parse(str(func.attrs[ATTR]))


def _variables(func: Any) -> dict[str, Any]:
    found = [*func.params, *(var for var, _ in bindings_of(func))]
    return {str(var.name): var for var in found if is_tensor(var)}


def _attribute(name: str, given: Given, shape: tuple[int, ...]) -> Attribute:
    if isinstance(given, Attribute):
        return given
    if isinstance(given, str):
        try:
            return Attribute.uniform(shape, Code[given.upper()])
        except KeyError as error:
            known = ", ".join(c.name.lower() for c in Code if c.bits and c.kind)
            raise TesaError(f"{name}: unknown format '{given}'; there are {known}") from error
    keep = np.asarray(given)
    if keep.ndim > len(shape):
        raise TesaError(f"{name}: a mask of shape {keep.shape} does not suit a tensor of shape {shape}")
    return Attribute.pruned(shape, keep == 0)


def attach(mod: Any, attributes: Mapping[str, Given]) -> Any:
    """A copy of ``mod`` with attributes on tensors, by variable name.

    A keep-mask (0 = pruned; it broadcasts to the tensor) says that the pruned elements are zero: of a constant
    weight they are then taken as zero, of an activation the user vouches for it. A format name is a bound on what
    is stored. Attaching twice takes the meet. Raises ``TesaError``: unknown name, shape, contradiction.
    """
    mod = mod.clone()
    left = set(attributes)
    for global_var, func in relax_functions(mod):
        variables, found = _variables(func), attached_to(func)
        for name in [n for n in attributes if n in variables]:
            left.discard(name)
            mine = _attribute(name, attributes[name], shape_of(variables[name]))
            if mine.shape != shape_of(variables[name]):
                raise TesaError(f"{name}: attribute of shape {mine.shape}, tensor of {shape_of(variables[name])}")
            found[name] = found[name].meet(mine, name) if name in found else mine
        if found:
            text = json.dumps({name: a.to_json() for name, a in found.items()}, separators=(",", ":"))
            mod[global_var] = func.with_attr(ATTR, text)
    if left:
        raise TesaError(f"no tensor named {', '.join(sorted(left))} in the module")
    return mod


def attach_masks(mod: Any, path: str | Path) -> Any:
    """``attach`` with the masks of an .npz file (by tensor name) or a JSON file of attributes."""
    path = Path(path)
    if not path.is_file():
        raise TesaError(f"{path}: no such file")
    if path.suffix == ".json":
        return attach(mod, TesaMap.parse(path.read_text()))
    try:
        with np.load(path, allow_pickle=False) as masks:
            return attach(mod, {name: masks[name] for name in masks.files})
    except (ValueError, OSError, AttributeError) as error:
        raise TesaError(f"{path}: not an .npz file of masks ({error})") from error
