"""Bars say with words what they say with colours."""

import pytest

from tenancy.admin.bars import progress_bar, size_text, usage_bar


@pytest.mark.parametrize(
    ("used", "limit", "said"),
    [
        (0, 10, "0 of 10, 0 %</span>"),
        (79, 100, "79 of 100, 79 %</span>"),
        (80, 100, "80 %, filling up"),
        (95, 100, "95 %, nearly full"),
        (100, 100, "100 %, full"),
        (300, 100, "300 %, over the limit"),
        (0, 0, "100 %, full"),
        (1_200, None, "1,200, no limit"),
    ],
)
def test_use_is_told_in_numbers_and_words(used, limit, said):
    assert said in usage_bar("Documents", used, limit)


def test_a_bar_is_read_aloud_with_its_label_and_holds_no_markup_of_others():
    bar = usage_bar('<b>"', 5, 10)

    assert 'aria-label="&lt;b&gt;&quot;: 5 of 10, 50 %"' in bar
    assert "style=" not in bar


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [(0, 3, "0 of 3 documents, 0 %"), (2_999, 3_000, "99 %"), (3, 3, "100 %")],
)
def test_progress_is_complete_only_at_the_end(done, total, said):
    assert said in progress_bar(done, total, "documents")


def test_sizes_are_told_in_the_unit_that_fits():
    sizes = [0, 1_023, 1_024, 5 * 1_048_576, 3 * 1024**4, 5_000 * 1024**4]

    assert [size_text(size) for size in sizes] == [
        "0 bytes", "1,023 bytes", "1.0 KiB", "5.0 MiB", "3.0 TiB", "5,000.0 TiB",
    ]  # fmt: skip
