"""A mutable view of an ONNX graph: nodes as protobufs, constants as numpy arrays, names resolved.

All passes of ``onnx_prepare``, ``quantize`` and ``sparsity`` work on this view; weights are never copied
through protobuf between passes (VGG19 has 575 MB of them).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from tvm_aie.errors import ModelError

Array = npt.NDArray[Any]
SMALL_ELEMENTS = 256  # constants up to this size are shown to ONNX's shape inference


@dataclass
class OnnxGraph:
    """Nodes in order, constants by name, typed inputs and outputs, and the static shapes that are known."""

    nodes: list[onnx.NodeProto]
    constants: dict[str, Array]
    inputs: list[onnx.ValueInfoProto]
    outputs: list[onnx.ValueInfoProto]
    opset: int
    name: str = "graph"
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    elem_types: dict[str, int] = field(default_factory=dict)
    other_opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    _counter: int = 0
    _taken: set[str] = field(default_factory=set)

    # ---------------------------------------------------------------- reading and writing models
    @classmethod
    def from_model(cls, model: onnx.ModelProto) -> OnnxGraph:
        """The view of ``model``; initialisers and Constant nodes become ``constants``."""
        graph = model.graph
        constants = {t.name: tensor_value(t) for t in graph.initializer}
        for sparse in graph.sparse_initializer:
            constants[sparse.values.name] = _sparse_value(sparse)
        nodes = []
        for original in graph.node:
            value = _constant_node_value(original)
            if value is None:
                node = onnx.NodeProto()
                node.CopyFrom(original)
                nodes.append(node)
            else:
                constants[original.output[0]] = value
        opsets = {o.domain: o.version for o in model.opset_import}
        opset = opsets.pop("", opsets.pop("ai.onnx", 1))
        view = cls(
            nodes=nodes,
            constants=constants,
            inputs=[_copy_info(i) for i in graph.input if i.name not in constants],
            outputs=[_copy_info(o) for o in graph.output],
            opset=opset,
            name=graph.name or "graph",
            other_opsets=opsets,
            metadata={p.key: p.value for p in model.metadata_props},
        )
        view._read_types(list(graph.value_info) + list(graph.input) + list(graph.output))
        return view

    def to_model(self, keep_shapes: bool = True) -> onnx.ModelProto:
        """A ModelProto (IR version 8) with every constant as initialiser and, if known, every shape."""
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs)
        for name, value in self.constants.items():
            tensor = graph.initializer.add()
            tensor.CopyFrom(numpy_helper.from_array(value, name))
        if keep_shapes:
            graph.value_info.extend(self._value_infos())
        return self._wrap(graph)

    def skeleton(self) -> onnx.ModelProto:
        """The model without its large weights: those are graph inputs. For shape inference and the checker."""
        large = {k: v for k, v in self.constants.items() if v.size > SMALL_ELEMENTS}
        small = [numpy_helper.from_array(v, k) for k, v in self.constants.items() if k not in large]
        infos = [
            helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for k, v in large.items()
        ]
        return self._wrap(helper.make_graph(self.nodes, self.name, [*self.inputs, *infos], self.outputs, small))

    def _wrap(self, graph: onnx.GraphProto) -> onnx.ModelProto:
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(d, v) for d, v in self.other_opsets.items()]
        ir_version = 8 if self.opset <= 18 else 10
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name="tvm-aie")
        if self.metadata:
            helper.set_model_props(model, self.metadata)
        return model

    def _value_infos(self) -> list[onnx.ValueInfoProto]:
        known = {i.name for i in self.inputs} | {o.name for o in self.outputs}
        produced = [o for n in self.nodes for o in n.output if o]
        return [
            helper.make_tensor_value_info(o, self.elem_types[o], self.shapes[o])
            for o in produced
            if o not in known and o in self.shapes and o in self.elem_types
        ]

    def _read_types(self, infos: Iterable[onnx.ValueInfoProto]) -> None:
        for info in infos:
            tensor = info.type.tensor_type
            self.elem_types[info.name] = tensor.elem_type
            dims = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
            if tensor.HasField("shape") and all(d >= 0 for d in dims):
                self.shapes[info.name] = tuple(dims)

    # ---------------------------------------------------------------- names and edges
    def producers(self) -> dict[str, onnx.NodeProto]:
        """Tensor name -> the node that writes it."""
        return {o: n for n in self.nodes for o in n.output if o}

    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """Tensor name -> the nodes that read it, in order (a node twice if it reads it twice)."""
        table: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                if name:
                    table[name].append(node)
        return table

    def output_names(self) -> set[str]:
        """Names of the graph outputs."""
        return {o.name for o in self.outputs}

    def fresh(self, stem: str) -> str:
        """A tensor name that is not used yet and will not be handed out again."""
        if not self._taken:
            self._taken = {o for n in self.nodes for o in n.output} | {i.name for i in self.inputs}
        name = stem
        while name in self._taken or name in self.constants:
            self._counter += 1
            name = f"{stem}_{self._counter}"
        self._taken.add(name)
        return name

    def replace_reads(self, old: str, new: str) -> None:
        """Every reader of tensor ``old`` reads ``new`` instead; graph outputs are not renamed."""
        for node in self.nodes:
            for i, name in enumerate(node.input):
                if name == old:
                    node.input[i] = new

    def bypass(self, node: onnx.NodeProto) -> bool:
        """Remove a node that hands its first input on unchanged. False when both ends are fixed names."""
        source, target = node.input[0], node.output[0]
        if target in self.output_names():
            producer = self.producers().get(source)
            if producer is None or source in self.output_names():
                return False
            position = list(producer.output).index(source)
            producer.output[position] = target
            self.nodes.remove(node)
            self.replace_reads(source, target)
        else:
            self.nodes.remove(node)
            self.replace_reads(target, source)
        return True

    def drop_unused(self) -> None:
        """Remove nodes and constants that no graph output needs."""
        wanted = self.output_names()
        kept: list[onnx.NodeProto] = []
        for node in reversed(self.nodes):
            if any(o in wanted for o in node.output):
                kept.append(node)
                wanted |= set(node_reads(node))
        self.nodes = kept[::-1]
        self.constants = {k: v for k, v in self.constants.items() if k in wanted}

    # ---------------------------------------------------------------- order and shapes
    def sort(self) -> None:
        """Topological order, stable where possible. Raises ModelError on a cycle or an undefined tensor."""
        known = set(self.constants) | {i.name for i in self.inputs} | {""}
        producer = {o: k for k, n in enumerate(self.nodes) for o in n.output if o}
        waiting, readers = [0] * len(self.nodes), defaultdict(list)
        for k, node in enumerate(self.nodes):
            for name in set(node_reads(node)) - known:
                if name not in producer:
                    raise ModelError(f"{label(node)} reads '{name}', which nothing produces; the file is damaged")
                waiting[k] += 1
                readers[producer[name]].append(k)
        ready = [k for k, n in enumerate(waiting) if n == 0]
        heapq.heapify(ready)
        order: list[int] = []
        while ready:
            k = heapq.heappop(ready)
            order.append(k)
            for reader in readers[k]:
                waiting[reader] -= 1
                if waiting[reader] == 0:
                    heapq.heappush(ready, reader)
        if len(order) != len(self.nodes):
            stuck = next(n for k, n in enumerate(self.nodes) if waiting[k])
            raise ModelError(f"{label(stuck)} is part of a cycle; an ONNX graph must have none")
        self.nodes = [self.nodes[k] for k in order]

    def infer_shapes(self) -> None:
        """Fill ``shapes`` and ``elem_types`` of every tensor that ONNX can infer. Raises ModelError."""
        try:
            inferred = onnx.shape_inference.infer_shapes(self.skeleton(), strict_mode=True, data_prop=True)
        except (onnx.shape_inference.InferenceError, ValueError) as error:
            raise ModelError(f"shapes do not fit together: {first_line(error)}") from error
        self.shapes = {k: tuple(v.shape) for k, v in self.constants.items()}
        self.elem_types = {k: helper.np_dtype_to_tensor_dtype(v.dtype) for k, v in self.constants.items()}
        self._read_types([*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output])


def label(node: onnx.NodeProto) -> str:
    """How messages name a node: its type and its name, or its first output where it has no name."""
    return f"{node.op_type} '{node.name or (node.output[0] if node.output else '?')}'"


def first_line(error: Exception) -> str:
    """The first non-empty line of an error's text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attribute name -> Python value; strings are decoded."""
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def set_attribute(node: onnx.NodeProto, name: str, value: object) -> None:
    """Set or replace one attribute."""
    remove_attribute(node, name)
    node.attribute.append(helper.make_attribute(name, value))


def remove_attribute(node: onnx.NodeProto, name: str) -> None:
    """Drop an attribute if the node has it."""
    for attribute in [a for a in node.attribute if a.name == name]:
        node.attribute.remove(attribute)


def node_reads(node: onnx.NodeProto) -> list[str]:
    """Tensor names a node reads, those captured by its subgraphs included."""
    reads = [name for name in node.input if name]
    for attribute in node.attribute:
        bodies = [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else list(attribute.graphs)
        for body in bodies:
            local = {i.name for i in body.input} | {t.name for t in body.initializer}
            local |= {o for n in body.node for o in n.output}
            reads += [r for n in body.node for r in node_reads(n) if r not in local]
            reads += [o.name for o in body.output if o.name not in local]
    return reads


def tensor_value(tensor: onnx.TensorProto) -> Array:
    """The numpy value of an initialiser. Raises ModelError when its bytes do not match its shape."""
    try:
        value: Array = numpy_helper.to_array(tensor)
    except Exception as error:
        raise ModelError(f"initialiser '{tensor.name}' cannot be read: {first_line(error)}") from error
    return value


def _sparse_value(sparse: onnx.SparseTensorProto) -> Array:
    values, indices = tensor_value(sparse.values), tensor_value(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense


def _constant_node_value(node: onnx.NodeProto) -> Array | None:
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return tensor_value(value)
    if attribute.name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    return None


def _copy_info(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(info)
    return copy
