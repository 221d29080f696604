"""`annul up`: the local stack and every worker, without traffic, until Ctrl-C."""

import asyncio

from rich.console import Console

from workers.demo.running import RunningAnnul

DEFAULTS = {
    "ANNUL_REFUND_PENDING_LOOK_UP_S": "5",
    "ANNUL_REFUND_LOOK_UP_BASE_S": "2",
    # Nobody waits ten minutes on their own machine to see a refund redirected whose answer got lost.
    "ANNUL_REFUND_LONGEST_STALL_S": "10",
}
SIMULATION = {"latency-ms": "25", "settle-after-s": "5"}


async def run(console: Console) -> None:
    """Until cancelled. Tells on the terminal what a client needs, as lines that a shell can read."""
    console.print("Starting …")
    async with RunningAnnul("up", DEFAULTS, simulation=SIMULATION) as annul:
        for name, value in sorted(annul.environment.items()):
            console.print(f"{name}={value}", soft_wrap=True, highlight=False)
        console.print("Up. `annul order ID`, `annul verify`, `annul parked list` find it. Ctrl-C ends it.")
        await asyncio.Event().wait()
