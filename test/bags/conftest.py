from ..recorded import write_scene

__all__ = ['write_scene']
