"""One trainer, one table of recipes."""

from wheatstone.training.overrides import with_settings
from wheatstone.training.plan import Plan, dry_run
from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule
from wheatstone.training.schedule import learning_rate_factor
from wheatstone.training.table import recipes
from wheatstone.training.trainer import TrainingResult, resolve_recipe, train

__all__ = [
    "Build",
    "Optimiser",
    "Plan",
    "Recipe",
    "Schedule",
    "TrainingResult",
    "dry_run",
    "learning_rate_factor",
    "recipes",
    "resolve_recipe",
    "train",
    "with_settings",
]
