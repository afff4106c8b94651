"""What tells one set of the user's training data from another."""

from __future__ import annotations

from pathlib import Path

from npuc.caching.cache import content_key, file_sha256
from npuc.errors import RecipeError
from npuc.settings.recipe import Recipe
from passes.learning.training.data.manifest import Manifest


def training_data_digests(recipe: Recipe) -> list[str]:
    """Hashes the data of every section that trains; empty text for a section without data.

    Raises:
        RecipeError: There is no such file or folder.
        TrainingError: A manifest is not usable.
    """
    sections = (recipe.distill, recipe.prune, recipe.qat)
    return [
        ""
        if section is None or section.data is None
        else data_digest(section.data, section is recipe.distill)
        for section in sections
    ]


def data_digest(data: str, may_be_folder: bool = False) -> str:
    """Hashes a manifest and every file it lists, or all files of a folder.

    Args:
        data: As the user named it.
        may_be_folder: Whether a family may have training data of another form than a manifest.

    Raises:
        RecipeError: There is no such file or folder.
        TrainingError: The manifest is not usable.
    """
    path = Path(data).expanduser()
    if not path.exists():
        raise RecipeError(
            "the training data does not exist",
            received=data,
            remedy="name a manifest (JSON Lines) or a folder; relative paths start at the current folder",
        )
    if may_be_folder and path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
    else:
        manifest = Manifest(path)
        listed = {file for sample in manifest for file in (sample.image, sample.audio) if file is not None}
        files = [path, *listed]
    return content_key(*(file_sha256(file) for file in sorted(files)))
