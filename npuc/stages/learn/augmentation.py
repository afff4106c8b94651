"""Random changes of training data, as the recipe's section [augment] wants them."""

from __future__ import annotations

from npuc.settings.recipe import Augment
from passes.learning.training.data.add_noise import AddNoise
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.data.color_jitter import ColorJitter
from passes.learning.training.data.random_crop import RandomCrop
from passes.learning.training.data.replace_synonyms import ReplaceSynonyms
from passes.learning.training.data.rewrite_syntax import RewriteSyntax
from passes.learning.training.data.strength_schedule import StrengthSchedule
from passes.learning.training.data.wordnet import WordNet


def _text(settings: Augment) -> tuple[ReplaceSynonyms | RewriteSyntax, ...]:
    if not settings.text:
        return ()
    synonyms = ReplaceSynonyms(WordNet().synonyms)
    return (synonyms, RewriteSyntax()) if settings.syntax else (synonyms,)


def make_augmenter(settings: Augment | None, batches: int = 0) -> Augmenter | None:
    """Returns what changes examples; None where nothing does.

    Args:
        settings: The recipe's section.
        batches: Of the whole training, which the ramp is a share of; 0: full strength from the start.

    Raises:
        TrainingError: Texts are to be changed, and WordNet is not installed.
    """
    if settings is None or not (settings.image or settings.audio or settings.text):
        return None
    last = round(settings.ramp * batches)
    strengths = {"image": settings.image, "audio": settings.audio, "text": settings.text}
    return Augmenter(
        image=(RandomCrop(), ColorJitter()) if settings.image else (),
        audio=(AddNoise(),) if settings.audio else (),
        text=_text(settings),
        schedules={
            name: StrengthSchedule(0.0 if last else strength, strength, 0, last)
            for name, strength in strengths.items()
        },
    )
