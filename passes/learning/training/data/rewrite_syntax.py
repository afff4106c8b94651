"""Other forms of the same sentence, by rules on its words.

The rules know English sentences of these forms, and leave all others as they are:

* questions to imperatives: "what is the sum?" → "tell me the sum", "can you count them?" → "count them",
  "where is the dog?" → "tell me where the dog is";
* imperatives to questions: "tell me the sum", "name the sum" → "what is the sum?";
* the order of two clauses: "if it rains, we stay" ↔ "we stay if it rains", also with when, because, after, before,
  although, while, unless and since;
* active and passive voice of a past tense between two noun phrases that begin with an article or the like:
  "the dog chased a cat" ↔ "a cat was chased by the dog".
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

Rule = Callable[[str], str | None]
"""A sentence, its start in small letters and without its full stop → another form; None where the rule does not fit."""

_CONJUNCTIONS = "if|when|because|after|before|although|while|unless|since"
_NOUN_PHRASE = (
    r"(?:the|a|an|this|that|these|those|my|your|his|her|its|our|their|every|some) [a-z]+(?: [a-z]+)?"
)
_PAST_TO_PARTICIPLE = {
    "ate": "eaten", "bought": "bought", "broke": "broken", "built": "built", "caught": "caught",
    "chose": "chosen", "drew": "drawn", "drove": "driven", "fed": "fed", "found": "found",
    "gave": "given", "held": "held", "hid": "hidden", "kept": "kept", "led": "led", "left": "left",
    "lost": "lost", "made": "made", "met": "met", "read": "read", "rode": "ridden", "sang": "sung",
    "saw": "seen", "sold": "sold", "stole": "stolen", "taught": "taught", "threw": "thrown",
    "told": "told", "took": "taken", "won": "won", "wrote": "written",
}  # fmt: skip
_PARTICIPLE_TO_PAST = {participle: past for past, participle in _PAST_TO_PARTICIPLE.items()}
_PLURAL_STARTS = ("these ", "those ")


def question_to_imperative(sentence: str) -> str | None:
    """Turns a question into a command."""
    if match := re.fullmatch(r"(?:can|could|will|would) you (?:please )?(.+?)\?", sentence):
        return match[1]
    if match := re.fullmatch(r"what(?: is|'s| are) (.+?)\?", sentence):
        return f"tell me {match[1]}"
    if match := re.fullmatch(rf"(where|who|how|when) (is|are|was|were) ({_NOUN_PHRASE})\?", sentence):
        return f"tell me {match[1]} {match[3]} {match[2]}"
    return None


def imperative_to_question(sentence: str) -> str | None:
    """Turns a command to say something into a question."""
    match = re.fullmatch(r"(?:please )?(?:tell me|name|give me|say|state) (the .+?)(?:,? please)?", sentence)
    return f"what is {match[1]}?" if match else None


def swap_clauses(sentence: str) -> str | None:
    """Puts the other one of two clauses first."""
    if match := re.fullmatch(rf"({_CONJUNCTIONS}) (.+?), (.+)", sentence):
        end = "?" if match[3].endswith("?") else ""
        return f"{match[3].rstrip('?')} {match[1]} {match[2]}{end}"
    if match := re.fullmatch(rf"([^,]+?),? ({_CONJUNCTIONS}) ([^,?]+)(\??)", sentence):
        return f"{match[2]} {match[3]}, {match[1]}{match[4]}"
    return None


def active_to_passive(sentence: str) -> str | None:
    """Puts a past tense with an object into the passive voice."""
    match = re.fullmatch(rf"({_NOUN_PHRASE}) ([a-z]+) ({_NOUN_PHRASE})", sentence)
    if match is None:
        return None
    verb = match[2]
    participle = _PAST_TO_PARTICIPLE.get(verb, verb if verb.endswith("ed") else None)
    return participle and f"{match[3]} {_be(match[3])} {participle} by {match[1]}"


def passive_to_active(sentence: str) -> str | None:
    """Puts a passive past tense with an agent into the active voice."""
    match = re.fullmatch(rf"({_NOUN_PHRASE}) (?:was|were) ([a-z]+) by ({_NOUN_PHRASE})", sentence)
    if match is None:
        return None
    participle = match[2]
    past = _PARTICIPLE_TO_PAST.get(participle, participle if participle.endswith("ed") else None)
    return past and f"{match[3]} {past} {match[1]}"


RULES: tuple[Rule, ...] = (
    question_to_imperative,
    imperative_to_question,
    swap_clauses,
    active_to_passive,
    passive_to_active,
)


@dataclasses.dataclass(frozen=True)
class RewriteSyntax:
    """Rewrites a sentence by one of the rules that fit it.

    Attributes:
        share: Probability that a sentence some rule fits is rewritten, at full strength.
        rules: To choose from.
    """

    share: float = 0.5
    rules: Sequence[Rule] = RULES

    def __call__(self, value: str, strength: float, rng: np.random.Generator) -> str:
        """Returns a text that keeps its first letter's case and its full stop."""
        chosen, place = rng.random() < strength * self.share, rng.random()
        if not chosen or not value.strip():
            return value
        text = value.strip()
        stop = "." if text.endswith(".") else ""
        start = text[:1] if text[1:2].isupper() else text[:1].lower()  # an abbreviation keeps its capitals
        forms = [form for rule in self.rules if (form := rule(start + text[1:].removesuffix(".")))]
        if not forms:
            return value
        form = forms[int(place * len(forms))]
        form = form[:1].upper() + form[1:] if text[:1].isupper() else form
        return form if form.endswith("?") else form + stop


def _be(noun_phrase: str) -> str:
    last = noun_phrase.split()[-1]
    plural = noun_phrase.startswith(_PLURAL_STARTS) or (last.endswith("s") and not last.endswith("ss"))
    return "were" if plural else "was"
