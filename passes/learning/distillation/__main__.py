"""`python -m passes.learning.distillation`: distils a model folder; under `torchrun`, in several processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import get_args

import click

from exporter.options import CaptureOptions
from passes.learning.distillation.objective import LossWeights
from passes.learning.distillation.options import Criterion, DistillOptions
from passes.learning.distillation.run import distill
from passes.learning.training.distributed import joined_processes
from passes.learning.training.loss_curve import LossPoint
from passes.learning.training.options import Precision, TrainingOptions
from program.errors import DiagnosticError

_REPORT_EVERY = 10


@click.command()
@click.argument("teacher", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The student's folder.")
@click.option("--params", default="25%", show_default=True, help="Size: 1.0B, 300M or 25%.")
@click.option("--largest-share", default=0.25, show_default=True, help="Of the teacher's parameters.")
@click.option("--vision-share", type=float, help="Of the student's parameters; default: the teacher's.")
@click.option(
    "--criterion",
    type=click.Choice(get_args(Criterion)),
    default=DistillOptions.criterion,
    show_default=True,
    help="What the first weights are chosen by.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Manifest; default: what the folder brings along."
)
@click.option("--steps", default=1000, show_default=True)
@click.option(
    "--batch-size", default=16, show_default=True, help="Examples a step, in all processes together."
)
@click.option("--learning-rate", default=0.0, help="Highest; default: the family's.")
@click.option("--temperature", default=2.0, show_default=True)
@click.option("--attention-weight", default=0.0, show_default=True, help="Of the loss of attention maps.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16", "float16"]), default="float32")
@click.option("--teacher-cache", type=click.Path(path_type=Path), help="Keep the teacher's outputs here.")
@click.option("--top-logits", default=0, help="Logits of each token that are kept; 0: all.")
@click.option(
    "--checkpoints", type=click.Path(path_type=Path), help="A run goes on from the newest one here."
)
@click.option("--checkpoint-every", default=100, show_default=True)
@click.option("--image-size", nargs=2, type=int, default=(512, 512), show_default=True, help="Height, width.")
@click.option("--cache-length", default=1024, show_default=True, help="Longest sequence, in tokens.")
@click.option("--seed", default=0, show_default=True)
def main(
    teacher: Path,
    output: Path,
    params: str,
    largest_share: float,
    vision_share: float | None,
    criterion: Criterion,
    data: Path | None,
    steps: int,
    batch_size: int,
    learning_rate: float,
    temperature: float,
    attention_weight: float,
    precision: Precision,
    teacher_cache: Path | None,
    top_logits: int,
    checkpoints: Path | None,
    checkpoint_every: int,
    image_size: tuple[int, int],
    cache_length: int,
    seed: int,
) -> None:
    """Distils a student from the model folder TEACHER and writes it as a model folder."""
    training = TrainingOptions(
        steps=steps,
        learning_rate=learning_rate,
        warmup_steps=steps // 20,
        precision=precision,
        seed=seed,
        checkpoints=checkpoints,
        checkpoint_every=checkpoint_every,
    )
    options = DistillOptions(
        training=training,
        params=params,
        largest_share=largest_share,
        vision_share=vision_share,
        criterion=criterion,
        weights=LossWeights(attention=attention_weight),
        temperature=temperature,
        data=data,
        batch_size=batch_size,
        cache=teacher_cache,
        top_logits=top_logits,
        shapes=CaptureOptions(image_size=image_size, cache_length=cache_length),
    )
    with joined_processes() as processes:
        record = distill(teacher, output, options, _report)
        if processes.is_main:
            click.echo(
                json.dumps(
                    {key: record[key] for key in ("student", "loss", "agreement_with_teacher")}, indent=1
                )
            )


def _report(point: LossPoint) -> None:
    if point.step % _REPORT_EVERY == 0:
        terms = "  ".join(f"{name} {value:.4f}" for name, value in point.terms.items())
        click.echo(f"step {point.step:6d}  loss {point.loss:.4f}  {terms}")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except DiagnosticError as error:
        click.echo(error.render(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
