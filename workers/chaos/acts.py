"""What happens to the processes, and when: made from a seed before anything runs."""

import random
from typing import Final, Literal, NamedTuple

Kind = Literal["kill", "leave", "freeze", "replace"]
_FIRST_S: Final = 1.0
_LAST_S: Final = 3.0


class Act(NamedTuple):
    """`kill`: SIGKILL; `leave`: SIGTERM; `freeze`: SIGSTOP until the group counts it as dead, then SIGCONT;
    `replace`: frozen as well, and another takes its place, and its name, before it wakes and is told to leave.
    """

    at_s: float
    kind: Kind
    whom: float
    """Which of those that can be chosen at that moment, from 0 to 1."""
    for_s: float
    """How long its place is empty, or it is frozen."""


def plan_acts(kills: int, lasting_s: float, session_s: float, rng: random.Random) -> list[Act]:
    """As many kills as wished, every other one of them at once replaced by a new process, and what else happens.

    At the end some are frozen who wake when nothing comes any more: what they still had in hands would stay the last
    word.
    """
    kinds: list[Kind] = ["kill"] * kills
    if kills:
        others: dict[Kind, int] = {"leave": kills // 3, "freeze": kills // 6, "replace": kills // 10}
        kinds += [kind for kind, count in others.items() for _ in range(count + 1)]
    rng.shuffle(kinds)
    times = sorted(rng.uniform(_FIRST_S, lasting_s - _LAST_S) for _ in kinds)
    planned = list(zip(times, kinds, strict=True))
    if kills:
        last: tuple[Kind, Kind] = ("replace", "freeze")
        planned += [(lasting_s - _LAST_S * rng.random(), kind) for kind in last]
    acts = []
    for at_s, kind in sorted(planned):
        if kind == "kill":
            for_s = 0.0 if rng.random() < 0.5 else rng.uniform(0.5, 4)
        elif kind == "leave":
            for_s = rng.uniform(1, 6)
        else:
            for_s = session_s + rng.uniform(1, 4)
        acts.append(Act(at_s, kind, rng.random(), for_s))
    return acts
