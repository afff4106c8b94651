"""Spoken numbers from the espeak-ng speech synthesiser.

Every clip is a whole phrase ("forty two"). The voice variants of the three splits are disjoint; numbered siblings of
one variant (`Steph`, `Steph2`) stay together, since they sound alike.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import io
import re
import shutil
import subprocess
import wave
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.errors import DataError, ToolMissingError

SAMPLE_RATE = 8000
"""Of the stored clips, in Hz."""

SILENCE = 0.01
"""Amplitude below which the lead and the tail of a clip count as silence (full scale = 1)."""

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight",
    "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_TENS = (
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")

VARIANTS: Mapping[Split, tuple[str, ...]] = {
    Split.TRAIN: (
        "m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3", "f5",
        "klatt", "klatt2", "klatt3", "klatt5", "Andy", "Alicia", "Andrea", "antonio", "belinda", "benjamin",
        "boris", "david", "Denis", "Diogo", "ed", "edward", "edward2", "Gene", "Gene2", "gustave",
        "Hugo", "iven", "iven2", "iven3", "iven4", "Jacky", "Lee", "linda", "marcelo", "Marco",
        "Mario", "Michael", "michel", "Mike", "pablo", "paul", "pedro", "rob", "robert", "steph",
        "steph2", "steph3", "travis", "victor",
    ),
    Split.CALIBRATION: ("m7", "f4", "aunty", "john", "max", "miguel", "Henrique"),
    Split.TEST: ("m8", "klatt4", "Alex", "Annie", "adam", "caleb", "quincy", "shelby", "sandro", "zac"),
}  # fmt: skip
CLIPS_PER_NUMBER: Mapping[Split, int] = {Split.TRAIN: 36, Split.CALIBRATION: 1, Split.TEST: 3}


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One phrase to synthesise.

    Attributes:
        number: 0 to 99.
        voice: espeak-ng voice with variant, `en-us+m1`.
        speed: Words a minute.
        pitch: espeak-ng's scale, 0 to 99.
    """

    number: int
    voice: str
    speed: int
    pitch: int


def number_words(number: int) -> str:
    """Returns the English phrase of a number from 0 to 99."""
    if number < len(_ONES):
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f" {_ONES[ones]}" if ones else "")


def plan_utterances(split: Split, seed: int) -> list[Utterance]:
    """Draws the voices, speeds and pitches of a split; every number is said equally often."""
    rng = np.random.default_rng([seed, list(Split).index(split)])
    plan = []
    for number in range(100):
        for _ in range(CLIPS_PER_NUMBER[split]):
            voice = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS[split])}"
            plan.append(Utterance(number, voice, int(rng.integers(115, 205)), int(rng.integers(20, 80))))
    return plan


def synthesize(utterances: Sequence[Utterance], workers: int = 2) -> list[npt.NDArray[np.int16]]:
    """Speaks every utterance.

    Args:
        utterances: What to say; the result keeps their order.
        workers: espeak-ng processes at a time.

    Returns:
        Mono clips at `SAMPLE_RATE`, without silence at either end.

    Raises:
        ToolMissingError: espeak-ng is not installed.
        DataError: espeak-ng failed or spoke nothing.
    """
    program = _find_program()
    _check_variants(program, {utterance.voice.rpartition("+")[2] for utterance in utterances})
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda utterance: _speak(program, utterance), utterances))


def _find_program() -> str:
    program = shutil.which("espeak-ng")
    if program is None:
        raise ToolMissingError(
            "The speech synthesiser espeak-ng is not installed.",
            where="preparing the spoken numbers",
            remedy="apt-get install espeak-ng (Debian, Ubuntu) or brew install espeak-ng (macOS)",
        )
    return program


def _check_variants(program: str, wanted: set[str]) -> None:
    # espeak-ng falls back to its default voice without a word when a variant is unknown
    listing = subprocess.run([program, "--voices=variant"], capture_output=True, check=False).stdout.decode()
    missing = sorted(wanted - set(re.findall(r"!v/(\S+)", listing)))
    if missing:
        raise DataError(
            "The speech synthesiser lacks voice variants.",
            where="espeak-ng --voices=variant",
            received=f"without {', '.join(missing)}",
            remedy="install espeak-ng 1.51 with its complete espeak-ng-data",
        )


def _speak(program: str, utterance: Utterance) -> npt.NDArray[np.int16]:
    command = [program, "-v", utterance.voice, "-s", str(utterance.speed), "-p", str(utterance.pitch)]
    command += ["--stdout", number_words(utterance.number)]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode != 0 or len(result.stdout) <= 44:
        raise DataError(
            "espeak-ng did not speak.",
            where=" ".join(command),
            received=f"exit code {result.returncode}: {result.stderr.decode(errors='replace').strip()}",
            remedy="run the command by hand; espeak-ng 1.51 has every voice that is asked for",
        )
    return _trim(_to_sample_rate(result.stdout))


def _to_sample_rate(wav: bytes) -> npt.NDArray[np.float64]:
    from scipy.signal import resample_poly  # only where speech is made anew

    # espeak-ng streams: the header's length field is a placeholder, so everything after the header is taken
    with wave.open(io.BytesIO(wav)) as reader:
        rate = reader.getframerate()
    body = wav[44 : 44 + (len(wav) - 44) // 2 * 2]
    samples = np.frombuffer(body, "<i2").astype(np.float64) / 32768
    return np.asarray(resample_poly(samples, SAMPLE_RATE, rate))


def _trim(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    loud = np.flatnonzero(np.abs(samples) > SILENCE)
    kept = samples[loud[0] : loud[-1] + 1] if loud.size else samples
    return np.clip(np.round(kept * 32767), -32768, 32767).astype(np.int16)
