"""Change one thing at a time until the symptom goes."""

from shadowlab.diagnose.frames import locate, map_frames
from shadowlab.diagnose.stage import diagnose

__all__ = ["diagnose", "locate", "map_frames"]
