"""An explanation of a seller's rates as text. In plain ASCII, so that a formula can be put into a calculator."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from workers.commands.output import cell, console, table, when
from workers.domain.explained_outcomes import OutcomeExplained, Window
from workers.domain.explanation import FORMULAS, Comparison, Division, SpanExplained, Wilson
from workers.domain.order_effects import Explanation, OrderExplained, SpanChange
from workers.domain.statistics import WINDOWS

_WORDS: Final = {
    "accepted": "accepted",
    "cancelled_before_acceptance": "cancelled before acceptance",
    "completed": "completed",
    "cancelled_after_acceptance": "cancelled after acceptance",
}
_READ_ON: Final = (
    "An outcome counts on the day when it happened, in UTC, however late it was heard of: in the lifetime, and in each"
    " window that has that day. A window is that many days, today included, so an outcome leaves it when the day is too"
    " old. A correction takes an earlier outcome back, which then counts nowhere."
)
READ_TABLE: Final = (
    "Under a window: `leaves D`: counts in it now, and no more from day D on; `left D`: did until D; `enters D`: will."
)


def print_explanation(told: Explanation) -> None:
    """All of it on standard output."""
    out = console()
    _say(out, f"Seller {told.seller_id}, up to outcome {told.seq}, as of {when(told.as_of)} UTC")
    _say(out, _READ_ON, "Rates are rounded to 6 places. A number behind # is an outcome's.")
    if told.order is not None:
        _print_order(out, told, told.order)
    for span in told.spans:
        _print_span(out, span)
    _print_comparison(out, told.comparison)
    if told.order is None:
        _print_outcomes(out, told)


def outcomes_table(title: str, outcomes: Iterable[OutcomeExplained]) -> Table:
    """Outcomes, each with its time and what became of it in each window."""
    windows = tuple(sorted(WINDOWS, key=lambda name: WINDOWS[name], reverse=True))
    rows = []
    for one in outcomes:
        ends = {window.span: _end(window) for window in one.windows}
        rows.append((one.seq, one.order_id, one.occurred_at, _what(one), *(ends.get(name, "-") for name in windows)))
    return table(title, ("#", "order", "happened at (UTC)", "what", *windows), rows, numbers=("#",))


def _print_outcomes(out: Console, told: Explanation) -> None:
    listed, every = len(told.outcomes), told.outcomes_in_all
    if listed == every:
        title = f"All {every} outcomes"
        reading = (
            "The counts above, by hand: of each kind, the lifetime's is the number of rows that weren't taken back, and"
            " a window's the number of those that have `leaves` under it."
        )
    else:
        title = f"The latest {listed} of {every} outcomes"
        reading = f"The counts above are of all {every} outcomes; --limit shows more."
    _say(out, "", reading, READ_TABLE)
    out.print(outcomes_table(title, told.outcomes))


def _print_span(out: Console, span: SpanExplained) -> None:
    if span.first_day is None:
        days = "all days"
    else:
        days = f"{span.first_day} to {span.last_day}, {WINDOWS[span.span]} days with both of them"
    _say(
        out,
        "",
        f"{span.span}: {days}",
        f"  accepted {span.accepted}, cancelled before acceptance {span.cancelled_before_acceptance}, "
        f"completed {span.completed}, cancelled after acceptance {span.cancelled_after_acceptance}",
        *(f"  {name} {span.span} = {how} = {_worked(getattr(span, name))}" for name, how in FORMULAS.items()),
    )


def _worked(division: Division) -> str:
    if division.value is None:
        return f"{division.numbers}: no rate, there is nothing to divide by"
    return f"{division.numbers} = {division.value}"


def _print_comparison(out: Console, told: Comparison) -> None:
    _say(out, "", f"Compared with the other sellers, by the cancellation rate of {told.span}:", *_comparison(told))


def _comparison(told: Comparison) -> list[str]:
    lines = []
    if told.closed:
        lines.append(f"  this seller: {told.cancelled} cancelled of {told.closed} closed orders")
    if told.others:
        lines.append(
            f"  others' average = sum of the others' rates / number of others with a closed order in these days = "
            f"{told.others_rates_sum} / {told.others} = {told.others_average}"
        )
    if told.others_written_at is not None:
        late = "" if told.others_caught_up else "; the workers are still counting, so it isn't final"
        lines.append(
            f"  (the others as the sellers workers wrote them, {when(told.others_written_at)} UTC or later{late})"
        )
    if told.wilson is not None:
        lines += _wilson(told.wilson)
    verdict = "above average" if told.above_average else "not above average"
    return [*lines, f"  {verdict}: {told.why}"]


def _wilson(told: Wilson) -> list[str]:
    lines = [
        "  Of few orders a rate says little. So what is compared is how high it is at least, with 95 % confidence: the",
        "  lower bound of Wilson's interval, for",
        f"  p = {told.p} (the rate), n = {told.n} (closed orders), z = {told.z} (95 %)",
    ]
    if not told.p:
        return [*lines, "  lower bound = 0, as nothing was cancelled"]
    worked = f"({told.middle} - {told.spread}) / {told.divisor}"
    return [
        *lines,
        f"  middle  = p + z^2 / (2*n) = {told.middle}",
        f"  spread  = z * sqrt(p*(1-p)/n + z^2/(4*n^2)) = {told.spread}",
        f"  divisor = 1 + z^2/n = {told.divisor}",
        f"  lower bound = (middle - spread) / divisor = {worked} = {told.lower_bound:.6f}",
    ]


def _print_order(out: Console, told: Explanation, order: OrderExplained) -> None:
    _say(out, "", READ_TABLE)
    out.print(outcomes_table(f"Order {order.order_id}: all its outcomes ({told.outcomes_in_all})", told.outcomes))
    by_seq = {one.seq: one for one in told.outcomes}
    _say(out, "", "Before and after: all outcomes up to then, counted in the spans as they are today.")
    for effect in order.effects:
        one = by_seq[effect.seq]
        title = f"What #{one.seq} did: {_WORDS[one.outcome]}, {one.day}"
        _print_changes(out, title, effect.changes, (f"before #{one.seq}", f"with #{one.seq}"))
    title = f"If order {order.order_id} had never been"
    _print_changes(out, title, order.without, ("as it is", "without the order"))
    without = order.comparison_without
    verdict = "above average" if without.above_average else "not above average"
    _say(out, f"Without it the seller would be {verdict}: {without.why}.", "", "The rates as they are:")


def _print_changes(out: Console, title: str, changes: Sequence[SpanChange], sides: tuple[str, str]) -> None:
    changed = [one for one in changes if one.changed]
    if not changed:
        _say(out, "", f"{title}: nothing in any span")
        return
    rows = []
    for one in changed:
        for kind in _WORDS:
            was, now = getattr(one.before, kind), getattr(one.after, kind)
            if was != now:
                rows.append((one.span, f"{_WORDS[kind]} (orders)", was, now))
        for name in FORMULAS:
            before, after = getattr(one.before, name), getattr(one.after, name)
            if before != after:
                rows.append((one.span, f"{name} rate", _worked(before), _worked(after)))
    out.print(table(title, ("span", "what", *sides), rows))
    same = [one.span for one in changes if not one.changed]
    if same:
        _say(out, f"Nothing changed in {', '.join(same)}.")


def _what(one: OutcomeExplained) -> str:
    said = [_WORDS[one.outcome]]
    if one.late:
        said.append(f"late: it happened on a day before that of #{one.seq - 1}")
    if (back := one.takes_back) is not None:
        which = f"#{back.seq}, " if back.seq is not None else ""
        spans = ", ".join(back.taken_from)
        said.append(f"takes back {which}{_WORDS[back.outcome]} on {back.day}: one less of that in {spans}")
    if one.taken_back_by is not None:
        said.append(f"taken back by #{one.taken_back_by}, counts nowhere")
    return "; ".join(said)


def _end(window: Window) -> str:
    match window.state:
        case "to_come":
            return f"enters {window.from_day}"
        case "inside":
            return f"leaves {window.leaves_on}"
        case "left":
            return f"left {window.leaves_on}"


def _say(out: Console, *lines: str) -> None:
    for line in lines:
        out.print(cell(line), soft_wrap=True)
