"""What goes on when settings change while a gateway serves: what is known, and parts that are the same."""

from ._before import Before
from ._lasting import Lasting

__all__ = ["Before", "Lasting"]
