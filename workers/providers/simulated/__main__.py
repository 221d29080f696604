"""Both simulated providers as one process, until SIGTERM or SIGINT."""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path

from workers.providers.simulated.server import SimulatedProviders
from workers.providers.simulated.wire import Settings


def main() -> None:
    """Read the options and serve."""
    options = _parser().parse_args()
    given = {name: value for name, value in vars(options).items() if name in Settings.__struct_fields__}
    if options.latency_ms is not None:
        given["latency_s"] = options.latency_ms / 1000
    if options.faults:
        given["random_faults"] = tuple(options.faults.split(","))
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    try:
        asyncio.run(_serve(options, settings))
    except ValueError as error:
        sys.exit(f"simulated providers: {error}")


async def _serve(options: argparse.Namespace, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    providers = SimulatedProviders(
        settings,
        rng=None if options.seed is None else random.Random(options.seed),  # noqa: S311 - a simulation repeats
        stripe_port=options.stripe_port,
        paypal_port=options.paypal_port,
    )
    async with providers:
        told = json.dumps({"stripe": providers.stripe_base, "paypal": providers.paypal_base, "pid": os.getpid()})
        if options.ports_file is not None:
            # Whoever waits for the file sees all of it or nothing.
            part = options.ports_file.with_name(options.ports_file.name + ".part")
            part.write_text(told)
            part.replace(options.ports_file)
        sys.stdout.write(told + "\n")
        sys.stdout.flush()
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.providers.simulated", description=__doc__)
    parser.add_argument("--stripe-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--paypal-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ports-file", type=Path, help="written as JSON once both answer: stripe, paypal, pid")
    parser.add_argument("--seed", type=int, help="for ids and random faults; without it every run differs")
    parser.add_argument("--latency-ms", type=float, help="mean time of a call")
    parser.add_argument("--fault-rate", type=float, help="share of calls that meet a random fault, 0 to 1")
    parser.add_argument("--faults", help="which faults those are, separated by commas; default: every passing one")
    for name, help_ in (
        ("settle-after-s", "until a pending refund settles"),
        ("hang-s", "how long a time-out hangs; longer than the caller's deadline"),
        ("slow-s", "how long a slow call takes"),
        ("late-s", "how late the effect of `effect_late` comes"),
        ("stripe-key-ttl-s", "how long Stripe keeps an idempotency key"),
        ("paypal-key-ttl-s", "how long PayPal keeps a request id"),
        ("report-lag-s", "how long PayPal's list doesn't know yet of a refund"),
    ):
        parser.add_argument(f"--{name}", type=float, help=help_)
    parser.add_argument("--token-ttl-s", type=int, help="how long a PayPal token lives")
    parser.add_argument("--retry-after-s", type=int, help="what a 429 asks for")
    parser.add_argument(
        "--forget-errors",
        dest="stripe_stores_errors",
        action="store_const",
        const=False,
        help="Stripe carries out a refused request anew under the same key, which the real one doesn't",
    )
    for name in (
        "currency",
        "stripe-api-key",
        "paypal-client-id",
        "paypal-client-secret",
        "stripe-webhook-url",
        "stripe-webhook-secret",
        "paypal-webhook-url",
        "paypal-webhook-id",
    ):
        parser.add_argument(f"--{name}")
    return parser


if __name__ == "__main__":
    main()
