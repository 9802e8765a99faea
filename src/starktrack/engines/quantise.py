"""An exported network with fewer bits: 8-bit integers for the CPU, or 16-bit floating point for a GPU."""

import io
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

KEPT_TYPES = ("Softmax", "LogSoftmax", "LayerNormalization", "Sigmoid", "CumSum", "Sin", "Cos")
"""Operations that stay in float32 wherever they are: the softmax of attention, and what sums or bends small numbers."""


def write_int8(
    source: Path, target: Path, samples: Sequence[Mapping[str, np.ndarray]], heads: Collection[str]
) -> None:
    """Write an exported network with weights and activations in 8-bit integers.

    Weights keep a bit in reserve: processors without VNNI add products of bytes in 16 bits, which would overflow.

    Args:
        source: A network in float32.
        samples: Inputs of the whole graph, from whose activations the ranges are taken.
        heads: Parts of the network, by the names of their modules, that stay in float32 with all that follows them.
    """
    import onnx

    os.environ.setdefault("NNCF_CI", "1")  # else the package sends statistics of its use
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    network = _with_folded_norms(source)
    kept = head_nodes(network.graph, heads)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # its bars of progress
        quantised = nncf.quantize(
            network,
            nncf.Dataset(list(samples)),
            subset_size=len(samples),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=sorted(kept), types=list(KEPT_TYPES), validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.quantization.advanced_parameters.OverflowFix.ENABLE
            ),
        )
    _store_bytes(quantised.graph)
    _merge_equal(quantised.graph)
    onnx.checker.check_model(quantised)
    target.write_bytes(quantised.SerializeToString())


def write_float16(source: Path, target: Path) -> None:
    """Write an exported network that computes in 16-bit floating point; inputs and outputs stay as they are."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    network = onnx.load(source)
    # Position and soft-argmax are sums of hundreds of terms, whose rounding would move boxes.
    reduced = convert_float_to_float16(
        network, keep_io_types=True, disable_shape_infer=True, op_block_list=[*_BLOCKED, *KEPT_TYPES]
    )
    _put_in_order(reduced.graph)
    target.write_bytes(reduced.SerializeToString())


_BLOCKED = ("Range", "ReduceSum", "Resize", "ArgMax", "ReduceMax", "ReduceMin")


def set_metadata(path: Path, values: Mapping[str, str]) -> None:
    """Add metadata to an exported network, or change them."""
    import onnx

    network = onnx.load(path)
    onnx.helper.set_model_props(
        network, {**{each.key: each.value for each in network.metadata_props}, **values}
    )
    path.write_bytes(network.SerializeToString())


def head_nodes(graph: "GraphProto", heads: Collection[str]) -> set[str]:
    """Return the names of the nodes of some parts of a network, of what follows them, and of what feeds them alone.

    What feeds them and has no weights, such as the similarity that a head looks at, is theirs.
    """
    consumers: dict[str, list[NodeProto]] = {}
    producer: dict[str, NodeProto] = {}
    for node in graph.node:
        producer.update(dict.fromkeys(node.output, node))
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    large = {each.name for each in graph.initializer if len(each.dims) > 1}
    marks = tuple(f"network.{head}." for head in heads)
    queue = [node for node in graph.node if any(mark in name for name in node.input for mark in marks)]
    found: dict[str, NodeProto] = {}
    first = list(queue)
    while queue:
        node = queue.pop()
        if node.name not in found:
            found[node.name] = node
            queue += [each for name in node.output for each in consumers.get(name, ())]
    queue = [producer[name] for node in first for name in node.input if name in producer]
    while queue:
        node = queue.pop()
        if node.name not in found and not any(name in large for name in node.input):
            found[node.name] = node
            if node.op_type not in ("Add", "LayerNormalization", "Concat"):
                queue += [producer[name] for name in node.input if name in producer]
    return set(found)


def _with_folded_norms(source: Path) -> "ModelProto":
    """Return the network with batch norms folded into convolutions, so that each pair is quantised as one."""
    import onnx

    before = onnx.load(source)
    with TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        after = onnx.load(options.optimized_model_filepath)
    onnx.helper.set_model_props(after, {each.key: each.value for each in before.metadata_props})
    return after


def _store_bytes(graph: "GraphProto") -> None:
    """Store quantised weights as the bytes that they become, instead of in float32 before a QuantizeLinear."""
    from onnx import numpy_helper

    values = {each.name: each for each in graph.initializer}
    kept: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "QuantizeLinear" or any(name not in values for name in node.input):
            kept.append(node)
            continue
        weights, scale, zero = (numpy_helper.to_array(values[name]) for name in node.input)
        axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
        shape = [-1 if index == axis else 1 for index in range(weights.ndim)] if scale.ndim else []
        limits = np.iinfo(zero.dtype)
        whole = np.round(weights / scale.reshape(shape)) + zero.reshape(shape)
        stored = np.clip(whole, limits.min, limits.max).astype(zero.dtype)
        graph.initializer.append(numpy_helper.from_array(stored, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    _drop_unused(graph)


def _merge_equal(graph: "GraphProto") -> None:
    """Store equal weights once: both halves share the backbone's."""
    first: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    for each in graph.initializer:
        unnamed = type(each)()
        unnamed.CopyFrom(each)
        unnamed.name = ""
        renamed[each.name] = first.setdefault(unnamed.SerializeToString(deterministic=True), each.name)
    outputs = {each.name for each in graph.output}
    for node in graph.node:
        for index, name in enumerate(node.input):
            if renamed.get(name, name) != name and name not in outputs:
                node.input[index] = renamed[name]
    _drop_unused(graph)


def _put_in_order(graph: "GraphProto") -> None:
    """Order nodes by what they need; the converter adds casts behind their readers, and one for each of two readers."""
    waiting = list({node.output[0]: node for node in graph.node}.values())
    made = {name for node in waiting for name in node.output}
    ready: list[NodeProto] = []
    while waiting:
        later = []
        for node in waiting:
            if made.isdisjoint(node.input):
                ready.append(node)
                made.difference_update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):  # a cycle, which the check of the model will report
            ready += later
            break
        waiting = later
    del graph.node[:]
    graph.node.extend(ready)


def _drop_unused(graph: "GraphProto") -> None:
    used = {name for node in graph.node for name in node.input} | {each.name for each in graph.output}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
