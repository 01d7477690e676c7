"""What of a project goes into an image."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

import pytest

from zenml.exceptions import ConfigurationError, UnreadableFileError
from zenml.images.context import context_of

FILES = (
    "run.py",
    "a.txt",
    "b.log",
    "docs/a.txt",
    "docs/b.log",
    "docs/deep/c.log",
    "docs/deep/keep.log",
    "build/out.bin",
    "src/build/x.py",
    "src/[odd]/y.py",
    "data/1.csv",
    "data/2.csv",
    "data/raw/3.csv",
    "logs/today/debug",
    "foo bar",
    "#hash",
    "!bang",
    "src/main.PY",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def names(root: Path, **options) -> list[str]:
    return [file.name for file in context_of(root, **options).files]


GITIGNORES = {
    "names": "*.log\nbuild\n",
    "folders alone": "build/\nrun.py/\n",
    "anchored": "/build\n/docs/*.log\n",
    "a slash inside": "docs/deep\ndata/*.csv\n",
    "taken back": "*.log\n!keep.log\n",
    "below a folder that is out": "docs/deep/\n!docs/deep/keep.log\n",
    "any folders": "**/deep\ndata/**\nlogs/**/debug\n",
    "all but": "/*\n!/src\n/src/*\n!/src/build\n",
    "characters": "[ab].txt\ndata/[!1].csv\nsrc/\\[odd\\]\n?.log\n",
    "escapes": "\\#hash\n\\!bang\nfoo\\ bar\n# a comment\n\n",
    "spaces at the end": "a.txt   \nrun.py\\ \n",
    "double star in a name": "do**s/a.txt\n",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in GITIGNORES.items()])
def test_gitignore_means_what_it_means_to_git(tree: Path, text: str):
    (tree / ".gitignore").write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tree, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "-z"],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    )
    assert names(tree) == sorted(listed.stdout.rstrip("\0").split("\0"))


def test_every_folder_has_its_own_gitignore(tree: Path):
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "docs" / ".gitignore").write_text("!b.log\n/a.txt\ndeep/*.log\n")
    (tree / "src" / ".zenignore").write_text("build\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tree, check=True)
    found = names(tree)
    assert "docs/b.log" in found
    assert "a.txt" in found
    assert not {"docs/a.txt", "b.log", "docs/deep/c.log", "src/build/x.py"} & set(found)


DOCKERIGNORES = {
    "names": "*.log\nbuild\n",
    "folders": "docs/\ndata\n",
    "anchored": "/build\ndocs/*.log\n",
    "any folders": "**/*.log\n**/deep\n",
    "taken back": "docs\n!docs/deep/keep.log\n",
    "all but": "*\n!src\nsrc/build\n",
    "the last one decides": "!run.py\nrun.py\n",
    "characters": "[ab].txt\ndata/[2-9].csv\n?.log\n",
    "comments": "# run.py\n\n  a.txt  \n",
    "dots": "./docs/../data\n",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in DOCKERIGNORES.items()])
def test_dockerignore_means_what_it_means_to_docker(tree: Path, text: str):
    from docker.utils.build import exclude_paths

    (tree / ".dockerignore").write_text(text)
    (tree / ".gitignore").write_text("*")  # another file counts
    patterns = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    sent = exclude_paths(str(tree), patterns)
    expected = {name for name in sent if (tree / name).is_file()}
    # The library sends these always, for the engine, which then leaves them out again.
    assert set(names(tree)) - {".dockerignore", "Dockerfile"} == expected - {".dockerignore", "Dockerfile"}


def test_a_rule_that_is_none(tree: Path):
    (tree / ".gitignore").write_text("file[9-1]\n")
    with pytest.raises(
        ConfigurationError, match=r"The rule 'file\[9-1\]' of an ignore file is none: bad character range 9-1"
    ):
        names(tree)


def test_a_pipeline_has_its_own_file(tree: Path):
    (tree / ".dockerignore").write_text("*\n")
    (tree / "small.dockerignore").write_text("*\n!run.py\n")
    assert names(tree, dockerignore_file="small.dockerignore") == ["run.py"]
    with pytest.raises(UnreadableFileError, match="none.dockerignore' cannot be read: "):
        names(tree, dockerignore_file="none.dockerignore")


def test_what_never_goes_in(tree: Path, caplog: pytest.LogCaptureFixture):
    (tree / ".dockerignore").write_text("!**\n")
    (tree / "environment").mkdir()
    (tree / "environment" / "pyvenv.cfg").touch()
    (tree / "environment" / "module.py").touch()
    (tree / ".zen").mkdir()
    (tree / ".zen" / "config.yaml").touch()
    (tree / "outside").symlink_to("/etc/passwd")
    (tree / "inside").symlink_to(tree / "docs" / "a.txt")
    with caplog.at_level(logging.WARNING, logger="zenml"):
        found = {file.name: file for file in context_of(tree, never=[str(tree / "data")]).files}
    assert set(FILES) - set(found) == {"data/1.csv", "data/2.csv", "data/raw/3.csv"}
    assert set(found) - set(FILES) == {".dockerignore", "inside"}
    assert found["inside"].target == "docs/a.txt"
    assert "The link outside leads out of the project, and is not in the image." in caplog.messages


@pytest.mark.parametrize("file", [".env", "deploy/id_rsa", "tls/server.pem", ".aws/credentials"])
def test_what_looks_like_a_secret(tree: Path, file: str, caplog: pytest.LogCaptureFixture):
    (tree / file).parent.mkdir(exist_ok=True)
    (tree / file).write_text("secret")
    with caplog.at_level(logging.WARNING, logger="zenml"):
        assert file not in names(tree)
    shown = file if file != ".aws/credentials" else ".aws/"
    assert (
        f"they look like secrets: {shown}. Where one is none, `!{shown}` in .dockerignore takes it in."
        in caplog.text
    )
    (tree / ".dockerignore").write_text(f"!{shown}\n")
    assert file in names(tree)


def test_the_digest_is_that_of_names_rights_and_contents(tree: Path, tmp_path: Path):
    first = context_of(tree).digest
    os.utime(tree / "run.py", (1, 1))
    assert context_of(tree).digest == first
    (tree / "run.py").chmod(0o755)
    executable = context_of(tree).digest
    assert executable != first
    (tree / "run.py").write_text("RUN.py")
    other = context_of(tree).digest
    assert len({first, executable, other}) == 3
    tree.rename(tmp_path / "elsewhere")
    assert context_of(tmp_path / "elsewhere").digest == other


def test_a_file_is_read_again_only_when_it_has_changed(
    tree: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    read: list[str] = []
    from zenml.images import context

    digest = context._digest
    monkeypatch.setattr(context, "_digest", lambda file: read.append(file.name) or digest(file))
    monkeypatch.setattr(context, "_UNSETTLED_NS", -1_000_000_000)  # these files are settled
    first = context_of(tree).digest
    assert len(read) == len(FILES)
    read.clear()
    assert context_of(tree).digest == first
    assert read == []
    (tree / "a.txt").write_text("another")
    assert context_of(tree).digest != first
    assert read == ["a.txt"]
    for cache in home.rglob("images/*.json"):
        cache.write_text("damaged")
    read.clear()
    context_of(tree)
    assert len(read) == len(FILES)


def test_a_file_that_was_changed_just_now_is_not_trusted(tree: Path, home: Path):
    context_of(tree)
    assert list(home.rglob("images/*.json")) == []


def test_the_home_is_no_project(home: Path):
    with pytest.raises(ConfigurationError) as caught:
        context_of(home)
    assert str(caught.value) == (
        f"The whole folder {str(home)!r} would go into an image, since the program lies there. Put it into a folder of its own, "
        "or run `zenml init` in the one that holds the project."
    )


def test_a_large_project_is_told(tree: Path, caplog: pytest.LogCaptureFixture):
    with (tree / "large.bin").open("wb") as file:
        file.truncate(60 * 1024**2)
    with caplog.at_level(logging.WARNING, logger="zenml"):
        context_of(tree)
    assert (
        f"The image takes 60 MiB from {tree}: leave out what steps do not need, by .dockerignore."
        in caplog.messages
    )


def test_a_folder_that_cannot_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch):
    scandir = os.scandir

    def refused(path: str):
        if path.endswith("docs/"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UnreadableFileError, match="Permission denied. Leave it out by .dockerignore."):
        context_of(tree)
