"""Writes a small Qwen3-VL folder with random weights to try npuc on: `python -m examples.tiny_qwen3_vl FOLDER`."""

from tests.tiny_qwen3_vl import main

if __name__ == "__main__":
    main()
