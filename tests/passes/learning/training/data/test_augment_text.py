import numpy as np
import pytest

from passes.learning.training.data.replace_synonyms import ReplaceSynonyms
from passes.learning.training.data.rewrite_syntax import RewriteSyntax
from passes.learning.training.data.wordnet import WordNet, find_wordnet
from passes.learning.training.errors import TrainingError

KNOWN = {"car": ["auto", "automobile"], "big": ["large"], "two": ["deuce"], "in": ["inch"]}


def replace(text, seed=0, strength=1.0, **settings):
    chosen = ReplaceSynonyms(lambda word: KNOWN.get(word.lower(), ()), **{"share": 1.0, **settings})
    return chosen(text, strength, np.random.default_rng(seed))


def test_case_and_punctuation_stay_and_function_words_too():
    assert replace("Big car, in TWO!", seed=1) == replace("Big car, in TWO!", seed=1)
    result = replace("Big car, in TWO!")
    assert result.startswith("Large auto") and result.endswith(", in TWO!")
    assert replace("BIG") == "LARGE"
    assert {replace("car", seed) for seed in range(20)} == {"auto", "automobile"}


def test_protected_words_and_strength_zero():
    assert replace("big car", protected=frozenset({"car"})) == "large car"
    assert replace("big car", strength=0.0) == "big car"
    changed = sum(replace("big", seed, strength=0.5, share=0.5) != "big" for seed in range(200))
    assert 25 < changed < 75


def write_wordnet(folder):
    """Two senses of `bank`, one of them shared with `depository`, as wndb(5WN) lays them out."""
    licence = "  1 licence text\n"
    data = licence
    offset = len(data)
    data += f"{offset:08d} 14 n 03 bank 0 depository 0 savings_bank 0 000 | an institution\n"
    noun = licence + f"bank n 1 0 1 1 {offset:08d}  \n"
    (folder / "data.noun").write_text(data)
    (folder / "index.noun").write_text(noun)
    verb = licence
    offset = len(verb)
    verb += f"{offset:08d} 38 v 02 bank 0 tip(p) 0 000 00 | tilt\n"
    (folder / "data.verb").write_text(verb)
    (folder / "index.verb").write_text(licence + f"bank v 1 0 1 0 {offset:08d}  \n")
    for part in ("adj", "adv"):
        (folder / f"index.{part}").write_text(licence)
        (folder / f"data.{part}").write_text(licence)


def test_the_most_frequent_part_of_speech_decides(tmp_path):
    write_wordnet(tmp_path)
    wordnet = WordNet(tmp_path)
    assert wordnet.synonyms("Bank") == ("depository",)
    assert wordnet.synonyms("xyzzy") == () and wordnet.definitions("xyzzy") == ()
    assert wordnet.definitions("bank") == ("an institution", "tilt")
    (tmp_path / "index.noun").write_text("  1 licence text\n")
    assert WordNet(tmp_path).synonyms("bank") == ("tip",)


def test_nouns_may_come_in_two_halves(tmp_path):
    write_wordnet(tmp_path)
    whole = (tmp_path / "data.noun").read_bytes()
    (tmp_path / "data.noun").unlink()
    (tmp_path / "data.noun1").write_bytes(whole[:20])
    (tmp_path / "data.noun2").write_bytes(whole[20:])
    assert WordNet(tmp_path).synonyms("bank") == ("depository",)


def test_damaged_files_are_refused(tmp_path):
    with pytest.raises(TrainingError):
        WordNet(tmp_path)
    write_wordnet(tmp_path)
    (tmp_path / "index.adv").write_text("bank r x\n")
    with pytest.raises(TrainingError, match="WordNet"):
        WordNet(tmp_path)


def test_the_packaged_wordnet():
    try:
        folder = find_wordnet()
    except TrainingError as error:
        pytest.skip(error.render())
    wordnet = WordNet(folder)
    assert wordnet.synonyms("car") == ("auto", "automobile", "machine", "motorcar")
    assert "glad" not in wordnet.synonyms("happy")  # another synset
    assert "large" in wordnet.synonyms("big")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("What is the sum?", "Tell me the sum"),
        ("Could you please count the dogs?", "Count the dogs"),
        ("where is the red dog?", "tell me where the red dog is"),
        ("Name the larger number.", "What is the larger number?"),
        ("If it rains, we stay.", "We stay if it rains."),
        ("We stay because it rains.", "Because it rains, we stay."),
        ("The dog chased a cat.", "A cat was chased by the dog."),
        ("The girl saw the small birds", "The small birds were seen by the girl"),
        ("The small birds were seen by the girl", "The girl saw the small birds"),
        ("A cat was chased by the dog.", "The dog chased a cat."),
    ],
)
def test_rewriting(before, after):
    assert RewriteSyntax(share=1.0)(before, 1.0, np.random.default_rng(0)) == after


@pytest.mark.parametrize("text", ["", "  ", "hello there", "USA", "forty two", "the dog was a cat"])
def test_other_sentences_stay(text):
    assert RewriteSyntax(share=1.0)(text, 1.0, np.random.default_rng(0)) == text


def test_the_share_of_rewritten_sentences_follows_the_strength():
    rewrite = RewriteSyntax(share=0.5)
    changed = sum(
        rewrite("what is it?", 0.5, np.random.default_rng(seed)) != "what is it?" for seed in range(400)
    )
    assert 60 < changed < 140
    assert rewrite("what is it?", 0.0, np.random.default_rng(0)) == "what is it?"
