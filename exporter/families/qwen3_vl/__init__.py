"""Qwen3-VL: a vision encoder with deepstack, and a decoder with interleaved multimodal rotary positions."""
