"""The langid network, twice: its n-grams in NumPy for training, and all of it as an ONNX graph.

Both follow one definition. Bytes come raised by 1, 0 is padding. ASCII capitals become small letters;
every other ASCII byte that is no letter becomes the boundary. A boundary is put before the text and one
after it. An n-gram counts when no byte between its first and last is a boundary (so it never spans two
words) and it is not made of boundaries alone. The bytes of an n-gram, read as a number in base 257,
modulo a prime give its row in a table of scores per language; rows are summed, divided by the square
root of the number of n-grams + 1, and go with a bias through a softmax. Padding reads row 0, which is
zeros, and is not counted: so an answer does not depend on it.
"""

import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MAX_BYTES = 512
BOUNDARY = ord(" ") + 1


def largest_prime_below(limit: int) -> int:
    """The largest prime smaller than `limit`."""
    return next(n for n in range(limit - 1, 1, -1) if all(n % d for d in range(2, math.isqrt(n) + 1)))


# N-grams of 1 to 5 bytes. Single bytes have a row each, the others share rows by hash.
ORDERS = 5
ROWS_PER_ORDER = [257, *[largest_prime_below(11_000)] * (ORDERS - 1)]
OFFSETS = [0, *np.cumsum(ROWS_PER_ORDER).tolist()]
ROWS = OFFSETS[-1]


def byte_classes() -> np.ndarray:
    """INT64 [257]: what a shifted byte counts as. 0 (padding) stays 0."""
    classes = np.arange(257, dtype=np.int64)
    for byte in range(128):
        char = chr(byte)
        classes[byte + 1] = ord(char.lower()) + 1 if char.isalpha() else BOUNDARY
    return classes


def encode(texts: list[str], max_bytes: int = MAX_BYTES) -> np.ndarray:
    """INT32 [texts, longest]: UTF-8 bytes + 1, cut to max_bytes, padded with 0; at least one column."""
    rows = [text.encode()[:max_bytes] for text in texts]
    table = np.zeros((len(rows), max([1, *map(len, rows)])), np.int32)
    for i, row in enumerate(rows):
        table[i, : len(row)] = np.frombuffer(row, np.uint8).astype(np.int32) + 1
    return table


def ngram_rows(encoded: np.ndarray) -> np.ndarray:
    """INT32 [batch, ORDERS * (length + 1)]: the table row of each n-gram, 0 where there is none."""
    folded = np.pad(byte_classes()[encoded], ((0, 0), (1, 0)), constant_values=BOUNDARY)
    folded = np.pad(folded, ((0, 0), (0, ORDERS)))
    starts = encoded.shape[1] + 1
    real = folded > 0
    symbols = np.where(real, folded, BOUNDARY)
    letter = symbols != BOUNDARY
    code = np.zeros((len(encoded), starts), np.int64)
    inside = np.ones((len(encoded), starts), bool)
    rows = []
    for n in range(1, ORDERS + 1):
        code = code * 257 + symbols[:, n - 1 : n - 1 + starts]
        if n == 1:
            counts = letter[:, :starts]
        elif n == 2:
            counts = real[:, :starts] & (letter[:, :starts] | letter[:, 1 : 1 + starts])
        else:
            inside = inside & letter[:, n - 2 : n - 2 + starts]
            counts = inside
        rows.append(np.where(counts, code % ROWS_PER_ORDER[n - 1] + OFFSETS[n - 1], 0))
    return np.concatenate(rows, axis=1).astype(np.int32)


def export(table: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    """The network as ONNX. table: FP16 [ROWS, languages], row 0 zeros; bias: FP32 [languages]."""
    assert table.dtype == np.float16 and table.shape[0] == ROWS and not table[0].any()
    languages = table.shape[1]
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, onnx.TensorProto] = {}

    def constant(name: str, value: np.ndarray) -> str:
        constants[name] = numpy_helper.from_array(value, name)
        return name

    def integers(name: str, *values: int) -> str:
        return constant(name, np.array(values, np.int64))

    def scalar(name: str, value: int) -> str:
        return constant(name, np.array(value, np.int64))

    def node(op: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    one, zero, axis = scalar("boundary", BOUNDARY), scalar("nothing", 0), integers("axis_1", 1)
    folded = node("Gather", [constant("byte_classes", byte_classes()), "bytes"], "folded")
    folded = node("Pad", [folded, integers("one_before", 0, 1, 0, 0), one], "bounded")
    folded = node("Pad", [folded, integers("orders_after", 0, 0, 0, ORDERS), zero], "padded")
    padding = node("Equal", [folded, zero], "is_padding")
    symbols = node("Where", [padding, one, folded], "symbols")
    boundary = node("Equal", [symbols, one], "is_boundary")
    letter = node("Not", [boundary], "is_letter")
    real = node("Not", [padding], "is_real")

    def shifted(source: str, by: int) -> str:
        """Columns by .. by + length: the by-th symbol of the n-gram that starts at each place."""
        name = f"{source}_{by}"
        if not any(n.output[0] == name for n in nodes):
            begin, end = integers(f"from_{by}", by), integers(f"to_{by}", by - ORDERS)
            node("Slice", [source, begin, end, axis], name)
        return name

    code, inside, rows = "", "", []
    for n in range(1, ORDERS + 1):
        symbol = shifted(symbols, n - 1)
        if n == 1:
            code = symbol
            counts = shifted(letter, 0)
        else:
            raised = node("Mul", [code, scalar("base", 257)], f"raised_{n}")
            code = node("Add", [raised, symbol], f"code_{n}")
            if n == 2:
                either = node("Or", [shifted(letter, 0), shifted(letter, 1)], "either_letter")
                counts = node("And", [shifted(real, 0), either], "counts_2")
            else:
                at = shifted(letter, n - 2)
                inside = node("And", [inside, at], f"inside_{n}") if inside else at
                counts = inside
        hashed = node("Mod", [code, scalar(f"rows_{n}", ROWS_PER_ORDER[n - 1])], f"hashed_{n}")
        row = node("Add", [hashed, scalar(f"offset_{n}", OFFSETS[n - 1])], f"row_{n}")
        rows.append(node("Where", [counts, row, zero], f"ngrams_{n}"))
    ngrams = node("Concat", rows, "ngrams", axis=1)
    scores = node("Gather", [constant("table", table), ngrams], "scores_half")
    scores = node("Cast", [scores], "scores", to=TensorProto.FLOAT)
    total = node("ReduceSum", [scores, axis], "total", keepdims=0)
    counted = node("Cast", [node("Greater", [ngrams, zero], "is_ngram")], "counted", to=TensorProto.FLOAT)
    count = node("ReduceSum", [counted, axis], "count", keepdims=1)
    count = node("Add", [count, constant("one", np.array(1, np.float32))], "count_and_one")
    mean = node("Div", [total, node("Sqrt", [count], "root")], "pooled")
    logits = node("Add", [mean, constant("bias", bias.astype(np.float32))], "logits")
    node("Softmax", [logits], "probabilities", axis=1)

    graph = helper.make_graph(
        nodes,
        "langid",
        [helper.make_tensor_value_info("bytes", TensorProto.INT32, ["batch", "length"])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", languages])],
        list(constants.values()),
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="langid.py"
    )
    onnx.checker.check_model(model, full_check=True)
    return model
