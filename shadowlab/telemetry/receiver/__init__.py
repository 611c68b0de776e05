"""Receive OTLP while it happens: nothing is answered before it is on the disk, and it is SQL a moment later.

>>> from shadowlab.telemetry import receiver
>>> receiver.receive(case, receiver.Listen())  # doctest: +SKIP
"""

from shadowlab.telemetry.receiver.intake import Limits
from shadowlab.telemetry.receiver.listen import Address, Listen
from shadowlab.telemetry.receiver.merging import Care
from shadowlab.telemetry.receiver.service import Tell, Told, left_over, receive, recover
from shadowlab.telemetry.receiver.status import Status
from shadowlab.telemetry.receiver.unstored import complete
from shadowlab.telemetry.receiver.window import Window

__all__ = [
    "Address", "Care", "Limits", "Listen", "Status", "Tell", "Told", "Window", "complete", "left_over", "receive",
    "recover",
]  # fmt: skip
