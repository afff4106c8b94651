"""Cross compiler and linker: the clang and lld in pip's `ziglang`, so that no machine needs a cross toolchain."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from targets.errors import ToolError

_TIME_LIMIT_S = 300
_COMMON_FLAGS = (
    "-O2",
    "-g0",
    "-std=c11",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-sanitize=all",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-Wall",
    "-Wextra",
    "-Werror",
)
_ZIG_TARGETS = {"arm64-apple-ios": "aarch64-ios", "arm64-apple-macosx": "aarch64-macos"}


def zig_target(triple: str) -> str:
    """Zig's name of an LLVM triple."""
    base = triple.rstrip("0123456789.")
    return _ZIG_TARGETS.get(base, triple.replace("-unknown-", "-").replace("-android", "-musl"))


def compile_object(triple: str, source: str, output: str, folder: Path, flags: Sequence[str] = ()) -> None:
    """Compiles one C file of `folder`, freestanding.

    Args:
        triple: LLVM triple.
        source: Name of the C file.
        output: Name of the object file.
        folder: Where both are.
        flags: More compiler flags, such as the processor.

    Raises:
        ToolError: The compiler is missing or refuses the file; the message holds its command and diagnostics.
    """
    _zig(
        ["cc", "-target", zig_target(triple), *_COMMON_FLAGS, *flags, "-I.", "-c", source, "-o", output],
        folder,
    )


def link_static(
    triple: str,
    objects: Sequence[str],
    output: str,
    folder: Path,
    flags: Sequence[str] = (),
    *,
    strip: bool = True,
) -> None:
    """Links a static ELF without libc and build id; equal objects give equal bytes.

    Args:
        triple: LLVM triple.
        objects: Names of the object files.
        output: Name of the program.
        folder: Where all are.
        flags: More flags, such as the processor.
        strip: Leave out the symbols.

    Raises:
        ToolError: The linker is missing or fails.
    """
    static = ["-nostdlib", "-static", "-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-e,_start"]
    static += ["-s"] if strip else []
    _zig(["cc", "-target", zig_target(triple), "-g0", *static, *flags, *objects, "-o", output], folder)


def archive(objects: Sequence[str], output: str, folder: Path) -> None:
    """Writes a static library with zero time stamps and owners.

    Raises:
        ToolError: The archiver is missing or fails.
    """
    (folder / output).unlink(missing_ok=True)
    _zig(["ar", "rcsD", output, *objects], folder)


def _zig(arguments: Sequence[str], folder: Path) -> None:
    package = importlib.util.find_spec("ziglang")
    if package is None or package.origin is None:
        raise ToolError(
            "the cross compiler is missing",
            where="ziglang",
            remedy="install it: pip install 'ziglang>=0.17.1'",
        )
    # not by `python -m ziglang`, which takes as long to start as zig takes to compile a small file
    command = [str(Path(package.origin).parent / "zig"), *arguments]
    try:
        # relative names only: absolute ones would get into the output
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"the cross compiler took more than {_TIME_LIMIT_S} s",
            where=" ".join(command),
            remedy="run it again on an idle machine",
        ) from error
    if done.returncode != 0:
        raise ToolError(
            f"the cross compiler failed with exit status {done.returncode}",
            where=f"cd {folder} && {' '.join(command)}",
            received=done.stderr.strip()[-2000:],
            remedy="run the command above by hand; check free disk space and the ziglang version",
        )


def _environment() -> dict[str, str]:
    """The caller's environment with zig's caches in the user's cache folder."""
    cache = platformdirs.user_cache_path("npuc") / "zig"
    defaults = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    return {**defaults, **os.environ, "SOURCE_DATE_EPOCH": "0"}
