"""Local stand-ins for the vendors: the whole gateway can be tried, and broken, without an account.

    async with Sandbox() as sandbox:
        sandbox.vendors["deepseek"].url           # configure it as that vendor's base_url
        await sandbox.set_fault("deepseek", "rate_limit:2")

They are real HTTP servers on loopback. Each speaks its vendor's dialect, refuses what its vendor
refuses, and can be made to fail in the ways vendors fail, while it runs.
"""

from __future__ import annotations

from ._faults import Fault
from ._sandbox import VENDORS, Sandbox

__all__ = ["VENDORS", "Fault", "Sandbox"]
