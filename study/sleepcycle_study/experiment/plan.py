"""The plan of a study, as its TOML file says it."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
)

from sleepcycle.curricula.curriculum import (
    Curriculum,
    builtin,
    builtins,
    read_curriculum,
)
from sleepcycle.errors import ConfigError
from sleepcycle.settings.config import ModelSettings, WakeSettings
from sleepcycle.settings.faults import checked
from sleepcycle.settings.nightconfig import SleepSettings
from sleepcycle.settings.section import Section, once
from sleepcycle.settings.toml_file import parse_toml
from sleepcycle_study.experiment.arms import ARMS

PLANS = Path(__file__).parents[1] / "plans"

LEARNING: dict[str, Any] = {
    "batch_size": 4,
    "dropout": 0.05,
    "weight_decay": 0.01,
    "warmup_steps": 10,
}
"""How the article learns, where it differs from the service's defaults."""


def _known(arms: list[str]) -> list[str]:
    """Refuse an arm that is unknown."""
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown:
        known = ", ".join(repr(arm) for arm in ARMS)
        raise ValueError(f"expected arms among {known}, got {unknown[0]!r}")
    return once(arms)


class StudyPlan(Section):
    """What is compared, on what, and how often."""

    name: str
    """What the study is called."""

    curriculum: str
    """A curriculum that is built in, or the path of one, from the plan's folder."""

    model: ModelSettings = ModelSettings(
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]
    )
    """The base, and where adapters sit: on attention, as in the article."""

    arms: Annotated[list[str], AfterValidator(_known)] = Field(min_length=1)
    """Ways to learn, by name."""

    controls: Annotated[list[str], AfterValidator(_known)] = Field(
        default_factory=lambda: ["flat", "phases"]
    )
    """Arms that every other arm is compared with."""

    seeds: Annotated[list[int], AfterValidator(once)] = Field(
        default_factory=lambda: [42, 43, 44], min_length=1
    )
    """A seed draws the lessons, the questions and all else of a run."""

    questions: PositiveInt = 50
    """Questions of each dimension."""

    language: str = "en"
    """Of the lessons."""

    samples_scale: PositiveFloat = 1.0
    """What the number of each phase's items is multiplied by."""

    lr_floor: NonNegativeFloat = 0.0
    """Least that a phase scales the learning rate to: small models learn nothing more
    at the tenth of the last phase."""

    wake: WakeSettings = WakeSettings(**LEARNING)
    """How every phase is learned; a phase scales its learning rate, and epochs."""

    sleep: SleepSettings = SleepSettings()
    """Of the arms that sleep; an arm says what it folds, and how."""

    text: str = ""
    """A text file, from the plan's folder, on which the loss before and after is
    looked at; an empty line parts its texts."""

    harness: Annotated[list[str], AfterValidator(once)] = Field(default_factory=list)
    """Tasks of lm-evaluation-harness that are scored before and after: YAML files, or
    folders of them, from the plan's folder. Each needs a folder of its own, with its
    data in it; their own functions are run, so trust them."""

    harness_limit: NonNegativeInt = 0
    """Documents of each of these tasks, the first ones; 0 for all."""

    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """Where the plan lies."""
        return self._folder

    def lessons(self) -> Curriculum:
        """Return its curriculum.

        Raises:
            ConfigError: There is none, or it is wrong.
        """
        if self.curriculum in builtins():
            return builtin(self.curriculum)
        return read_curriculum(self.folder / self.curriculum)

    def expected(self) -> dict[str, list[int]]:
        """Return which seeds each arm is run with."""
        return dict.fromkeys(self.arms, self.seeds)


def read_plan(path: Path) -> StudyPlan:
    """Read a plan; a name such as `quick` is one of those that come with the package.

    Raises:
        ConfigError: It cannot be read, or a key or a value is wrong.
    """
    own = PLANS / f"{path}.toml"
    file = own if own.is_file() and not path.is_file() else path
    try:
        data = file.read_bytes()
    except OSError as error:
        known = ", ".join(sorted(plan.stem for plan in PLANS.glob("*.toml")))
        raise ConfigError(
            f"expected a study's plan in {path}, got: {error.strerror or error}; give "
            f"the path of one, or one of those built in: {known}"
        ) from error
    return parse_plan(data, file)


def parse_plan(data: bytes, file: Path) -> StudyPlan:
    """Read a plan from its file's bytes.

    Args:
        data: UTF-8 TOML.
        file: Where they lie; what the plan names is looked up beside it.

    Raises:
        ConfigError: A key or a value is wrong.
    """
    fields = parse_toml(data, file)
    fields.setdefault("name", file.stem)
    wake = fields.get("wake", {})
    if isinstance(wake, dict):
        fields["wake"] = LEARNING | wake
    plan = checked(StudyPlan, fields, file=str(file))
    plan._folder = file.parent  # no key, so that no file can set it
    return plan
