"""Who looks at an outage doesn't make it worse: what takes long to read is read more rarely."""

from typing import Any

import pytest
from kit.population import settings_for

from workers.insight.overview import Figures, read_figures
from workers.ops import watching
from workers.ops.asking import Reader
from workers.ops.watching import Watch


@pytest.mark.parametrize(("took_s", "kept_s"), [(0.005, 1.0), (0.5, 25.0), (4.0, 30.0)])
async def test_the_longer_figures_take_to_read_the_longer_they_are_kept(
    populated: str, monkeypatch: pytest.MonkeyPatch, took_s: float, kept_s: float
) -> None:
    now_s, readings = 0.0, 0

    async def read(connection: Any) -> Figures:
        nonlocal now_s, readings
        now_s, readings = now_s + took_s, readings + 1
        return await read_figures(connection)

    monkeypatch.setattr(watching, "read_figures", read)
    reader = Reader(populated)
    watch = Watch(settings_for(populated), reader, clock=lambda: now_s)
    await watch.figures()
    now_s += kept_s - 0.01
    await watch.figures()
    assert readings == 1
    now_s += 0.02
    await watch.figures()
    assert readings == 2
    watch.forget()
    await watch.figures()
    assert readings == 3, "what was changed here is seen at once"
    await reader.close()
