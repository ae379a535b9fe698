"""Pictures of finished runs: pure functions from data to a plotly figure, for pages, reports and tests."""

from sparsecore.figures.cost import run_seconds, weights_left
from sparsecore.figures.front import pareto
from sparsecore.figures.layers import layer_densities
from sparsecore.figures.metric import metric_curve

__all__ = ["layer_densities", "metric_curve", "pareto", "run_seconds", "weights_left"]
