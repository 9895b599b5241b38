"""Build an image where no container engine is: the steps of a Dockerfile, taken in folders that stand for its stages."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path

# Folders of the image; all else that a step names is this machine's, which stands for the base image.
FOLDERS = re.compile(r"(?<![\w.])(?=/(?:opt|tmp|var/lib/anomflow)\b)")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
NEVER = ("PYTHON", "ANOMFLOW_", "PREFECT_", "NUMBA_", "VIRTUAL_ENV", "HOME")


@dataclass(frozen=True)
class Step:
    """An instruction of a Dockerfile and the rest of its line, continued lines joined."""

    word: str
    rest: str


def read_steps(dockerfile: str) -> list[Step]:
    """Return the instructions of a Dockerfile in their order."""
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*line.split(None, 1)) for line in joined.splitlines()]


def read_ignored(dockerignore: str) -> list[tuple[re.Pattern[str], bool]]:
    """Return the patterns of a .dockerignore, and whether each leaves out what it names."""
    lines = [line for line in dockerignore.splitlines() if line and not line.startswith("#")]
    return [(re.compile(translate_pattern(line.removeprefix("!"))), not line.startswith("!")) for line in lines]


def translate_pattern(pattern: str) -> str:
    body = translate(pattern.removeprefix("**/")).removesuffix(r"\Z").removesuffix(r"\z")
    return rf"^(?:.*/)?{body}(?:/.*)?$" if pattern.startswith("**/") else rf"^{body}(?:/.*)?$"


def find_context(root: Path) -> list[str]:
    """Return the files that a build of a folder is given."""
    patterns = read_ignored((root / ".dockerignore").read_text(encoding="utf-8"))
    # Unlike rglob, this passes over folders that somebody removes meanwhile, as those who install do.
    found = (Path(folder, name) for folder, _, files in os.walk(root) for name in files)
    names = [path.relative_to(root).as_posix() for path in found if path.is_file()]
    last = {name: [leaves for pattern, leaves in patterns if pattern.match(name)] for name in names}
    return sorted(name for name, found in last.items() if not found or not found[-1])


@dataclass
class Image:
    """An image that is being built: where its root lies, its environment, working directory, and what it says of itself."""

    context: Path
    work: Path
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    facts: dict[str, str] = field(default_factory=dict)
    stages: dict[str, Path] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The root of the stage at hand; the same for all, because an environment of Python knows its place."""
        return self.work / "root"

    def place(self, text: str) -> str:
        """Put the paths of the image that a text names into its root."""
        return FOLDERS.sub(str(self.root), text)

    def fill(self, text: str) -> str:
        known = self.arguments | self.environment
        return VARIABLE.sub(lambda found: known.get(found[1] or found[2], ""), text)

    def find_environment(self) -> dict[str, str]:
        """Return the image's environment, its paths put into the root, over that which leads to the package index."""
        base = {name: value for name, value in os.environ.items() if not name.startswith(NEVER)}
        # uv brings authorities of its own, among which that of an index inside a company is not.
        return {"UV_SYSTEM_CERTS": "1"} | base | self.run_environment

    @property
    def run_environment(self) -> dict[str, str]:
        """The environment that a container of the image has by itself."""
        path = f"{self.work / 'base'}{os.pathsep}/usr/bin{os.pathsep}/bin"
        given = {name: self.place(value).replace("$PATH", path) for name, value in self.environment.items()}
        return {"PATH": path, **given}

    def take(self, step: Step) -> None:
        known = {"FROM": self.begin, "ARG": self.ask, "ENV": self.name, "RUN": self.run, "COPY": self.copy, "WORKDIR": self.enter}
        take = known.get(step.word)
        if take is None:
            self.facts[step.word] = step.rest
        else:
            take(step.rest)

    def begin(self, rest: str) -> None:
        """Begin a stage; what there is of the one before is put aside under its name."""
        if self.stages:
            aside = self.work / list(self.stages)[-1]
            self.root.rename(aside)
            self.stages[aside.name] = aside
        self.stages[rest.rsplit(maxsplit=1)[-1]] = self.root
        self.environment, self.facts, self.folder = {}, {}, "/"
        (self.root / "tmp").mkdir(parents=True)
        (self.root / "opt").mkdir()

    def ask(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        self.arguments.setdefault(name, default.strip('"'))

    def name(self, rest: str) -> None:
        self.environment |= {name: value for name, _, value in (part.partition("=") for part in shlex.split(rest))}

    def enter(self, rest: str) -> None:
        self.folder = self.place(rest)
        Path(self.folder).mkdir(parents=True, exist_ok=True)

    def run(self, rest: str) -> None:
        command = ["bash", "-e", "-o", "pipefail", "-c", self.place(rest)]
        environment = self.find_environment() | {name: value for name, value in self.arguments.items() if name != "PYTHON_IMAGE"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout}{done.stderr}"

    def copy(self, rest: str) -> None:
        *sources, target = (part for part in rest.split() if not part.startswith("--"))
        stage = re.match(r"--from=(\w+)", rest)
        if stage:
            source = self.stages[stage[1]] / sources[0].lstrip("/")
            shutil.copytree(source, self.place(target), symlinks=True, dirs_exist_ok=True)
            return
        for name in find_context(self.context):
            if "." in sources or name in sources:
                path = Path(self.folder, target, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.context / name, path)


BASE = {
    "python": 'exec "{python}" "$@"\n',
    # Users are the engine's business; their home is made.
    "useradd": 'while [ $# -gt 1 ]; do [ "$1" = --home-dir ] && mkdir -p "$2"; shift; done\n',
}


def build_image(context: Path, work: Path, arguments: dict[str, str]) -> Image:
    """Take the steps of a folder's Dockerfile; raises AssertionError with what a failed one printed."""
    (work / "base").mkdir()
    for name, text in BASE.items():
        path = work / "base" / name
        path.write_text("#!/bin/sh\n" + text.replace("{python}", sys.executable), encoding="utf-8")
        path.chmod(0o755)
    image = Image(context, work, dict(arguments))
    for step in read_steps((context / "Dockerfile").read_text(encoding="utf-8")):
        image.take(step)
    return image
