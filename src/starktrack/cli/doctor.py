"""`starktrack doctor`: shows versions, devices, codecs and missing extras."""


def doctor() -> None:
    """Show versions, devices, codecs and missing extras."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from starktrack.workflows.doctor import examine

    table = Table("what", "found", "remark")
    for column in table.columns:
        column.overflow = "fold"
    for finding in examine():
        table.add_row(finding.what, finding.found, escape(finding.remark))
    Console().print(table)
