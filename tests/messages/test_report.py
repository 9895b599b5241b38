from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from message_samples import HOSTILE, MOMENT, make_alert, make_alerts, make_history

from anomflow.charts import build_chart
from anomflow.report import ALERTS_SHOWN, ReportSection, build_report

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def make_report() -> str:
    charts = [build_chart("orders", make_history(), MOMENT), build_chart(f"</script>{HOSTILE}", make_history())]
    alerts = make_alerts(make_alert(status="snoozed"), make_alert(metric_name=f"</script>{HOSTILE}", reason=HOSTILE, status=HOSTILE))
    return build_report([ReportSection("checkout", charts, alerts), ReportSection(HOSTILE, [], alerts.clear(), HOSTILE)], MOMENT)


def read_specs(page: str) -> list[dict[str, object]]:
    return [json.loads(found) for found in re.findall(r'<script type="application/json" id="spec-[\d-]+">(.*?)</script>', page, re.DOTALL)]


def test_a_report_holds_charts_and_alerts_with_their_states() -> None:
    page = make_report()
    assert [spec["title"]["text"] for spec in read_specs(page)][:1] == ["orders"]  # type: ignore[index]  # a title of Vega-Lite
    assert len(read_specs(page)) == page.count("data-spec=") == 2
    assert "<td>snoozed</td>" in page
    assert "orders is low (3.2, expected 10 to 14)" in page


def test_a_report_asks_for_nothing_from_outside() -> None:
    page = make_report()
    markup = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", page, flags=re.DOTALL)
    assert not re.search(r"<(script|link|img|iframe|object|embed)\b[^>]*\b(src|href)=", markup)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy[1]
    assert "script-src 'sha256-" in html.unescape(policy[1])


def test_hostile_names_run_nothing() -> None:
    page = make_report()
    assert "<script>alert" not in page
    assert page.count("</script>") == page.count("<script") == 4
    assert not {"\u202e", "\x00", "\x1b", "\u2028"} & set(page.split("<script>")[0])


def test_a_long_ledger_is_cut_to_its_newest_alerts() -> None:
    alerts = make_alerts(*(make_alert(metric_timestamp=MOMENT - timedelta(hours=number)) for number in range(ALERTS_SHOWN + 7)))
    page = build_report([ReportSection("checkout", [], alerts)], MOMENT)
    assert page.count('<span class="badge"') == ALERTS_SHOWN
    assert f"The newest {ALERTS_SHOWN} of {ALERTS_SHOWN + 7} alerts" in page
    assert "2026-11-20 10:00 UTC" in page


def test_an_empty_report_says_so() -> None:
    assert "Nothing to show yet." in build_report([ReportSection("checkout", [], make_alerts(make_alert()).clear())], MOMENT)


def test_equal_contents_give_equal_reports() -> None:
    assert make_report() == make_report()


FRAME = """\
<iframe src="report.html" style="width: 390px; height: 2000px"></iframe>
<script>
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument;
  const beyond = (place) => place.scrollWidth - place.clientWidth;
  document.body.dataset.beyond = [page.documentElement, ...page.querySelectorAll(".table")].map(beyond);
});
</script>
"""


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Return what a browser makes of a page."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'profile'}"]
    wanted = ["--virtual-time-budget=10000", "--dump-dom", *options, page.as_uri()]
    return subprocess.run([*command, *wanted], capture_output=True, text=True, check=True, timeout=90)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_draws_every_chart_as_wide_as_the_page_under_the_policy(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text(make_report(), encoding="utf-8")
    answer = browse(target, "--window-size=560,2500")
    assert answer.stdout.count('data-drawn="yes"') == 2
    assert answer.stdout.count("<canvas") == 2
    widths = [int(width) for width in re.findall(r"<canvas[^>]* width=\"(\d+)\"", answer.stdout)]
    assert len(widths) == 2
    assert all(400 < width < 500 for width in widths)
    assert "Refused to" not in answer.stderr


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_on_a_phone_all_that_is_said_of_an_alert_is_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(make_report(), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME, encoding="utf-8")
    assert 'data-beyond="0,0"' in browse(frame, "--allow-file-access-from-files").stdout
