"""When requests that may wait are run: processing policies, and the replicas they need.

Pure like the rest of `scheduler`: numbers in, amounts out. An amount is in requests, or in any other unit of work.
"""

from scheduler.processing.base import CreditBalance, ProcessingPolicy, Queue, Release
from scheduler.processing.book import ReleaseBook, Waiting
from scheduler.processing.ceilings import replica_ceilings
from scheduler.processing.estimate import carbon_expected
from scheduler.processing.release import ReleasePlan, ReleasePlanPolicy, release_plan
from scheduler.processing.throttle import ThrottlePolicy, ThrottleSettings, throttle, throttle_ceiling

__all__ = [
    "CreditBalance",
    "ProcessingPolicy",
    "Queue",
    "Release",
    "ReleaseBook",
    "ReleasePlan",
    "ReleasePlanPolicy",
    "ThrottlePolicy",
    "ThrottleSettings",
    "Waiting",
    "carbon_expected",
    "release_plan",
    "replica_ceilings",
    "throttle",
    "throttle_ceiling",
]
