"""Trains models/digits/1/model.onnx on scikit-learn's load_digits and checks the exported file.

Run by hand, from anywhere, inside a virtual environment with requirements.txt:

    python digits.py

Writes, beside this folder, digits/1/model.onnx and digits/reference.json, and prints the figures
that the model card quotes. The result depends only on SEED, the pinned packages and the CPU's
floating-point unit; it takes about a minute on one core.
"""

import json
import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
# Sums split over several processors add in another order, and another network comes out.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

SEED = 20240229
# The samples lie writer after writer, so a random split would show every writer to the network.
# Contiguous blocks keep the held-out writers unseen, but for the one whose block the cut divides.
TRAIN_END = 1078
VALIDATION_END = 1258
STEPS = 4000
BATCH = 128
PEAK_LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
OUT = Path(__file__).resolve().parent.parent / "digits"

Params = dict[str, jax.Array]


def initial_params(key: jax.Array) -> Params:
    """He-initialised weights of three 3x3 convolutions and one dense layer."""
    shapes = {"conv1": (24, 1, 3, 3), "conv2": (32, 24, 3, 3), "conv3": (48, 32, 3, 3), "dense": (192, 10)}
    params: Params = {}
    for name, shape in shapes.items():
        key, use = jax.random.split(key)
        fan_in = shape[0] if name == "dense" else int(np.prod(shape[1:]))
        params[f"{name}.weight"] = jax.random.normal(use, shape) * np.sqrt(2 / fan_in)
        params[f"{name}.bias"] = jnp.zeros(shape[1] if name == "dense" else shape[0])
    return params


def max_pool(x: jax.Array) -> jax.Array:
    """2x2 maximum over [batch, channels, height, width]."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def logits(params: Params, image: jax.Array, dropout_key: jax.Array | None = None) -> jax.Array:
    """image: FP32 [batch, 64], pixels 0..16. Returns FP32 [batch, 10]."""
    x = (image / 16.0).reshape(-1, 1, 8, 8)
    for layer in ("conv1", "conv2", "conv3"):
        x = jax.lax.conv_general_dilated(x, params[f"{layer}.weight"], (1, 1), "SAME")
        x = jax.nn.relu(x + params[f"{layer}.bias"][None, :, None, None])
        if layer != "conv1":
            x = max_pool(x)
    x = x.reshape(x.shape[0], -1)
    if dropout_key is not None:
        x = x * jax.random.bernoulli(dropout_key, 0.6, x.shape) / 0.6
    return x @ params["dense.weight"] + params["dense.bias"]


def augmented(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Turns, scales, shears and shifts each 8x8 image a little (bilinear), as other hands would."""
    n = len(images)
    angle = rng.normal(0, 0.10, n)
    scale = np.exp(rng.normal(0, 0.07, (2, n)))
    shear = rng.normal(0, 0.08, n)
    shift = rng.normal(0, 0.5, (2, n))
    grid_y, grid_x = np.mgrid[0:8, 0:8] - 3.5
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    y = (cos * grid_y - sin * grid_x) * scale[0][:, None, None] + 3.5 + shift[0][:, None, None]
    x = (sin * grid_y + cos * grid_x) * scale[1][:, None, None] + 3.5 + shift[1][:, None, None]
    x = x + shear[:, None, None] * grid_y
    padded = np.pad(images.reshape(n, 8, 8), ((0, 0), (4, 4), (4, 4)))
    y, x = np.clip(y + 4, 0, 14.99), np.clip(x + 4, 0, 14.99)
    y0, x0 = y.astype(int), x.astype(int)
    fy, fx = y - y0, x - x0
    row = np.arange(n)[:, None, None]
    moved = (
        padded[row, y0, x0] * (1 - fy) * (1 - fx)
        + padded[row, y0 + 1, x0] * fy * (1 - fx)
        + padded[row, y0, x0 + 1] * (1 - fy) * fx
        + padded[row, y0 + 1, x0 + 1] * fy * fx
    )
    noisy = moved * np.exp(rng.normal(0, 0.1, (n, 1, 1)))
    return np.clip(noisy, 0, 16).reshape(n, 64).astype(np.float32)


def train(images: np.ndarray, labels: np.ndarray) -> Params:
    """Adam with decoupled weight decay, cosine schedule, and an average of the last weights."""
    rng = np.random.default_rng(SEED)
    key = jax.random.key(SEED)
    params = initial_params(key)
    first = jax.tree.map(jnp.zeros_like, params)
    second = jax.tree.map(jnp.zeros_like, params)
    average = params

    def loss(p: Params, image: jax.Array, label: jax.Array, k: jax.Array) -> jax.Array:
        target = jax.nn.one_hot(label, 10) * 0.95 + 0.005
        return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(logits(p, image, k)), axis=1))

    @jax.jit
    def step(p, m, v, avg, image, label, k, rate, t):
        value, grad = jax.value_and_grad(loss)(p, image, label, k)
        m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, grad)
        v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, grad)

        def update(w, a, b):
            moved = (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8)
            return w - rate * (moved + WEIGHT_DECAY * w)

        p = jax.tree.map(update, p, m, v)
        avg = jax.tree.map(lambda a, w: 0.995 * a + 0.005 * w, avg, p)
        return p, m, v, avg, value

    for t in range(1, STEPS + 1):
        pick = rng.integers(0, len(images), BATCH)
        rate = PEAK_LEARNING_RATE * min(1, t / 200) * 0.5 * (1 + np.cos(np.pi * t / STEPS))
        key, use = jax.random.split(key)
        batch = augmented(rng, images[pick])
        params, first, second, average, value = step(
            params, first, second, average, batch, labels[pick], use, rate, float(t)
        )
        if t % 1000 == 0:
            print(f"step {t} loss {float(value):.4f}", flush=True)
    return average


def export(params: Params) -> onnx.ModelProto:
    """The same network as an ONNX graph; the division by 16 is part of it."""
    weights = [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in params.items()]
    weights += [
        numpy_helper.from_array(np.array(16.0, np.float32), "white"),
        numpy_helper.from_array(np.array([0, 1, 8, 8], np.int64), "image_shape"),
    ]
    node = helper.make_node
    nodes = [
        node("Div", ["image", "white"], ["scaled"]),
        node("Reshape", ["scaled", "image_shape"], ["plane"]),
    ]
    x = "plane"
    for layer in ("conv1", "conv2", "conv3"):
        nodes.append(node("Conv", [x, f"{layer}.weight", f"{layer}.bias"], [layer], kernel_shape=[3, 3], pads=[1] * 4))
        nodes.append(node("Relu", [layer], [f"{layer}.relu"]))
        x = f"{layer}.relu"
        if layer != "conv1":
            nodes.append(node("MaxPool", [x], [f"{layer}.pool"], kernel_shape=[2, 2], strides=[2, 2]))
            x = f"{layer}.pool"
    nodes += [
        node("Flatten", [x], ["features"], axis=1),
        node("Gemm", ["features", "dense.weight", "dense.bias"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="digits.py")
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    data = load_digits()
    images, labels = data.data.astype(np.float32), data.target
    assert images.shape == (1797, 64)
    params = train(images[:TRAIN_END], labels[:TRAIN_END])

    model = export(params)
    path = OUT / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    exported = session.run(None, {"image": images})[0]
    trained = np.asarray(jax.nn.softmax(logits(params, images), axis=1))
    print(f"largest difference, trained network to ONNX file: {np.abs(exported - trained).max():.2e}")

    guess = exported.argmax(axis=1)
    right = guess == labels
    for name, part in {
        "training": slice(0, TRAIN_END),
        "validation": slice(TRAIN_END, VALIDATION_END),
        "held-out": slice(VALIDATION_END, None),
    }.items():
        print(f"{name}: {right[part].sum()} of {right[part].size} right, {100 * right[part].mean():.2f} %")
    held_out = np.arange(VALIDATION_END, len(images))
    for digit in range(10):
        of_digit = held_out[labels[held_out] == digit]
        print(f"  digit {digit}: {right[of_digit].sum()} of {of_digit.size}, {100 * right[of_digit].mean():.1f} %")
    wrong = held_out[~right[held_out]]
    print("wrong (index: truth as guess):", ", ".join(f"{i}: {labels[i]} as {guess[i]}" for i in wrong))

    # Every 27th held-out sample: whatever it is, right or wrong.
    reference = [
        {
            "index": int(i),
            "image": [int(p) for p in images[i]],
            "truth": str(labels[i]),
            "label": str(guess[i]),
            "probability": round(float(exported[i].max()), 6),
        }
        for i in held_out[::27]
    ]
    lines = ",\n".join(json.dumps(sample) for sample in reference)
    (OUT / "reference.json").write_text(f"[\n{lines}\n]\n")
    print(f"{path.stat().st_size} bytes, {len(reference)} reference samples")


if __name__ == "__main__":
    main()
