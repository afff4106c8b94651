import pytest

from npuc.terminal.terminal import printable


@pytest.mark.parametrize("attack", ["\x1b[2J", "\x1b]0;owned\x07", "\r", "\x9b31m", "\u202e", "\x00"])
def test_control_characters_are_dropped(attack):
    assert not set(printable(f"a{attack}b")) & set("\x1b\x07\r\x9b\u202e\x00")


def test_text_of_any_language_stays():
    text = "Grüße 你好 🎉\n\tna\u0308ive"
    assert printable(text) == text
