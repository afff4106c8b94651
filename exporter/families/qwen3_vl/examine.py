"""Looks through a Qwen3-VL folder before anything is made of it; runs in a child process."""

from __future__ import annotations

from exporter.errors import SourceError
from exporter.families.qwen3_vl.config import Qwen3VLConfig, parse_config
from exporter.families.qwen3_vl.image_statistics import image_statistics
from exporter.families.qwen3_vl.stored_tensors import check_stored_tensors
from exporter.files.checkpoint_files import CheckpointFiles
from exporter.files.generation_config import end_tokens
from exporter.files.model_folder import ModelFolder
from exporter.preprocessing import template_calls, tokenizer_calls
from exporter.preprocessing.chat_template import MAX_SOURCE, QWEN_TEMPLATE, read_template, user_message
from exporter.preprocessing.text import read_tokenizer


def examine(folder: ModelFolder, checkpoint: CheckpointFiles) -> None:
    """Checks that all files are well-formed and belong together, and tries tokenizer and chat template.

    Raises:
        ExportError: They do not.
    """
    config = parse_config(folder.config, str(folder.path / "config.json"))
    image_statistics(folder)
    end_tokens(folder)
    check_stored_tensors(config, checkpoint.tensors, str(folder.path))
    _try_text(folder, config)


def _try_text(folder: ModelFolder, config: Qwen3VLConfig) -> None:
    template = read_template(folder, QWEN_TEMPLATE)
    if len(template) > MAX_SOURCE:
        raise SourceError(
            "the chat template is too long", where=str(folder.path), received=f"{len(template)} characters"
        )
    message = dict(user_message("Describe the picture.", 1))
    prompt = template_calls.render(template.encode("utf-8", "replace"), [message])
    tokenizer_calls.load(read_tokenizer(folder))
    ids = tokenizer_calls.encode(prompt, special=False)
    highest = tokenizer_calls.highest_id(b"")
    if not ids or highest >= config.text.vocab_size:
        raise SourceError(
            "the tokenizer does not belong to the model",
            where=str(folder.path / "tokenizer.json"),
            received=f"token {highest}, config.json has {config.text.vocab_size} tokens",
            remedy="download the folder again",
        )
    tokenizer_calls.decode(b"", ids)
