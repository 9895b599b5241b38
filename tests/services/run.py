"""Start each service, run its tests, stop it, and print how many passed: ``python tests/services/run.py [NAME ...]``.

An engine is one file in ``engines/``. Its tests are the conformance suite, the queries of all jobs, the whole chain
(``test_chain.py``), and ``test_<name>_service.py`` where there is one. ``suites.py`` lists tests that start themselves what
they need. A test that is skipped fails the run. Several run two at a time, each in a process of its own, whose output is
shown when it ends.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ("tests/conformance/test_warehouses.py", "tests/settings/test_golden_sql.py", "tests/services/test_chain.py")
AT_ONCE = 2


@dataclass(frozen=True)
class Count:
    """What became of the tests of an engine."""

    name: str
    passed: int
    failed: int
    skipped: int
    expected_failures: int

    @property
    def is_fine(self) -> bool:
        """Tell whether all passed, and there were some."""
        return self.passed > 0 and not self.failed and not self.skipped

    def __str__(self) -> str:
        """Return one line."""
        known = f", {self.expected_failures} known not to work" if self.expected_failures else ""
        return f"{self.name}: {self.passed} passed, {self.failed} failed, {self.skipped} skipped{known}"


def run_engine(name: str, arguments: list[str]) -> Count:
    """Run the tests of one engine against its service."""
    from tests.services.service import install_packages

    service = importlib.import_module(f"tests.services.engines.{name}").SERVICE
    packages = install_packages(name, service.packages)
    sys.path.append(str(packages))
    own = ROOT / "tests" / "services" / f"test_{name}_service.py"
    left_out = [f"--deselect={test}" for test in service.leaves_out]
    files = arguments or [*SHARED, *([str(own)] if own.is_file() else []), *left_out]
    with tempfile.TemporaryDirectory(prefix=f"anomflow-{name}-") as folder, service.start(Path(folder)) as given:
        return run_tests(Tests(name, files, packages, {**given, "ANOMFLOW_TEST_SERVICE": name}))


def run_suite(name: str, arguments: list[str]) -> Count:
    """Run the tests of one suite."""
    from tests.services.service import install_with_needs
    from tests.services.suites import SUITES, install_programs

    suite = SUITES[name]
    install_programs(suite.programs)
    packages = install_with_needs(name, suite.packages) if suite.packages else ROOT
    files = arguments or [str(ROOT / "tests" / file) for file in suite.files]
    return run_tests(Tests(name.replace("-", " "), files, packages, {"ANOMFLOW_TEST_SUITE": name}))


@dataclass(frozen=True)
class Tests:
    """Tests by their files, a folder of packages for them, and their environment besides ours."""

    name: str
    files: list[str]
    packages: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def run_tests(tests: Tests) -> Count:
    """Run tests in a process of their own and count them."""
    environment = os.environ | dict(tests.environment) | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tests.packages)])}
    with tempfile.TemporaryDirectory(prefix="anomflow-report-") as folder:
        report = Path(folder) / "report.xml"
        subprocess.run([sys.executable, "-m", "pytest", f"--junitxml={report}", *tests.files], cwd=ROOT, env=environment, check=False)
        return read_count(tests.name, report)


def read_count(name: str, report: Path) -> Count:
    """Count what a report of pytest says; no report is a failure."""
    if not report.is_file():
        return Count(name, 0, 1, 0, 0)
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - pytest wrote it
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    passed_over = [case.find("skipped") for case in cases if case.find("skipped") is not None]
    expected = sum(found is not None and found.get("type") == "pytest.xfail" for found in passed_over)
    return Count(name, len(cases) - failed - len(passed_over), failed, len(passed_over) - expected, expected)


def main(names: list[str], arguments: list[str]) -> int:
    """Run engines and suites, by default those of ``make test-services``; arguments behind ``--`` go to pytest instead of the files."""
    from tests.services.suites import SUITES

    engines = sorted(path.stem for path in (ROOT / "tests" / "services" / "engines").glob("*.py"))
    known = [*engines, *SUITES]
    if unknown := sorted(set(names) - set(known)):
        print(f"no service {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    wanted = names or known
    if len(wanted) > 1:
        return run_each(wanted, arguments)
    count = (run_engine if wanted[0] in engines else run_suite)(wanted[0], arguments)
    print(count)
    return 0 if count.is_fine else 1


def run_each(names: list[str], arguments: list[str]) -> int:
    """Run services in processes of their own, and end with a line for each."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(run_alone, name, arguments) for name in names]
        for done in as_completed(running):
            print(done.result().stdout, flush=True)
    print("--- tests against services")
    for done in running:
        print(done.result().stdout.rstrip().rpartition("\n")[2])
    return max(done.result().returncode for done in running)


def run_alone(name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one service; the last line of what it prints is its count."""
    command = [sys.executable, __file__, name, "--", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    sys.exit(main(given[:cut], given[cut + 1 :]))
