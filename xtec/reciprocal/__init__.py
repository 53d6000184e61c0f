"""Where in reciprocal space a cluster sits."""

from xtec.reciprocal.fold import ZonePosition, zone_position

__all__ = ["ZonePosition", "zone_position"]
