"""The page as a reader has it: from a file, without a network, on a desk or a phone, by day or night."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.browser.conftest import Reader

POINTS = '#pareto path[aria-roledescription="point"]'
TOOLTIP = "#vg-tooltip-element"
OVERFLOW = "return document.documentElement.scrollWidth - window.innerWidth"
WIDER_THAN_ITS_PLACE = """
return [...document.querySelectorAll('figure.chart')].filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.id);
"""
PAPER = "return [getComputedStyle(document.body).backgroundColor, document.querySelector('#pareto svg').style.backgroundColor]"


def luminance(colour: str) -> float:
    """Rough brightness of ``rgb(r, g, b)``, 0 to 255."""
    return sum(int(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3]) / 3


def points(reader: Reader) -> int:
    return len(reader.driver.find_elements(By.CSS_SELECTOR, POINTS))


def choose(reader: Reader, name: str, value: str) -> None:
    Select(
        reader.driver.find_element(By.CSS_SELECTOR, f"#pareto select[name={name}]")
    ).select_by_visible_text(value)


def test_the_page_opens_from_a_file_without_a_network_and_without_a_complaint(reader: Reader) -> None:
    reader.open("kept")
    asked = reader.requests()
    assert asked, "the page itself is a request"
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    assert [entry["message"] for entry in reader.driver.get_log("browser")] == []


def test_every_chart_is_drawn(reader: Reader) -> None:
    reader.open("kept")
    charts = reader.driver.find_elements(By.CSS_SELECTOR, "figure.chart")
    assert len(charts) >= 6
    assert [
        chart.get_attribute("id") for chart in charts if not chart.find_elements(By.CSS_SELECTOR, "svg path")
    ] == []


def test_hovering_a_point_tells_shape_concurrency_wait_and_origin(reader: Reader) -> None:
    reader.open("two-origins")
    point = next(
        one
        for one in reader.driver.find_elements(By.CSS_SELECTOR, POINTS)
        if "shape: 3P1D DEP8/DEP8" in str(one.get_attribute("aria-label"))
    )
    reader.run("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(reader.driver).move_to_element(point).perform()
    reader.wait(
        lambda: "visible" in str(reader.driver.find_element(By.CSS_SELECTOR, TOOLTIP).get_attribute("class"))
    )
    rows = reader.driver.find_elements(By.CSS_SELECTOR, f"{TOOLTIP} tr")
    said = dict(tuple(cell.text for cell in row.find_elements(By.TAG_NAME, "td")) for row in rows)
    assert {name: said.get(name) for name in ("shape", "conc", "TTFT p50 s", "origin")} == {
        "shape": "3P1D DEP8/DEP8",
        "conc": "4096",
        "TTFT p50 s": "64.0",
        "origin": "simulated",
    }


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("sku", "GB200 NVL72", 1),
        ("sku", "GB300 NVL72", 3),
        ("origin", "measured", 1),
        ("origin", "simulated", 3),
    ],
)
def test_a_filter_leaves_the_points_of_its_choice(reader: Reader, name: str, value: str, left: int) -> None:
    reader.open("two-origins")
    assert points(reader) == 4
    choose(reader, name, value)
    reader.wait(lambda: points(reader) == left)
    choose(reader, name, "all")
    reader.wait(lambda: points(reader) == 4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 390])
def test_nothing_sticks_out_of_the_screen(reader: Reader, width: int, scheme: str) -> None:
    reader.open("kept", width=width, scheme=scheme)
    reader.picture(f"{scheme}-{width}")
    assert reader.run(OVERFLOW) <= 0
    assert reader.run(WIDER_THAN_ITS_PLACE) == []


def test_by_night_page_and_charts_are_dark_and_by_day_light(reader: Reader) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        reader.open("kept", scheme=scheme)
        assert [luminance(colour) < 60 for colour in reader.run(PAPER)] == [is_dark, is_dark]


def test_the_charts_follow_when_the_screen_turns_narrow(reader: Reader) -> None:
    reader.open("kept")
    metrics = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    reader.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    reader.wait(lambda: reader.run("return document.body.dataset.drawn") == "light-narrow")
    assert reader.run(WIDER_THAN_ITS_PLACE) == []
