"""The shape every user-facing error of npuc has."""

from __future__ import annotations

from program.model_names import one_line, visible


class DiagnosticError(Exception):
    """An error a user can act on: what happened, where, what was received, what to do next.

    Each folder derives its own base class; the command line prints the parts and exits with `exit_code`.

    Args:
        what: One sentence that states the fault.
        where: Component, node, tensor or file the fault was seen at.
        received: The offending value, as the user would recognise it.
        remedy: The next thing the user should do.
    """

    exit_code = 70

    def __init__(self, what: str, *, where: str = "", received: str = "", remedy: str = "") -> None:
        self.what = visible(what)
        self.where = one_line(where)
        self.received = _indented(received)
        self.remedy = _indented(remedy)
        super().__init__(self.render())

    def render(self) -> str:
        """Returns the parts as lines, leaving out the empty ones."""
        lines = [self.what]
        lines += [f"  where:    {self.where}"] if self.where else []
        lines += [f"  received: {self.received}"] if self.received else []
        lines += [f"  next:     {self.remedy}"] if self.remedy else []
        return "\n".join(lines)


def _indented(text: str) -> str:
    """Further lines stay apart from the parts of the message, which a name with a line break might imitate."""
    return visible(text).replace("\n", "\n    ")


class GraphExecutionError(DiagnosticError):
    """The reference cannot execute a graph, or not on these inputs (exit code 3)."""

    exit_code = 3
