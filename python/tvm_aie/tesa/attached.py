"""Attributes that the user gives: by tensor name, or from a mask file. Kept as a function attribute.

Names are those of the Relax module, or those of the ONNX file that it was imported from (``aie2_onnx_names``, which
``frontend.relax_import`` writes).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
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
ONNX_NAMES = "aie2_onnx_names"  # of a function: variables by name in the ONNX file
NEAR = 3  # names that an error suggests
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


def _onnx_names(func: Any, variables: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The variables that each name of the ONNX file stands for, those that are still there."""
    if not func.attrs or ONNX_NAMES not in func.attrs:
        return {}
    given = {str(name): [str(v) for v in names] for name, names in dict(func.attrs[ONNX_NAMES]).items()}
    there = {name: tuple(v for v in names if v in variables) for name, names in given.items()}
    return {name: names for name, names in there.items() if names}


def _meant(name: str, variables: Mapping[str, Any], onnx_names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The variables that a name stands for; none: unknown. TesaError: different ones in ONNX and in Relax."""
    own, others = (name,) if name in variables else (), onnx_names.get(name, ())
    if own and others and others != own:
        raise TesaError(
            f"{name}: in the Relax module another tensor ({name}) than in the ONNX file ({', '.join(others)}); give "
            "the name of the node, of its output, or of the Relax variable that stands for one tensor only"
        )
    return own or others


def _near(name: str, names: Iterable[str], similar: float = 0.5) -> list[str]:
    """Names that the user may have meant, the nearest first: equal but for case and punctuation, then ``similar`` ones
    (of 1)."""

    def plain(text: str) -> str:
        return "".join(ch for ch in text.lower() if ch.isalnum())

    every = sorted(names)
    alike = [n for n in every if plain(n) == plain(name)]
    return list(dict.fromkeys([*alike, *get_close_matches(name, every, NEAR, similar)]))[:NEAR]


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


def _fitting(name: str, given: Given, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]) -> Attribute:
    """The attribute of a tensor of that shape. TesaError: it is of another shape; ``shapes``: what might be meant."""
    try:
        mine = _attribute(name, given, shape)
    except TesaError as error:
        mask = given.shape if isinstance(given, np.ndarray) else ()
        near = _near(name, [n for n, s in shapes.items() if mask and s == mask], 0.0)
        hint = f"; that is the shape of {', '.join(near)}" if near else ""
        raise TesaError(f"{error}{hint}") from error
    if mine.shape != shape:
        raise TesaError(f"{name}: attribute of shape {mine.shape}, tensor of {shape}")
    return mine


def attach(mod: Any, attributes: Mapping[str, Given]) -> Any:
    """A copy of ``mod`` with attributes on tensors, by variable name or by name in the ONNX file that it comes from.

    There an initializer is the weight that it holds, a node or a value the tensor that the node writes.

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
        onnx_names = _onnx_names(func, variables)
        shapes = {n: shape_of(variables[v[0]]) for n, v in onnx_names.items()}
        shapes |= {n: shape_of(v) for n, v in variables.items()}
        names |= shapes.keys()
        for name, given in attributes.items():
            for variable in _meant(name, variables, onnx_names):
                left.discard(name)
                if variable in twice:
                    raise TesaError(f"{name}: several tensors have the name {variable}")
                mine = _fitting(name, given, shapes[variable], shapes)
                found[variable] = found[variable].meet(mine, name) if variable in found else mine
        if found:
            propagate(func, found).check()  # a contradiction is reported here, not when the network is compiled
            mod[global_var] = _written(func, found)
    if left:
        close = [n for name in sorted(left) for n in _near(name, names)]
        hint = f"; there are {', '.join(dict.fromkeys(close))}" if close else ""
        raise TesaError(
            f"no tensor named {', '.join(sorted(left))} in the module, neither in Relax nor in the ONNX file{hint}"
        )
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
