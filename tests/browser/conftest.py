"""A browser of one's own for each module, and pages opened in it as a reader would."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

BUILD = Path(__file__).parents[2] / "build" / "browser"
QUIET = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-dev-shm-usage",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)
PATIENCE = 120  # seconds on a loaded machine
LOADED = "return document.body && document.body.dataset.drawn"


class Reader:
    """Somebody at a screen of a width, in a colour scheme."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: str, *, width: int = 1100, scheme: str = "light") -> None:
        """Open a page and wait until its charts are drawn for this screen."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        emulated = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get((BUILD / "pages" / page / "index.html").as_uri())
        self.wait(lambda: self.run(LOADED) == scheme + ("-narrow" if width < 500 else ""))

    def wait(self, is_so: Callable[[], Any]) -> None:
        WebDriverWait(self.driver, PATIENCE).until(lambda _: is_so())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def requests(self) -> list[str]:
        """Every URL that was asked for since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            one["params"]["request"]["url"]
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        ]

    def picture(self, name: str) -> None:
        """The whole page as build/browser/NAME.png, for a person to look at."""
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"}
        )
        (BUILD / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ["CHROMIUM"]
    profile = tmp_path_factory.mktemp("profile")
    for word in (*QUIET, f"user-data-dir={profile}"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(os.environ["CHROMEDRIVER"]))
    yield Reader(driver)
    driver.quit()
