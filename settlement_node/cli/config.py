"""`config`: the settings."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import ConfigOption
from settlement_node.cli.output import EXIT_WRONG, JsonOption, emit, finish, reports_errors

app = typer.Typer(no_args_is_help=True, help="The settings.")

MARKS = {"right": "[green]right[/]", "note": "[yellow]note [/]", "wrong": "[bold red]wrong[/]"}


@app.command("check")
@reports_errors
def check(config: ConfigOption = None, json_output: JsonOption = False) -> None:
    """Look at everything the settings name, and say what is right and what is wrong.

    The file, API keys, signers, every endpoint and its chain id, the database and its schema, and
    for each fund its signer, settler, treasury and gas. Exit status 1 when anything is wrong.
    """
    from settlement_node.cli.checks import check_everything
    from settlement_node.config.loading import find_file

    path = find_file(config)
    findings = list(check_everything(path))
    wrong = sum(finding.verdict.value == "wrong" for finding in findings)

    def human(console: Console) -> None:
        for finding in findings:
            mark = MARKS[finding.verdict.value]
            console.print(f"{mark}  {escape(finding.about)}: {escape(finding.words)}")
        console.print(
            f"\n{wrong} of {len(findings)} things looked at are wrong"
            if wrong
            else f"\nnothing is wrong; {len(findings)} things looked at"
        )

    data = {"file": str(path), "wrong": wrong, "findings": [f.data() for f in findings]}
    emit(data, json_output=json_output, human=human)
    if wrong:
        finish(EXIT_WRONG)
