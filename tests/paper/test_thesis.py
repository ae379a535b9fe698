"""The printed results of the thesis as data."""

from sparsecore.paper.thesis import printed, tables


def test_a_table_has_dense_once_and_both_methods_below():
    found = printed("sinc")
    assert [(row.method, row.density, row.test) for row in found[:3]] == [
        ("dense", 1.0, 0.0931),
        ("global", 0.9, 0.1329),
        ("layerwise", 0.9, 0.0971),
    ]
    assert {row.table for row in found} == {"3-1"}
    assert len(found) == 21


def test_accuracies_are_shares():
    assert all(0 < row.train <= 1 and 0 < row.test <= 1 for row in printed("spirals"))
    assert {row.density for row in printed("vulnerabilities")} >= {1.0, 0.01}


def test_an_unknown_task_has_no_printed_results():
    assert printed("nothing") == ()
    assert {"3-1", "3-2", "3-4", "3-5"} <= tables().keys()
