"""Tables whose cells name their column, so that a phone can put them one under the other."""

import re

import pytest
from markupsafe import Markup

from workers.ops.tables import class_of, labelled, name_of

HEADINGS = ("Refund", ("Amount", "number"), 'The "code"')


def test_every_cell_says_under_which_heading_it_stands() -> None:
    row = Markup('<tr><th scope="row">rfd_1</th>\n<td class="number">45.00 EUR</td><td>x &gt; y</td></tr>')
    drawn = labelled(row + row, HEADINGS)
    assert re.findall(r'data-label="([^"]*)"', drawn) == 2 * ["Amount", "The &#34;code&#34;"]
    assert drawn.count('<td data-label="Amount" class="number"><div>45.00 EUR</div></td>') == 2
    assert "<div>x &gt; y</div>" in drawn
    assert drawn.count("<div>") == drawn.count("</div>") == 4


def test_a_cell_over_several_columns_has_no_label_and_those_after_it_have_theirs() -> None:
    drawn = labelled(Markup('<tr><td colspan="2">nothing</td><td>x</td></tr>'), HEADINGS)
    assert re.findall(r'data-label="([^"]*)"', drawn) == ["", "The &#34;code&#34;"]


def test_a_row_with_more_cells_than_headings_is_a_mistake() -> None:
    with pytest.raises(IndexError):
        labelled(Markup("<tr><td>1</td><td>2</td><td>3</td><td>4</td></tr>"), HEADINGS)


def test_a_heading_has_words_and_perhaps_a_class() -> None:
    assert [(name_of(one), class_of(one)) for one in HEADINGS[:2]] == [("Refund", ""), ("Amount", "number")]
