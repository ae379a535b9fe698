"""Text of somebody else's is shown, never read as markup."""

from sparsecore.dashboard.controls import plain


def test_every_mark_of_markdown_stands_for_itself():
    assert plain("![x](http://a.b) <b>_1_</b> :red[y]") == (
        r"\!\[x\]\(http\:\/\/a\.b\) \<b\>\_1\_\<\/b\> \:red\[y\]"
    )


def test_chinese_marks_need_no_escape():
    assert plain("漏洞，高危。") == "漏洞，高危。"
