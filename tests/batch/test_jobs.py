"""What the outputs of a photo depend on, and so what makes it be done anew."""

from __future__ import annotations

from dataclasses import replace

from mattelike.batch.jobs import Settings, base_key
from tests.batch.rooms import context_of
from tests.toy_model import toy


def test_a_photo_is_done_anew_when_context_model_or_settings_change() -> None:
    """Also when only the settings change with which targets are looked at: a saved context keeps its own."""
    context = context_of(toy())
    key = base_key(context, "red", Settings(), '{"timestep": 200}')
    assert key == base_key(context, "red", Settings(), '{"timestep": 200}')
    others = {
        base_key(context, "blue", Settings(), '{"timestep": 200}'),
        base_key(context, "red", Settings(), '{"timestep": 100}'),
        base_key(context, "red", Settings(refine="none"), '{"timestep": 200}'),
        base_key(replace(context, sha256="f" * 64), "red", Settings(), '{"timestep": 200}'),
        base_key(replace(context, settings='{"side": 64}'), "red", Settings(), '{"timestep": 200}'),
    }
    assert len(others) == 5
    assert key not in others
