"""One trainer, one table of recipes."""

from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule
from wheatstone.training.schedule import learning_rate_factor
from wheatstone.training.table import recipes
from wheatstone.training.trainer import TrainingResult, train

__all__ = ["Build", "Optimiser", "Recipe", "Schedule", "TrainingResult", "learning_rate_factor", "recipes", "train"]
