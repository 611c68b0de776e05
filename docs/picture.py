"""Make `docs/report.png`: the first page of the demo's report, in a browser without network.

.venv/bin/shadowlab demo --out out/demo && .venv/bin/python docs/picture.py
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Take the picture."""
    page = ROOT / "out" / "demo" / "reports" / "incident.html"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_context(offline=True, viewport={"width": 1100, "height": 1180}).new_page()
        shown.goto(page.as_uri())
        shown.wait_for_selector("figure.drawn .main-svg")
        shown.screenshot(path=ROOT / "docs" / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
