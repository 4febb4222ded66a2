"""What options mean for the process."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mattelike import photos
from mattelike.cli import options


def test_threads_count_for_the_products_of_numpy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """On some processors their last bits depend on it, and with them what is written."""
    monkeypatch.setattr(photos, "set_threads", lambda count: None)  # libvips's stay as they are
    with threadpool_limits(2, user_api="blas"):
        options.load("imagenet", (), "cpu", 1)
        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools and set(pools) == {1}
