"""What replays promised and delivered, as a picture and as a page that needs nothing else."""

from controlplane.report.page import report_page
from controlplane.report.plot import picture_ending, replay_plot
from controlplane.report.sources import SourceNote

__all__ = ["SourceNote", "picture_ending", "replay_plot", "report_page"]
