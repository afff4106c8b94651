from pathlib import Path

from passes.learning.training.data.pair_by_label import PairByLabel
from passes.learning.training.data.sample import Sample

SAMPLES = [
    Sample(image=Path("cat1.png"), label="cat"),
    Sample(image=Path("cat2.png"), label="cat"),
    Sample(audio=Path("cat1.wav"), label="cat"),
    Sample(audio=Path("cat2.wav"), label="cat"),
    Sample(image=Path("dog.png"), label="dog"),
    Sample(text="no label"),
]


def test_an_entry_gets_what_it_lacks_from_its_class():
    paired = PairByLabel(SAMPLES, seed=3)
    assert len(paired) == len(SAMPLES)
    for index in range(4):
        assert paired[index].image.name.startswith("cat") and paired[index].audio.name.startswith("cat")
        assert paired[index].text is None
    assert paired[0].image == SAMPLES[0].image
    assert paired[4] == SAMPLES[4] and paired[-1] == SAMPLES[5]


def test_the_choice_depends_on_seed_and_index():
    def choices(seed):
        return [PairByLabel(SAMPLES, seed)[index].audio for index in (0, 1)]

    assert choices(3) == choices(3)
    assert len({tuple(choices(seed)) for seed in range(12)}) > 1
