"""The jars of a Flink cluster that runs Beam pipelines: `python docker/flink/install.py HOME`, once.

Beam's Flink runner comes from Maven Central as pom.xml says, Flink itself from PyPI (apache-flink-libraries).
HOME then holds them and three jars to run with `java -jar`: jobmanager, taskmanager and job-server.
Needs Java 17, `mvn`, and a Python with pip and setuptools. What stands already is not fetched again.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
FLINK = "apache-flink-libraries==1.19.0"
"""Of the very version that the runner in pom.xml was built with."""

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies"
BEAM = "gradle/wrapper"
"""The folder of Beam's jars. The job server sends each of its jars along with each job, but for those in such a folder.

The cluster has them already, and must: classes that come with a job could not keep its workers from stage to stage.
"""

RUNTIME = "org.apache.flink.runtime"
MAINS = {
    "jobmanager.jar": (("flink", BEAM), f"{RUNTIME}.entrypoint.StandaloneSessionClusterEntrypoint"),
    "taskmanager.jar": (("flink", BEAM), f"{RUNTIME}.taskexecutor.TaskManagerRunner"),
    "job-server.jar": ((BEAM,), "org.apache.beam.runners.flink.FlinkJobServerDriver"),
}
"""Runnable jar: the folders of the jars it leads to, and the class to start."""

OPENS = (
    "java.io java.lang java.lang.invoke java.lang.reflect java.net java.nio java.text java.time java.util "
    "java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks sun.nio.ch"
)
"""Packages of java.base that Flink and Beam look into, which Java 17 allows only when asked."""


def install(home: Path) -> None:
    """Fetch what is missing below `home`. SystemExit where a tool is missing, CalledProcessError where one fails."""
    for tool, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven")):
        if shutil.which(tool) is None:
            raise SystemExit(f"error: no program '{tool}'; install it first (such as: sudo apt-get install {package}).")
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "flink").is_dir():
        with _whole(home / "flink") as folder:
            _fetch_flink(folder)
    if not (home / BEAM).is_dir():
        with _whole(home / BEAM) as folder:
            maven = ["mvn", "--batch-mode", "--quiet", "--no-transfer-progress", f"--file={POM.resolve()}"]
            subprocess.run([*maven, COPY, f"-DoutputDirectory={folder.resolve()}"], check=True)
    for name, (folders, main) in MAINS.items():
        _write_runnable(home / name, folders, main)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A new folder that gets its name when it is full."""
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temp:
        new = Path(temp) / folder.name
        new.mkdir()
        yield new
        new.rename(folder)


def _fetch_flink(folder: Path) -> None:
    """The jars of a cluster alone: no SQL, no Python. `bin` has what works out memory, for an image."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temp:
        source = ["--no-deps", "--no-binary=apache-flink-libraries"]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", f"--dest={temp}"]
        subprocess.run([*pip, *source, FLINK], check=True)
        (archive,) = Path(temp).glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            for member in packed:
                path = Path(member.name)
                if path.match("*/deps/lib/*.jar") and path.name.startswith(("flink-dist-", "log4j-")):
                    member.name = path.name
                    packed.extract(member, folder, filter="data")
                elif path.match("*/deps/bin/bash-java-utils.jar"):
                    member.name = f"bin/{path.name}"
                    packed.extract(member, folder, filter="data")


def _write_runnable(path: Path, folders: Sequence[str], main: str) -> None:
    """A jar of nothing but a manifest: what to start, with the jars of which folders beside it, and which rights."""
    jars = [f"{folder}/{jar.name}" for folder in folders for jar in sorted((path.parent / folder).glob("*.jar"))]
    manifest = {
        "Manifest-Version": "1.0",
        "Main-Class": main,
        "Class-Path": " ".join(jars),
        "Add-Opens": " ".join(f"java.base/{package}" for package in OPENS.split()),
    }
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "".join(_folded(f"{key}: {value}") for key, value in manifest.items()))


def _folded(line: str) -> str:
    """A manifest's lines have at most 72 bytes; the next one goes on after a space."""
    return "".join(f"{' ' if at else ''}{line[at : at + 70]}\n" for at in range(0, len(line), 70))


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("home", type=Path, metavar="HOME", help="a folder, made if it is not there")
    install(words.parse_args().home)
