"""std_srvs/Trigger, which a robot may lack: then a service of it is not offered, and the log says so."""

from __future__ import annotations

from typing import Any


def trigger_class(logger: Any, service: str, otherwise: str) -> Any:
    """Return std_srvs/Trigger; None, with a warning that there is no ``service`` and what to do ``otherwise``."""
    try:
        from std_srvs.srv import Trigger
    except ImportError as error:
        logger.warning(
            f'no service {service}: std_srvs is not installed ({error}). Install ros-$ROS_DISTRO-std-srvs, or '
            f'{otherwise}.'
        )
        return None
    return Trigger
