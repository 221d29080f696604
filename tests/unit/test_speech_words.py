"""A text may have a value of any name, as the name of the text itself is no value."""

from workers.ops.language import TEXTS, Speech


def test_a_text_may_be_given_a_value_called_key() -> None:
    told = Speech("en").text("actions.stage.issue", amount="1", reference="pi", key="annul:rfd_1", attempt=1)
    assert "annul:rfd_1" in told
    assert "{key}" in TEXTS["actions.stage.issue"][0]
