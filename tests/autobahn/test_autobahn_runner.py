"""The parts of the Autobahn runner that decide between passed and failed."""

import json
from pathlib import Path

import pytest

import cases
import report


def result(behavior: str, close: str = "OK") -> dict:
    return {"behavior": behavior, "behaviorClose": close, "remoteCloseCode": 1000}


def test_every_case_of_the_testsuite_is_known():
    assert len(cases.ALL) == len(set(cases.ALL)) == 517


def test_the_quick_set_leaves_out_performance_and_most_of_compression():
    assert len(cases.select(["*"], without=["9.*", "12.*", "13.*"])) == 247
    quick = cases.quick()
    assert len(quick) == len(set(quick)) == 247 + 5 + 1 + 7 + 7
    assert {cases.section(case) for case in quick} == {1, 2, 3, 4, 5, 6, 7, 10, 12, 13}


def test_a_pattern_takes_its_own_section_only():
    assert {cases.section(case) for case in cases.select(["1.*"])} == {1}


def test_a_pattern_that_matches_no_case_is_refused():
    with pytest.raises(ValueError, match=r"'7\.99'"):
        cases.select(["1.*", "7.99"])


@pytest.mark.parametrize("behavior", ["OK", "NON-STRICT", "INFORMATIONAL"])
def test_good_verdicts(behavior):
    assert report.is_good(result(behavior))


@pytest.mark.parametrize(
    "bad",
    [
        None,
        result("FAILED"),
        result("UNIMPLEMENTED"),
        result("OK", "UNCLEAN"),
        result("NON-STRICT", "WRONG CODE"),
        result("INFORMATIONAL", "FAILED BY CLIENT"),
    ],
)
def test_bad_verdicts(bad):
    assert not report.is_good(bad)


def test_results_of_all_fuzzers_are_put_together_and_missing_cases_are_told(tmp_path: Path):
    for name, case in [("0", "1.1.1"), ("1", "1.1.2"), ("wrote nothing", None)]:
        (tmp_path / name).mkdir()
        if case:
            index = {"syncws": {case: result("OK", "UNCLEAN" if name == "1" else "OK")}}
            (tmp_path / name / "index.json").write_text(json.dumps(index))
    results = report.read(sorted(tmp_path.iterdir()))
    assert report.remarks(["1.1.1", "1.1.2", "1.1.3"], results) == [
        "1.1.2    OK (close UNCLEAN, code 1000)  <-- bad",
        "not run, 1 cases: 1.1.3",
    ]
    table = report.table(["1.1.1", "1.1.2", "1.1.3"], results)
    assert table[0].split() == ["section", "cases", *report.GOOD, "MISSING", "UNCLEAN"]
    assert table[-1].split() == ["all", "3", "1", "0", "0", "1", "1"]
