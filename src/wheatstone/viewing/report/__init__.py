"""The report page of a data set: one HTML file that opens offline, on a phone, in the dark.

It reads the data set on disk and nothing else, so it can be made again at any time with
`wheatstone.viewing.write_report(folder)`.
"""

from wheatstone.viewing.report.page import write_report
from wheatstone.viewing.report.welcome import write_welcome

__all__ = ["write_report", "write_welcome"]
