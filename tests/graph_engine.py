"""A small engine that takes whole graphs: each node is a process of this machine, started when those that it waits for have ended well."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

from zenml.enums import Reach
from zenml.jobs import JobState, JobStatus
from zenml.model.deployment import Deployment
from zenml.orchestrators import BaseOrchestrator, Exporter, Graph

ROOT = Path(__file__).parents[1]


class GraphOrchestrator(BaseOrchestrator):
    FLAVOR: ClassVar[str] = "graph"
    imports_steps: ClassVar[bool] = True

    synchronous: bool = True
    graphs: ClassVar[list[Graph]] = []
    engines: ClassVar[list["Engine"]] = []

    @property
    def spread(self) -> Reach:
        return Reach.HOST

    def exporter(self, deployment: Deployment) -> Exporter:
        return _GraphExporter(is_synchronous=self.synchronous)


class _GraphExporter(Exporter):
    def __init__(self, *, is_synchronous: bool) -> None:
        self.is_synchronous = is_synchronous

    def submit(self, graph: Graph) -> None:
        GraphOrchestrator.graphs.append(graph)
        self._engine = Engine(graph, with_end=not self.is_synchronous)
        GraphOrchestrator.engines.append(self._engine)

    def status(self) -> JobStatus:
        if self._engine.is_alive():
            return JobStatus(JobState.RUNNING)
        return JobStatus(JobState.FAILED if self._engine.failed else JobState.SUCCEEDED)

    def cancel(self) -> None:
        self._engine.is_cancelled = True


class Engine(threading.Thread):
    def __init__(self, graph: Graph, *, with_end: bool) -> None:
        super().__init__(daemon=True)
        self.graph = graph
        self.failed: set[str] = set()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.is_cancelled = False
        self._with_end = with_end
        self.start()

    def run(self) -> None:
        waiting = {node.step.name: node for node in self.graph.nodes}
        ended: set[str] = set()
        while waiting or self.processes:
            for name, node in list(waiting.items()):
                if self.is_cancelled or self.failed & set(node.upstream):
                    self.failed.add(name)
                    del waiting[name]
                elif ended >= set(node.upstream):
                    self.processes[name] = self._start(*node.arguments)
                    del waiting[name]
            for name, process in list(self.processes.items()):
                try:
                    code = process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
                (self.failed if code else ended).add(name)
                del self.processes[name]
        if self._with_end:
            self._start("--end").wait()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            [sys.executable, *self.graph.arguments, *arguments], env={**os.environ, "PYTHONPATH": path}
        )
