"""docker/build.sh with stand-ins for engines, which say how they were called: no image is built."""

import configparser
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.commands import ROOT
from tests.pipeline.helpers import gone, wait_for

SCRIPT = ROOT / "docker" / "build.sh"
TOOLS = ("bash", "cat", "dirname", "env", "git", "id", "mkdir", "mktemp", "rm", "sed", "sleep")
CALLED = '[ "$1" != build ] || echo "${BUILDAH_ISOLATION:-default} $*"'
LENT = 'for word; do case "$word" in id=%s,src=*) cat "${word#*src=}" ;; esac; done'
"""Prints what is lent to a build as a file of this name."""
WAITS = """[ "$1" = build ] && [ "$2" != --help ] || exit 0
sleep 600 & echo $! >"$HOME/child"
wait $!; echo >"$HOME"/failed
"""
"""Builds for ten minutes, by a child of its own, and fails when that ends."""


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def machine(folder: Path, **programs: str) -> dict[str, str]:
    """Variables of a machine with the tools of every system and these programs, whose scripts are given."""
    (folder / "bin").mkdir()
    (folder / "temp").mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found
        (folder / "bin" / name).symlink_to(found)
    for name, script in {"python3": f'exec "{sys.executable}" "$@"', **programs}.items():
        program(folder / "bin" / name, script)
    return {"PATH": str(folder / "bin"), "HOME": str(folder), "TMPDIR": str(folder / "temp")}


def build(
    variables: dict[str, str], *words: str, script: Path | str = SCRIPT, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([script, *words], capture_output=True, text=True, env=variables, cwd=cwd, check=False)


def built(done: "subprocess.CompletedProcess[str]") -> list[str]:
    """The images that it says it has built."""
    assert done.returncode == 0, done.stderr
    return [line.partition(":")[0] for line in done.stdout.splitlines() if ": built in " in line]


@pytest.mark.parametrize(
    ("others", "variables", "isolation"),
    [
        ((), {}, "chroot"),
        (("crun",), {}, "default"),
        (("runc",), {}, "default"),
        ((), {"BUILDAH_ISOLATION": "rootless"}, "rootless"),
    ],
)
def test_buildah_does_without_a_runtime_of_containers_where_there_is_none(
    tmp_path: Path, others: tuple[str, ...], variables: dict[str, str], isolation: str
) -> None:
    done = build({**machine(tmp_path, buildah=CALLED, **dict.fromkeys(others, "")), **variables}, "trainer")
    assert done.returncode == 0, done.stderr
    called, said = done.stdout.splitlines()
    assert called.startswith(f"{isolation} build ")
    assert said.startswith("m3h-trainer: built in ")


@pytest.mark.parametrize(
    ("words", "images"),
    [
        ([], ["m3h-trainer", "m3h-worker", "m3h-flink", "m3h-worker-gpu"]),
        (["--local-bases"], ["m3h-trainer", "m3h-worker", "m3h-flink"]),
        (["flink", "trainer"], ["m3h-flink", "m3h-trainer"]),
        (["worker-gpu", "--local-bases"], ["m3h-worker-gpu"]),
    ],
)
def test_words_name_images_and_without_any_all_are_built(tmp_path: Path, words: list[str], images: list[str]) -> None:
    """Where bases are made here, none but the last image has CUDA; the stand-in says that bases are there."""
    done = build(machine(tmp_path, buildah=CALLED), *words)
    assert built(done) == images
    assert done.stdout.count("localhost/m3h-base-python") == sum(
        {"m3h-trainer": 1, "m3h-worker": 1, "m3h-worker-gpu": 3}.get(image, 0) * ("--local-bases" in words)
        for image in images
    )


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["trainer", "--help"]])
def test_its_usage_is_what_stands_on_its_top(tmp_path: Path, words: list[str]) -> None:
    done = build(machine(tmp_path), *words)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0] == "Build the images with Docker, Podman or buildah, whichever is there:"
    assert said == [
        line.removeprefix("#").removeprefix(" ") for line in SCRIPT.read_text().splitlines()[1:][: len(said)]
    ]
    assert "set -euo pipefail" not in done.stdout


@pytest.mark.parametrize(
    ("words", "variables", "error"),
    [
        (["trainr"], {}, "no image 'trainr'; there are: trainer worker-cpu flink worker-gpu"),
        (["trainer", "local/debian"], {}, "no image 'local/debian'; there are: trainer worker-cpu flink worker-gpu"),
        (["trainer flink"], {}, "no image 'trainer flink'; there are: trainer worker-cpu flink worker-gpu"),
        ([""], {}, "no image ''; there are: trainer worker-cpu flink worker-gpu"),
        (["trainer", "--local"], {}, "no option '--local'; there are: --local-bases, --help"),
        (["trainer"], {"TORCH": "rocm"}, "TORCH=rocm, expected cpu or cuda"),
    ],
)
def test_what_it_does_not_know_is_refused_before_anything_is_built(
    tmp_path: Path, words: list[str], variables: dict[str, str], error: str
) -> None:
    done = build({**machine(tmp_path, buildah=CALLED), **variables}, *words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {error}\n")


def test_a_machine_without_an_engine_gets_one_line(tmp_path: Path) -> None:
    done = build(machine(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("error: none of docker, podman, buildah works here; install one ")
    assert done.stderr.count("\n") == 1


def test_an_engine_may_be_a_path_of_the_caller_and_is_told_what_its_kind_takes(tmp_path: Path) -> None:
    variables = machine(tmp_path, podman=CALLED)
    for name in ("docker", "buildah"):
        program(tmp_path / "tools" / name, f"echo {name}; {CALLED}")
    for name, words in (("docker", "default build --quiet "), ("buildah", "chroot build --format docker ")):
        for path in (f"tools/{name}", str(tmp_path / "tools" / name)):
            done = build({**variables, "M3H_ENGINE": path}, "trainer", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            said, called, _ = done.stdout.splitlines()
            assert said == name
            assert called.startswith(words)


def test_cdpath_leads_nowhere_else(tmp_path: Path) -> None:
    variables = {**machine(tmp_path, buildah=CALLED), "CDPATH": str(tmp_path / "other")}
    (tmp_path / "other" / "docker").mkdir(parents=True)
    assert built(build(variables, "trainer", script="docker/build.sh", cwd=ROOT)) == ["m3h-trainer"]


@pytest.mark.parametrize("has", [True, False])
def test_buildah_removes_what_a_failed_build_leaves_where_it_knows_how(tmp_path: Path, has: bool) -> None:
    told = f'case "$*" in *--help) echo "{"--force-rm" if has else ""}" ;; build*) echo "$*" ;; esac'
    done = build(machine(tmp_path, buildah=told), "trainer")
    assert built(done) == ["m3h-trainer"]
    assert (" --force-rm " in done.stdout) == has


@pytest.mark.parametrize("engine", ["docker", "buildah"])
def test_docker_is_told_of_proxies_that_are_set(tmp_path: Path, engine: str) -> None:
    """The others look for them by themselves. A value comes from the environment: no list of processes shows it."""
    proxies = {"HTTPS_PROXY": "http://me:secret@proxy", "no_proxy": "localhost", "http_proxy": ""}
    done = build({**machine(tmp_path, **{engine: CALLED}), **proxies}, "trainer")
    assert built(done) == ["m3h-trainer"]
    words = done.stdout.split()
    told = {word for before, word in pairwise(words) if before == "--build-arg"}
    assert {word for word in told if "proxy" in word.lower()} == (
        {"HTTPS_PROXY", "no_proxy"} if engine == "docker" else set()
    )


def lent_pip(variables: dict[str, str], cwd: Path) -> dict[str, str]:
    """The settings of pip that a build sees."""
    done = build(variables, "trainer", cwd=cwd)
    assert done.returncode == 0, done.stderr
    found = configparser.RawConfigParser()
    found.read_string(done.stdout.partition("m3h-trainer: built in ")[0])
    return dict(found["global"])


def test_settings_of_pip_with_quotes_and_several_lines_are_lent_as_pip_reads_them(tmp_path: Path) -> None:
    variables = {**machine(tmp_path, buildah=LENT % "pip.conf"), "PIP_CONFIG_FILE": "own.conf"}
    (tmp_path / "own.conf").write_text(
        '[global]\nindex-url = https://me:it\'s%20"I"@one/simple\nextra-index-url =\n    https://two/simple\n'
        "    https://three/simple\ntrusted-host = two\n    three\n[install]\nproxy = http://for-install:1\n"
    )
    found = lent_pip(variables, tmp_path)
    assert found["index-url"] == 'https://me:it\'s%20"I"@one/simple'
    assert found["extra-index-url"].split() == ["https://two/simple", "https://three/simple"]
    assert found["trusted-host"].split() == ["two", "three"]
    assert found["proxy"] == "http://for-install:1"

    found = lent_pip({**variables, "PIP_EXTRA_INDEX_URL": "https://four https://five", "PIP_PROXY": ""}, tmp_path)
    assert found["extra-index-url"].split() == ["https://four", "https://five"]
    assert found["proxy"] == "http://for-install:1"  # for pip, too, an empty variable says nothing


@pytest.mark.parametrize("variable", ["PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "own.conf"])
def test_certificates_are_looked_for_from_where_the_caller_stands(tmp_path: Path, variable: str) -> None:
    variables = {**machine(tmp_path, buildah=LENT % "ca.pem"), "PIP_CONFIG_FILE": "own.conf"}
    if variable == "own.conf":
        (tmp_path / "own.conf").write_text("[global]\ncert = certs/own.pem\n")
    else:
        variables |= {variable: "certs/own.pem", "PIP_CONFIG_FILE": os.devnull}
    done = build(variables, "trainer", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: no file of certificates at {tmp_path}/certs/own.pem, which ")
    assert variable.replace("own.conf", "cert") in line

    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "own.pem").write_text("my certificates\n")
    done = build(variables, "trainer", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("my certificates\n")
    program(tmp_path / "bin" / "buildah", LENT % "pip.conf")
    assert lent_pip(variables, tmp_path)["cert"] == "/run/secrets/ca.pem"


def test_settings_that_pip_cannot_read_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.conf").write_text("index-url = of no section\n")
    variables = {**machine(tmp_path, buildah=CALLED), "PIP_CONFIG_FILE": str(tmp_path / "own.conf")}
    done = build(variables, "trainer")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: pip cannot read its settings: ")


def interrupt(variables: dict[str, str], *words: str, by: signal.Signals, sandbox: tuple[str, ...] = ()) -> int:
    """Its exit code when it gets a signal while a program that it started runs, which has written its child's number.

    As from a shell's prompt, no signal is ignored, whatever started us.
    """
    child, temp = Path(variables["HOME"], "child"), Path(variables["TMPDIR"])
    running = subprocess.Popen(["env", "--default-signal", *sandbox, SCRIPT, *words], env=variables)
    try:
        wait_for(lambda: (child.is_file() and child.read_text() != "") or running.poll() is not None)
        started = psutil.Process(int(child.read_text()))
        assert list(temp.iterdir()) != []
        running.send_signal(by)
        code = running.wait(60)
        assert gone(started)
        assert list(temp.iterdir()) == []
    finally:
        running.kill()
        running.wait()
    return code


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_what_runs_and_leaves_no_file(tmp_path: Path, by: signal.Signals, code: int) -> None:
    """Docker gets it, too. buildah does not: it removes its containers after a step that fails, not after a signal."""
    for engine, fails in (("docker", False), ("buildah", True)):
        (tmp_path / engine).mkdir()
        assert interrupt(machine(tmp_path / engine, **{engine: WAITS}), "trainer", by=by) == code
        assert (tmp_path / engine / "failed").exists() == fails


@pytest.mark.slow
@pytest.mark.images
@pytest.mark.usefixtures("can_build")
def test_what_debootstrap_has_mounted_is_unmounted_and_not_removed(tmp_path: Path) -> None:
    """In a space of mounts of its own, so that none stays should it fail. This debootstrap has to be killed."""
    kept = tmp_path / "kept" / "file"
    kept.parent.mkdir()
    kept.touch()
    mounts = (
        'for folder; do case "$folder" in */debian) break ;; esac; done; mkdir -p "$folder/a b" "$folder/proc"; '
        f'mount --bind "{kept.parent}" "$folder/a b"; mount -t tmpfs none "$folder/proc"; '
        'mkdir "$folder/proc/1"; trap "" TERM; sleep 600 & echo $! >"$HOME/child"; wait'
    )
    variables = machine(tmp_path, buildah='[ "$1" != inspect ]', debootstrap=mounts)
    variables |= {"PATH": f"{variables['PATH']}:{os.environ['PATH']}", "M3H_ENGINE": "buildah"}
    (tmp_path / "link").symlink_to("temp")
    variables["TMPDIR"] = f"{tmp_path}/link/"
    sandbox = ("unshare", "--mount", "--propagation", "private")
    assert interrupt(variables, "trainer", "--local-bases", by=signal.SIGTERM, sandbox=sandbox) == 143
    assert kept.exists()
