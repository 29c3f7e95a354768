"""Features of SO(3), O(3) and E(3) on top of e3nn, and what is faster than e3nn where that was measured.

Its modules are imported by name where they are used, because e3nn takes seconds to load: nothing is re-exported here.
"""
