"""Attributes that the user gives: by tensor name, or from a mask file. Kept as a function attribute."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tvm_aie.tesa.attribute import Attribute, Code, TesaError
from tvm_aie.tesa.ir import bindings_of, is_tensor, relax_functions, shape_of
from tvm_aie.tesa.propagation import propagate
from tvm_aie.tesa.tesa_map import TesaMap

ATTR = "tesa_attached"
Given = Any  # an Attribute, a keep-mask (non-zero = keep), or the name of a format such as "int4"


def attached_to(func: Any) -> dict[str, Attribute]:
    """What the user attached to a function, by variable name."""
    if not func.attrs or ATTR not in func.attrs:
        return {}
    return TesaMap.parse(str(func.attrs[ATTR]))


def with_fitting_attributes(func: Any) -> Any:
    """The function with those of its attached attributes whose tensors are still there in their shape."""
    given = attached_to(func)
    if not given:
        return func
    variables, twice = _variables(func)
    there = {n: a for n, a in given.items() if n in variables and n not in twice}
    fitting = {n: a for n, a in there.items() if shape_of(variables[n]) == a.shape}
    if len(fitting) == len(given):
        return func
    return _written(func, fitting) if fitting else func.without_attr(ATTR)


def _written(func: Any, attributes: Mapping[str, Attribute]) -> Any:
    return func.with_attr(ATTR, json.dumps({n: a.to_json() for n, a in attributes.items()}, separators=(",", ":")))


def _variables(func: Any) -> tuple[dict[str, Any], set[str]]:
    """Tensor variables by name, and the names that several of them share."""
    found: dict[str, Any] = {}
    twice: set[str] = set()
    for var in (*func.params, *(var for var, _ in bindings_of(func))):
        if is_tensor(var):
            if str(var.name) in found:
                twice.add(str(var.name))
            found[str(var.name)] = var
    return found, twice


def _attribute(name: str, given: Given, shape: tuple[int, ...]) -> Attribute:
    if isinstance(given, Attribute):
        return given
    if isinstance(given, str):
        try:
            return Attribute.uniform(shape, Code[given.upper()])
        except KeyError as error:
            known = ", ".join(c.name.lower() for c in Code if c.bits and c.kind)
            raise TesaError(f"{name}: unknown format '{given}'; there are {known}") from error
    try:
        mask = np.asarray(given)
    except ValueError as error:
        raise TesaError(f"{name}: a mask is one array of numbers, not nested lists of different lengths") from error
    if mask.dtype.kind not in "biuf":
        raise TesaError(f"{name}: a mask holds numbers (0 = pruned), not {type(given).__name__} of {mask.dtype}")
    if mask.dtype.kind == "f" and np.isnan(mask).any():
        raise TesaError(f"{name}: the mask holds NaN, which says neither keep nor prune")
    try:
        return Attribute.pruned(shape, mask == 0)
    except TesaError as error:
        raise TesaError(f"{name}: {error}") from error


def attach(mod: Any, attributes: Mapping[str, Given]) -> Any:
    """A copy of ``mod`` with attributes on tensors, by variable name.

    A keep-mask (0 = pruned; it broadcasts to the tensor) says that the pruned elements are zero: of a constant
    weight they are then taken as zero, of an activation the user vouches for it. A format name is a bound on what
    is stored. Attaching twice takes the meet. Raises ``TesaError``: unknown name, shape, no mask, contradiction.
    """
    if not isinstance(attributes, Mapping) or not all(isinstance(name, str) for name in attributes):
        raise TesaError("attributes are given as a dictionary by tensor name")
    mod = mod.clone()
    left, names = set(attributes), set[str]()
    for global_var, func in relax_functions(mod):
        (variables, twice), found = _variables(func), attached_to(func)
        names |= variables.keys()
        for name in [n for n in attributes if n in variables]:
            left.discard(name)
            if name in twice:
                raise TesaError(f"{name}: several tensors have this name")
            mine = _attribute(name, attributes[name], shape_of(variables[name]))
            if mine.shape != shape_of(variables[name]):
                raise TesaError(f"{name}: attribute of shape {mine.shape}, tensor of {shape_of(variables[name])}")
            found[name] = found[name].meet(mine, name) if name in found else mine
        if found:
            propagate(func, found).check()  # a contradiction is reported here, not when the network is compiled
            mod[global_var] = _written(func, found)
    if left:
        close = [n for name in sorted(left) for n in get_close_matches(name, names, 3, 0.5)]
        hint = f"; there are {', '.join(dict.fromkeys(close))}" if close else ""
        raise TesaError(f"no tensor named {', '.join(sorted(left))} in the module{hint}")
    return mod


def attach_masks(mod: Any, path: str | Path) -> Any:
    """``attach`` with the masks of an .npz file (by tensor name) or a JSON file of attributes."""
    path = Path(path)
    if not path.is_file():
        raise TesaError(f"{path}: no such file")
    try:
        found: dict[str, Given] = {}
        if path.suffix == ".json":
            found.update(TesaMap.parse(path.read_text()))
        else:
            with np.load(path, allow_pickle=False) as masks:
                found.update({name: masks[name] for name in masks.files})
    except (ValueError, OSError, AttributeError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        if path.suffix == ".json":
            raise TesaError(f"{path}: not a JSON file of attributes ({error or type(error).__name__})") from error
        raise TesaError(f"{path}: not an .npz file of masks") from error  # numpy's text is about trusting pickles
    for name, mask in found.items():
        if isinstance(mask, np.ndarray) and mask.dtype.kind not in "biuf":
            raise TesaError(f"{path}: {name} holds {mask.dtype}, a mask holds numbers (0 = pruned)")
    return attach(mod, found)
