"""Options that several commands have."""

from __future__ import annotations

import click

input_shape_option = click.option(
    "--input-shape",
    "input_shapes",
    multiple=True,
    metavar="NAME=SIZE,…",
    help="Shape of an input that an .onnx file leaves open, such as picture=1,3,224,224; repeatable.",
)
"""Read by `npuc.settings.input_shapes.parse_input_shapes`."""

memory_limit_option = click.option(
    "--memory-limit",
    metavar="SIZE",
    help="Memory that each process may allocate, such as 8G; default: what the machine has free.",
)
"""Read by `npuc.machine.memory_limit.memory_bound`."""
