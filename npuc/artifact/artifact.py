"""An artifact on disk: opened, checked, executed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from exporter.families.registry import FAMILIES
from npuc.artifact.manifest import ComponentRecord, Manifest, SegmentRecord, TensorRecord, read_manifest
from npuc.artifact.open_segment import open_segment
from npuc.artifact.paths import MANIFEST_NAME, MODEL_FOLDER
from npuc.artifact.power import FULL, PowerSchedule
from npuc.artifact.power_switch import PowerSwitch
from npuc.artifact.requests import make_request
from npuc.artifact.weights_file import WEIGHTS_NAME
from npuc.caching.cache import file_sha256
from npuc.compare.source.graph_precision import casting_executor
from npuc.errors import ArtifactError
from program.program import CACHE_PREFIX, Answer, Executor, Request, Runner
from program.shorten import shorten
from targets.placing.chain import ChainExecutor, ChainPart


class Artifact:
    """A folder written by `npuc compile`.

    Args:
        folder: The artifact's folder.

    Raises:
        ArtifactError: It is not an artifact, is damaged, or was made by another version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)

    @property
    def weights(self) -> Path:
        """The one file with every large tensor."""
        return self.folder / MODEL_FOLDER / WEIGHTS_NAME

    def check_files(self) -> int:
        """Compares every file with its checksum.

        Returns:
            Bytes read.

        Raises:
            ArtifactError: A file is missing, was changed, or is not in the manifest.
        """
        expected = self.manifest.files
        present = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        for name in sorted((present ^ expected.keys()) - {MANIFEST_NAME}):
            state = "missing" if name in expected else "not part of the artifact"
            raise ArtifactError(
                f"file {state}: {name}", where=str(self.folder), remedy="compile the model again"
            )
        self.require_own_files()  # before a link is followed
        for name, record in sorted(expected.items()):
            if file_sha256(self.folder / name) != record.sha256:
                raise ArtifactError(
                    f"file was changed after it was written: {name}",
                    where=str(self.folder / name),
                    received="its SHA-256 differs from the manifest's",
                    remedy="compile the model again",
                )
        return sum(record.bytes for record in expected.values())

    def require_own_files(self) -> None:
        """Checks that whatever is opened lies in the artifact, and is a file.

        Raises:
            ArtifactError: A path leads through a link, to no regular file, or to none of the manifest's files.
        """
        for name in sorted({*self.manifest.files, *self._opened_files()}):
            path = self.folder / name
            inner = PurePosixPath(name)
            steps = [self.folder / step for step in (inner, *inner.parents[:-1])]
            if name not in self.manifest.files or any(map(Path.is_symlink, steps)) or not path.is_file():
                raise ArtifactError(
                    f"not a file of the artifact: {name}",
                    where=str(self.folder),
                    received="missing, a link, no regular file, or not listed in the manifest",
                    remedy="compile the model again",
                )

    def _opened_files(self) -> Iterator[str]:
        yield from self.manifest.assets
        for component in self.manifest.components:
            yield component.reference
            for segment in component.segments:
                yield segment.reference
                yield from filter(None, (segment.weights, segment.executable))

    def runner(self, power: str | PowerSchedule = FULL) -> Runner:
        """Returns the loop that drives the components for a request.

        Args:
            power: As `executors` was given it: a sub-network may have a smaller KV cache.
        """
        manifest = self.manifest
        if manifest.family not in FAMILIES:
            raise ArtifactError(
                "the artifact's model family is unknown to this npuc",
                where=str(self.folder),
                received=manifest.family,
                remedy=f"install npuc {manifest.npuc_version}",
            )
        assets = {Path(name).name: (self.folder / name).read_bytes() for name in manifest.assets}
        signatures = {
            name: tuple(record.spec() for record in component.inputs)
            for name, component in self.components(_schedule(power).names[0]).items()
        }
        try:
            return FAMILIES[manifest.family].runner(manifest.settings, assets, signatures)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(
                "the artifact's settings do not fit its model",
                where=str(self.folder / MANIFEST_NAME),
                received=shorten(error),
                remedy="compile the model again",
            ) from error

    def reference(self, component: ComponentRecord) -> Executor:
        """Opens the reference graph of a component in ONNX Runtime; takes the binary's element types as well."""
        return casting_executor(self.folder / component.reference)

    def components(self, subnetwork: str = FULL) -> dict[str, ComponentRecord]:
        """Returns what computes each component of the program in one of its sub-networks.

        Args:
            subnetwork: Its name.

        Returns:
            Component of the full program → record.
        """
        records = {component.name: component for component in self.manifest.components}
        narrowed = {name for network in self.manifest.subnetworks for name in network.components.values()}
        chosen = next((n for n in self.manifest.subnetworks if n.name == subnetwork), None)
        names = chosen.components if chosen is not None else {}
        if not narrowed <= records.keys():
            raise ArtifactError(
                "a sub-network names a component that is not there",
                where=str(self.folder / MANIFEST_NAME),
                received=", ".join(sorted(narrowed - records.keys()))[:200],
                remedy="compile the model again",
            )
        return {name: records[names.get(name, name)] for name in records if name not in narrowed}

    @contextlib.contextmanager
    def executors(
        self, *, reference: bool = False, power: str | PowerSchedule = FULL
    ) -> Iterator[dict[str, Executor]]:
        """Opens every component: its binaries in emulation, or its reference graph.

        Args:
            reference: Use the reference graphs.
            power: Sub-network, or a schedule of several (`full:4,low_power`) that change between two tokens. All
                are opened now, once each.

        Raises:
            ArtifactError: A component has no binary that can be executed here.
            UsageError: There is no such sub-network, or a switch would lose the KV cache.
        """
        self.require_own_files()
        schedule = _schedule(power)
        schedule.check([network.name for network in self.manifest.subnetworks])
        schedule.check_caches({name: self._cache(name) for name in schedule.names})
        with contextlib.ExitStack() as stack:
            opened: dict[str, Executor] = {}
            networks: dict[str, dict[str, Executor]] = {}
            for subnetwork in schedule.names:
                networks[subnetwork] = {}
                for name, component in self.components(subnetwork).items():
                    if component.name not in opened:
                        opened[component.name] = self._open(component, reference, stack)
                    networks[subnetwork][name] = opened[component.name]
            roles = {name: component.role for name, component in self.components().items()}
            yield PowerSwitch(networks, roles, schedule).executors

    def _cache(self, subnetwork: str) -> set[TensorRecord]:
        components = self.components(subnetwork).values()
        return {
            tensor
            for component in components
            for tensor in component.inputs
            if tensor.name.startswith(CACHE_PREFIX)
        }

    def _open(self, component: ComponentRecord, reference: bool, stack: contextlib.ExitStack) -> Executor:
        if reference:
            return self.reference(component)
        parts = [
            ChainPart(
                stack.enter_context(self.emulated(segment)), tuple(record.name for record in segment.inputs)
            )
            for segment in component.segments
        ]
        return ChainExecutor(parts, [record.name for record in component.outputs])

    def emulated(self, segment: SegmentRecord) -> contextlib.AbstractContextManager[Executor]:
        """Opens the binary of a segment under its emulator.

        Raises:
            ArtifactError: It cannot be executed here, or was made for another version of the vendor's tool.
            ToolError: The emulator is not installed.
        """
        return open_segment(self.folder, self.manifest.device.target, segment)

    def run(
        self,
        *,
        prompt: str = "",
        image: str | Path | None = None,
        audio: str | Path | None = None,
        tensors: Mapping[str, Path] | None = None,
        max_new_tokens: int = 32,
        reference: bool = False,
        power: str | PowerSchedule = FULL,
    ) -> Answer:
        """Runs the model on one request, in emulation.

        Args:
            prompt: The question.
            image: Path of a picture.
            audio: Path of a WAV file.
            tensors: Raw inputs (`.npy` files) by name, for models without preprocessing.
            max_new_tokens: Upper limit of generated tokens.
            reference: Run the reference graphs instead of the binaries.
            power: Sub-network, or a schedule of several: `full:4,low_power`.

        Returns:
            The answer, greedily decoded.
        """
        request = make_request(prompt=prompt, image=image, audio=audio, tensors=tensors)
        return self.answer(request, max_new_tokens, reference=reference, power=power)

    def answer(
        self,
        request: Request,
        max_new_tokens: int,
        *,
        reference: bool = False,
        power: str | PowerSchedule = FULL,
    ) -> Answer:
        """Runs a prepared request."""
        with self.executors(reference=reference, power=power) as executors:
            return self.runner(power).generate(executors, request, max_new_tokens)


def _schedule(power: str | PowerSchedule) -> PowerSchedule:
    return PowerSchedule.parse(power) if isinstance(power, str) else power
