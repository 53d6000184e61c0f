"""The public classes of the reference package xtec 0.1.1, as thin adapters on this engine.

Constructor arguments, attributes and shapes are the reference's, so arrays stand as ``(T, n)`` where the rest
of the package has ``(n, T)``. Import them as `xtec.Preprocessing` and `xtec.GMM`. What differs on purpose is
listed in docs/compat.md.
"""
