"""Many replays to be compared: what a person asks for, and the running of it."""

from controlplane.study.inputs import StudyInputs, read_study
from controlplane.study.study import Study

__all__ = ["Study", "StudyInputs", "read_study"]
