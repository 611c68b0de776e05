"""Pictures and tables of records, made once, for the notebook, the page, the code host and the printer alike.

>>> from shadowlab import views
>>> views.side_by_side(proposal.top.diff)            # doctest: +SKIP
"""

from shadowlab.views.picture import Page, Picture, picture
from shadowlab.views.sidebyside import in_full, side_by_side
from shadowlab.views.waterfall import draw as waterfall

__all__ = ["Page", "Picture", "in_full", "picture", "side_by_side", "waterfall"]
