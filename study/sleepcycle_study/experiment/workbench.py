"""What every run of a study is made on, in whichever process."""

from dataclasses import dataclass
from pathlib import Path

import torch

from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.records.progress import OnProgress, ignore_progress
from sleepcycle_study.experiment import results, trial
from sleepcycle_study.experiment.plan import StudyPlan
from sleepcycle_study.experiment.results import StudyRun
from sleepcycle_study.experiment.trial import Trial


@dataclass(frozen=True, slots=True)
class Workbench:
    """A plan, the folder that keeps its runs, and where they are computed."""

    plan: StudyPlan
    folder: Path
    device: str = "auto"
    threads: int = 0
    """Of one process; 0 leaves the choice to torch."""

    def load(self) -> Base:
        """Load the base that the plan names, for this process.

        Raises:
            ModelError: It is not here, or cannot be used.
            ConfigError: A target module does not exist in it.
        """
        if self.threads:
            torch.set_num_threads(self.threads)
        return load_base(
            self.plan.model,
            device=pick_device(self.device),
            cache=self.folder / "cache",
        )

    def make(
        self, base: Base, job: Trial, *, on_progress: OnProgress = ignore_progress
    ) -> StudyRun:
        """Make a run, and write it into the folder.

        Raises:
            StudyError: The plan asks or teaches what is not there.
            DivergedError: The loss exploded or is not a number.
            DiskError: The disk could not keep it.
        """
        outcome = trial.run(self.plan, base, job, on_progress=on_progress)
        results.write(self.folder, outcome)
        return outcome


def share_of_threads(processes: int) -> int:
    """Return how many threads each of some processes takes, at least one.

    Together they take as many as torch would take alone: the cores, or what the
    environment says (OMP_NUM_THREADS).
    """
    return max(1, torch.get_num_threads() // processes)
