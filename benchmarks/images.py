"""What a run pays to find that its image is unchanged, beside the least that could be done by hand: digest every file, ask the registry."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from benchmarks.measuring import interleaved, report

FILES = 2_000
ROUNDS = 9
AIM = 0.3


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """HOST:PORT of a registry with nothing in it."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": address},
    }
    (folder / "settings.json").write_text(json.dumps(settings))  # JSON is YAML
    process = subprocess.Popen(
        ["docker-registry", "serve", str(folder / "settings.json")], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            try:
                ask(f"http://{address}/v2/")
                break
            except URLError:
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def ask(url: str, method: str = "GET", data: bytes | None = None, kind: str = "") -> str:
    """The Location that the registry answers with."""
    headers = {"Content-Type": kind} if kind else {}
    with urlopen(Request(url, data=data, method=method, headers=headers)) as answer:  # noqa: S310 - our own
        return answer.headers["Location"] or ""


def put(image: str) -> None:
    """Let the registry know an image that consists of its name: whoever asks whether it is there sees no difference."""
    address, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    base = f"http://{address}/v2/{repository}"
    config = b"{}"
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    place = ask(f"{base}/blobs/uploads/", "POST", b"")
    ask(f"{place}{'&' if '?' in place else '?'}digest={digest}", "PUT", config, "application/octet-stream")
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    about = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": len(config),
        "digest": digest,
    }
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": about, "layers": []}
    ask(f"{base}/manifests/{tag}", "PUT", json.dumps(manifest).encode(), kind)


def by_hand(folder: Path, address: str) -> None:
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    try:
        ask(f"http://{address}/v2/zenml/manifests/{whole.hexdigest()[:32]}", "HEAD")
    except HTTPError as error:
        error.close()


def measure(folder: Path, address: str) -> None:
    from zenml.container_registries import DefaultContainerRegistry
    from zenml.image_builders import ImageBuilder
    from zenml.images import build
    from zenml.orchestrators import LocalOrchestrator
    from zenml.pipelines import pipeline
    from zenml.pipelines.running import compile_for
    from zenml.steps import step
    from zenml.testing import isolated_stack

    class Contained(LocalOrchestrator):
        FLAVOR: ClassVar[str] = "contained"
        uses_image: ClassVar[bool] = True

    class Naming(ImageBuilder):
        """Builds nothing: how long that takes is not the question."""

        def build(self, image: str, context: Path, *, network: str | None = None) -> None:
            put(image)

        def push(self, image: str) -> None:
            """It is there."""

    @step
    def one() -> int:
        return 1

    @pipeline
    def little() -> None:
        one()

    Naming.NAME = "docker"
    build.find_builder = lambda *_: Naming()  # type: ignore[assignment]
    components = {
        "orchestrator": Contained(name="contained"),
        "container_registry": DefaultContainerRegistry(name="registry", uri=address),
    }
    with isolated_stack(folder, **components) as stack:
        project = folder / "project"
        for number in range(FILES):
            file = project / f"package_{number % 50}" / f"module_{number}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"VALUE = {number}\n" * 100)
        (project / ".gitignore").write_text("data/\n*.log\nbuild/\n.cache\n")
        time.sleep(2.1)  # what was changed just now is read again: see zenml.images.context
        compiled = compile_for(
            little(), stack, run_name="run", enable_cache=False, verify="present", options={}
        )

        def unchanged() -> None:
            build.build_images(compiled.deployment, stack)

        began = time.perf_counter()
        unchanged()
        first = time.perf_counter() - began
        times = interleaved(
            {
                f"by hand: digest {FILES} files, ask the registry": lambda: by_hand(project, address),
                "an image found unchanged": unchanged,
            },
            rounds=ROUNDS,
        )
    report("Images", times, against=next(iter(times)))
    print(f"  the first look, which reads every file: {first:.2f} s (with a build of nothing)")
    slowest = times["an image found unchanged"]
    print(f"  a run of an unchanged image waits {slowest:.3f} s for that (aim: less than {AIM:g} s)")


def main() -> None:
    """Print milliseconds, and their ratio."""
    if shutil.which("docker-registry") is None:
        print("\nImages: not measured, there is no program 'docker-registry'")
        return
    logging.getLogger("zenml").addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        with registry(folder / "registry") as address:
            measure(folder, address)
