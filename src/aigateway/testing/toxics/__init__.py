"""A bad network on loopback: a TCP proxy between the gateway and a vendor, and what may befall it.

    async with Toxics.before(vendor.url) as proxy:
        proxy.url                                # configure it as that vendor's base_url
        proxy.toxic = Latency(0.2, jitter=0.1)   # answers come late, from now on and on open connections

The sandbox misbehaves as vendors do, in HTTP; this misbehaves as networks do, below it. A toxic
acts on what the vendor sends (`toxic`) or on what the gateway sends (`upstream_toxic`).

| toxic             | what happens                                                                |
|-------------------|-----------------------------------------------------------------------------|
| Latency           | everything comes later, in order                                            |
| Bandwidth         | so many bytes per second                                                    |
| Slicer            | small pieces                                                                |
| SlowClose         | the end comes late                                                          |
| Cut               | a clean end (FIN) on both sides after so many bytes                         |
| HalfClose         | a clean end of one direction; the other stays open                          |
| Reset             | RST on both sides: at once, at the first byte, after so many bytes          |
| BlackHole         | nothing is answered; or not even a connection is accepted                   |
"""

from __future__ import annotations

from ._flow import Flow, Toxic
from ._proxy import Toxics
from ._toxics import Bandwidth, BlackHole, Cut, HalfClose, Latency, Reset, Slicer, SlowClose

__all__ = [
    "Bandwidth",
    "BlackHole",
    "Cut",
    "Flow",
    "HalfClose",
    "Latency",
    "Reset",
    "Slicer",
    "SlowClose",
    "Toxic",
    "Toxics",
]
