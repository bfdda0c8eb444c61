"""Images to train on and published latency corpora. Knows neither `search` nor `reports`."""

if not __name__.endswith("elat.datasets"):
    raise ImportError(
        "This folder is elat.datasets, not a top-level package: it is found because the current "
        "directory is elat's source folder. Use the `elat` command or set PYTHONSAFEPATH=1."
    )
