"""PayPal's Transaction Search over the book: refunds of a period, as strict with its parameters as the real one."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workers.providers.simulated import paypal_form
from workers.providers.simulated.book import Entry
from workers.providers.simulated.wire import Settings

PATH: Final = "/v1/reporting/transactions"
_REFUND: Final = "T1107"
_STATUS: Final = {"succeeded": "S", "pending": "P", "requires_action": "P", "failed": "V", "canceled": "D"}
_BALANCE: Final = frozenset({"S", "V"})
_FIELDS: Final = frozenset(
    {
        *("start_date", "end_date", "transaction_id", "transaction_type", "transaction_status", "transaction_amount"),
        *("transaction_currency", "payment_instrument_type", "store_id", "terminal_id", "fields", "page_size", "page"),
        "balance_affecting_records_only",
    }
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.]\d+)?([Zz]|[+-]\d\d:?\d\d)\Z")
_MAX_PERIOD: Final = timedelta(days=31)
_MAX_PAGE: Final = 500
_MAX_ITEMS: Final = 10_000


class Invalid(Exception):
    """A query that PayPal refuses."""

    def __init__(self, message: str, name: str = "INVALID_REQUEST") -> None:
        super().__init__(message)
        self.name = name


def page_of(
    query: Iterable[tuple[str, str]], entries: Iterable[Entry], settings: Settings, now: float
) -> dict[str, Any]:
    """A page of the report. Raises `Invalid`."""
    asked = dict(query)
    if unknown := asked.keys() - _FIELDS:
        raise Invalid(f"no such parameter: {min(unknown)}")
    since, until = _time(asked, "start_date"), _time(asked, "end_date")
    if not timedelta(0) <= until - since <= _MAX_PERIOD:
        raise Invalid("Date range is greater than 31 days")
    size, number = _whole(asked, "page_size", 100, _MAX_PAGE), _whole(asked, "page", 1, 2**31 - 1)
    refreshed = now - settings.report_lag_s
    found = [
        _transaction(entry)
        for entry in entries
        if entry.provider == "paypal"
        and since.timestamp() <= entry.created <= until.timestamp()
        and entry.created <= refreshed
        and asked.get("transaction_type", _REFUND) == _REFUND
        and (_STATUS[entry.status] in _BALANCE or asked.get("balance_affecting_records_only") == "N")
    ]
    if len(found) > _MAX_ITEMS:
        text = "Result set size is greater than the maximum limit. Change the filter criteria and try again."
        raise Invalid(text, "RESULTSET_TOO_LARGE")
    return {
        "transaction_details": found[(number - 1) * size : number * size],
        "account_number": "SIMULATED",
        "start_date": asked["start_date"],
        "end_date": asked["end_date"],
        "last_refreshed_datetime": _text(refreshed),
        "page": number,
        "total_items": len(found),
        "total_pages": -(-len(found) // size),
    }


def _transaction(entry: Entry) -> dict[str, Any]:
    value = paypal_form.value_of(entry.amount, entry.currency)
    told = {
        "transaction_id": entry.id,
        "paypal_reference_id": entry.reference,
        "paypal_reference_id_type": "TXN",
        "transaction_event_code": _REFUND,
        "transaction_initiation_date": _text(entry.created),
        "transaction_updated_date": _text(entry.created),
        "transaction_amount": {"currency_code": entry.currency, "value": f"-{value}"},
        "transaction_status": _STATUS[entry.status],
    }
    if "custom_id" in entry.sent:
        told["custom_field"] = entry.sent["custom_id"]
    if "invoice_id" in entry.sent:
        told["invoice_id"] = entry.sent["invoice_id"]
    return {"transaction_info": told}


def _time(asked: dict[str, str], name: str) -> datetime:
    text = asked.get(name, "")
    if not _TIME.match(text):
        raise Invalid(f"not a date and time: {name}")
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        raise Invalid(f"not a date and time: {name}") from None


def _whole(asked: dict[str, str], name: str, default: int, most: int) -> int:
    text = asked.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise Invalid(f"not a number within its limits: {name}")
    return int(text)


def _text(at: float) -> str:
    """As PayPal writes times here: without a colon in the zone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
