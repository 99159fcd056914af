"""The images of docker/, built on this machine's own bases into buildah's storage in `.venv/images`, for our tests.

`python -m tests.docker.images_folder` builds them, or uses again the layers that stand.
"""

import fcntl
import os
import shutil
import subprocess

from tests.commands import ROOT
from tests.flink_folder import install as install_flink
from tests.pipeline.cases import all_wanted

FOLDER = ROOT / ".venv" / "images"
IMAGES = {"trainer": "m3h-trainer", "worker-cpu": "m3h-worker", "flink": "m3h-flink"}
"""name, as docker/build.sh knows it: tag."""
if all_wanted():
    IMAGES["worker-gpu"] = "m3h-worker-gpu"  # without detectron2; CUDA's libraries are gigabytes to fetch
PROGRAMS = ("buildah", "debootstrap", "bwrap", "ip", "go")


def obstacle() -> str:
    """Why images cannot be built and run here; "" where they can."""
    if os.geteuid() != 0:
        return "building and mounting images needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return (
        f"programs are missing: {', '.join(missing)}; docker/install-buildah.sh installs all but Go" if missing else ""
    )


def environment() -> dict[str, str]:
    """For buildah: its storage lies in our folder, unless the caller names another."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    settings = FOLDER / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{FOLDER}/graph"\nrunroot = "{FOLDER}/run"\n')
    return {
        "CONTAINERS_STORAGE_CONF": str(settings),
        "BUILDAH_ISOLATION": "chroot",
        **os.environ,
        "M3H_ENGINE": "buildah",
    }


def build() -> dict[str, str]:
    """Build what is not built yet; processes wait for each other. Returns `environment()`."""
    variables = environment()
    if "M3H_FLINK" not in variables:
        variables["M3H_FLINK"] = str(install_flink())
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([ROOT / "docker" / "build.sh", "--local-bases", *IMAGES], check=True, env=variables)
    return variables


if __name__ == "__main__":
    build()
