"""The report page in a real browser: pictures decode, nothing is fetched, no errors, fits a phone, enlarges on a tap."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

# The page runs inside a frame of the wanted width, and this script looks at it from outside. Its pictures are asked for at
# once instead of lazily, so that the frame's load event waits for all of them.
HARNESS = """<!doctype html><meta charset="utf-8"><iframe id="frame" width="%(width)d" height="900"></iframe>
<pre id="result"></pre><script>
const frame = document.getElementById("frame"), found = {};
frame.onload = () => {
  const page = frame.contentDocument, pictures = [...page.querySelectorAll(".cell img")];
  found.pictures = pictures.length;
  found.decoded = pictures.filter((picture) => picture.complete && picture.naturalWidth > 0).length;
  found.overflow = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  found.columns = getComputedStyle(page.querySelector(".cells")).gridTemplateColumns.split(" ").length;
  const buttons = page.querySelectorAll(".cell button"), dialog = page.getElementById("large");
  const large = page.getElementById("large-picture");
  buttons[0].click();
  found.opened = dialog.open && large.src === pictures[0].src;
  dialog.dispatchEvent(new frame.contentWindow.KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  found.next = large.src === pictures[1].src;
  found.fits = large.getBoundingClientRect().right <= %(width)d;
  page.getElementById("large-close").click();
  found.closed = !dialog.open;
  page.getElementById("still").click();
  found.wiggleHidden = getComputedStyle(page.querySelector(".cell .moving img")).visibility === "hidden";
  document.getElementById("result").textContent = JSON.stringify(found);
};
frame.srcdoc = %(page)s;
</script>"""


@pytest.fixture(scope="session")
def browse(tmp_path_factory):
    """Run a headless Chromium on a file and return what it wrote: `browse(path, *flags) -> (document, log, requests)`."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")

    def run(path, *flags):
        folder = tmp_path_factory.mktemp("browser")
        command = [
            program,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
            *(
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--host-resolver-rules=MAP * ~NOTFOUND",
            ),
            *(
                "--enable-logging=stderr",
                f"--user-data-dir={folder / 'profile'}",
                f"--log-net-log={folder / 'net.json'}",
            ),
            *("--virtual-time-budget=10000", *flags, path.as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        events = json.loads((folder / "net.json").read_text())["events"]
        starts = [
            event["params"] for event in events if "url" in event.get("params", {}) and "initiator" in event["params"]
        ]
        # Chromium asks for its own updates whatever one forbids; those requests have no page behind them.
        requests = [start["url"] for start in starts if start["initiator"] != "not an origin"]
        return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line], requests

    return run


def test_the_harness_sees_requests_and_errors(browse, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text('<img src="http://wheatstone.invalid/x.png"><script>console.error("oops")</script>')
    _, log, requests = browse(path, "--dump-dom")
    assert requests == ["http://wheatstone.invalid/x.png"]
    assert "oops" in log[0]


@pytest.mark.parametrize(("width", "columns"), [(1400, 7), (390, 2)])
def test_the_page_works_on_a_desktop_and_on_a_phone(browse, page, tmp_path, width, columns):
    path = tmp_path / "harness.html"
    eager = page.replace('loading="lazy"', 'loading="eager"')
    path.write_text(HARNESS % {"width": width, "page": json.dumps(eager).replace("</", "<\\/")})
    document, log, requests = browse(path, "--dump-dom", "--window-size=1500,1000")
    assert log == []
    assert requests == []
    result = json.loads(html.unescape(re.search('<pre id="result">(.*?)</pre>', document, re.S)[1]))
    assert result == {
        "pictures": 21,
        "decoded": 21,
        "overflow": 0,
        "columns": columns,
        "fits": True,
        "opened": True,
        "next": True,
        "closed": True,
        "wiggleHidden": True,
    }


@pytest.mark.parametrize(("scheme", "dark"), [(1, False), (0, True)])
def test_the_page_follows_the_colour_scheme(browse, page, tmp_path, scheme, dark):
    path, picture = tmp_path / "report.html", tmp_path / "shot.png"
    path.write_text(page)
    browse(
        path, f"--screenshot={picture}", "--window-size=1000,1500", f"--blink-settings=preferredColorScheme={scheme}"
    )
    with Image.open(picture) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    corner = pixels[:8, :8].mean()
    assert (corner < 60) if dark else (corner > 200)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000  # text and pictures were painted
