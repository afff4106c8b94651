"""Copies of a program to rewrite in several ways."""

from __future__ import annotations

import dataclasses

from program.program import Component, Program


def clone(program: Program) -> Program:
    """Returns the program with graphs of its own, which share the weights."""
    components = {
        name: Component(name, part.role, part.modality, part.model.clone())
        for name, part in program.components.items()
    }
    return dataclasses.replace(program, components=components)
