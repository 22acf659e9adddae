"""`python -m controlplane.metrics`: docs/metrics.md on the standard output."""

from __future__ import annotations

import sys

from controlplane.metrics.document import document

sys.stdout.write(document())
