"""Both simulated providers on ports of their own, for tests and the demo."""

import random
import time
from collections.abc import Callable
from typing import Literal, Self

import msgspec
from aiohttp import web

from workers.providers.simulated.book import Book, Captured
from workers.providers.simulated.engine import Simulator, World
from workers.providers.simulated.fault_table import FAULTS
from workers.providers.simulated.paypal import PayPalSimulator
from workers.providers.simulated.stripe import StripeSimulator
from workers.providers.simulated.webhooks import Webhooks
from workers.providers.simulated.wire import Dropped, Reply, Request, Settings, json_reply

_MAX_BODY_BYTES = 1_048_576


class _Register(msgspec.Struct, frozen=True):
    """`POST /_annul/captures`, one or a list: what a reference holds, in the provider's minor unit."""

    provider: Literal["stripe", "paypal"]
    reference: str
    amount: int | None = None
    """None: a lot, as of a reference that nobody registered."""
    currency: str | None = None


class _Move(msgspec.Struct, frozen=True):
    """`POST /_annul/moves`: give a refund another status, in Stripe's words."""

    id: str
    status: Literal["succeeded", "pending", "failed", "canceled"]
    reason: str | None = None


class _Dispute(msgspec.Struct, frozen=True):
    """`POST /_annul/disputes`: a client's bank takes the money back, or (`won`) gives it up again."""

    provider: Literal["stripe", "paypal"]
    reference: str
    won: bool = False


class _Outage(msgspec.Struct, frozen=True):
    """`POST /_annul/outage`: every request of a provider meets this fault from now on, or none any more."""

    provider: Literal["stripe", "paypal"]
    mode: Literal["http_503", "http_401", "http_403", "rate_limited", "timeout_before", "drop_before", "none"]
    for_s: float | None = None
    """None: until `mode` is `none`."""


class _Plan(msgspec.Struct, frozen=True):
    """`POST /_annul/faults`: a provider's next calls that the fault fits meet it, whatever their reference."""

    provider: Literal["stripe", "paypal"]
    fault: str
    times: int = 1


class SimulatedProviders:
    """Async context manager: inside it both providers answer at `stripe_base` and `paypal_base`."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        stripe_port: int = 0,
        paypal_port: int = 0,
    ) -> None:
        """Without `rng` ids differ from run to run, as a store that outlives the simulation needs."""
        self.world = World(settings or Settings(), rng or random.SystemRandom(), clock)
        self.stripe = StripeSimulator(self.world)
        self.paypal = PayPalSimulator(self.world)
        self.webhooks = Webhooks(self.world, self.paypal)
        self.stripe_base = ""
        self.paypal_base = ""
        self._host = host
        self._ports = {"stripe": stripe_port, "paypal": paypal_port}
        self._runners: list[web.AppRunner] = []

    @property
    def book(self) -> Book:
        """Every refund that was made."""
        return self.world.book

    async def __aenter__(self) -> Self:
        self.stripe_base = await self._serve(self.stripe)
        self.paypal_base = await self._serve(self.paypal)
        self.paypal.base_url = self.paypal_base
        return self

    async def __aexit__(self, *_: object) -> None:
        # First, so that calls that hang end at once.
        self.world.closing.set()
        await self.webhooks.close()
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, simulator: Simulator) -> str:
        async def answer(request: web.Request) -> web.StreamResponse:
            asked = Request(
                method=request.method,
                path=request.path,
                query=tuple(request.query.items()),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
            )
            try:
                if asked.path.startswith("/_annul/"):
                    reply = self._administer(asked)
                else:
                    reply = await simulator.handle(asked)
            except Dropped:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=500)
            return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, self._host, self._ports[simulator.provider])
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def _register(self, told: _Register | list[_Register]) -> None:
        for one in told if isinstance(told, list) else [told]:
            amount = self.world.settings.captured if one.amount is None else one.amount
            self.book.register(one.provider, one.reference, Captured(amount, one.currency))

    def _administer(self, asked: Request) -> Reply:
        try:
            match asked.method, asked.path:
                case "GET", "/_annul/book":
                    return json_reply(200, self.book.as_json())
                case "POST", "/_annul/captures":
                    self._register(msgspec.json.decode(asked.body, type=_Register | list[_Register]))
                case "POST", "/_annul/moves":
                    move = msgspec.json.decode(asked.body, type=_Move)
                    self.book.move(move.id, move.status, move.reason)
                case "POST", "/_annul/disputes":
                    dispute = msgspec.json.decode(asked.body, type=_Dispute)
                    self.webhooks.dispute(dispute.provider, dispute.reference, won=dispute.won)
                case "POST", "/_annul/outage":
                    outage = msgspec.json.decode(asked.body, type=_Outage)
                    if outage.mode == "none":
                        self.world.end_outage(outage.provider)
                    else:
                        self.world.begin_outage(outage.provider, FAULTS[outage.mode], outage.for_s)
                case "POST", "/_annul/faults":
                    plan = msgspec.json.decode(asked.body, type=_Plan)
                    self.world.faults.plan(plan.provider, plan.fault, plan.times)
                case _:
                    return json_reply(404, {"error": "no such path"})
        except msgspec.MsgspecError as error:
            return json_reply(400, {"error": str(error)})
        except KeyError:
            return json_reply(404, {"error": "no such refund or fault"})
        return json_reply(200, {"ok": True})
