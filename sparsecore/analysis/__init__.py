"""What can be said of a trained point: is it stationary under the constraint, how curved is the objective."""

from sparsecore.analysis.curvature import Curvature, lipschitz
from sparsecore.analysis.stationarity import Certificate, GroupCertificate, stationarity

__all__ = ["Certificate", "Curvature", "GroupCertificate", "lipschitz", "stationarity"]
