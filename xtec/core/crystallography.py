"""The library gemmi, loaded whole: it calls Python from C++, where an interrupt would abort the process."""

from xtec.core.interrupts import uninterrupted

with uninterrupted():
    import gemmi

__all__ = ["gemmi"]
