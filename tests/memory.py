"""Peak memory of a process that a test starts: its own, not what it was forked from.

``ru_maxrss`` of a child begins at the peak of its parent, which in a long test run is anything. Linux says in
``/proc`` what a process itself has held since it was started; elsewhere ``ru_maxrss`` is all there is.
"""

PEAK_BYTES = """
def peak_bytes():
    import resource, sys
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
"""
