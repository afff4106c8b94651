"""Prints the exact versions of everything installed beside npuc, for requirements.lock."""

from importlib.metadata import distributions

_NOT_LOCKED = {"npuc", "pip", "setuptools", "wheel"}

if __name__ == "__main__":
    print("# Tested versions; written by `make lock`.")  # noqa: T201
    found = {item.metadata["Name"].lower().replace("_", "-"): item.version for item in distributions()}
    for name, version in sorted(found.items()):
        if name not in _NOT_LOCKED:
            print(f"{name}=={version.partition('+')[0]}")  # noqa: T201
