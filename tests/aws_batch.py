"""AWS Batch as moto does it, in a process of its own: its interface is a stand-in, its jobs are containers of a real engine."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.docker_engine import DockerEngine
from tests.services import accepts_connections, free_port

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_DEFAULT_REGION": REGION}
QUEUE = "steps"
MOST_CPUS = 16
BASE_IMAGE = "zenml-tests/batch:1"
"""The base image of the engine, with what a job role gives to containers of AWS."""

_START_SECONDS = 60


@contextmanager
def aws_batch(folder: Path, engine: DockerEngine) -> Iterator[str]:
    """The address of all of Amazon's services; Batch has the queue QUEUE."""
    lines = [f"FROM {engine.base_image}", *(f"ENV {name}={value}" for name, value in CREDENTIALS.items())]
    with engine.client() as client:
        client.images.build(fileobj=io.BytesIO("\n".join(lines).encode()), tag=BASE_IMAGE, rm=True)
    port = free_port()
    moto = {"DOCKER_HOST": engine.url, "MOTO_DOCKER_NETWORK_MODE": "host", "MOTO_PORT": str(port)}
    with (folder / "moto.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, **moto},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not accepts_connections(port):
            told = (folder / "moto.log").read_text
            assert time.monotonic() < deadline, told()
            assert server.poll() is None, told()
            time.sleep(0.05)
        make_queue(f"http://127.0.0.1:{port}", QUEUE)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def client(url: str, service: str) -> Any:
    import boto3

    keys = {name.lower(): CREDENTIALS[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    return boto3.client(service, endpoint_url=url, region_name=REGION, **keys)


def make_queue(url: str, name: str, kind: str = "EC2") -> None:
    """A job queue, and what it needs."""
    iam, ec2, batch = (client(url, service) for service in ("iam", "ec2", "batch"))
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=f"{name}-role")
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    instances = {"minvCpus": 0, "instanceTypes": ["m5.large"], "instanceRole": profile}
    batch.create_compute_environment(
        computeEnvironmentName=name,
        type="MANAGED",
        state="ENABLED",
        computeResources={
            "type": kind,
            "maxvCpus": MOST_CPUS,
            "subnets": [subnet["SubnetId"]],
            "securityGroupIds": [group],
            **(instances if kind == "EC2" else {}),
        },
        serviceRole=role,
    )
    batch.create_job_queue(
        jobQueueName=name,
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": name}],
    )
