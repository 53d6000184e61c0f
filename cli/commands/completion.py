"""``xtec completion``."""

from __future__ import annotations

import os
from pathlib import Path

import rich_click as click

_SHELLS = {
    "bash": ('eval "$(xtec completion bash)"', "~/.bashrc"),
    "zsh": ('eval "$(xtec completion zsh)"', "~/.zshrc"),
    "fish": ("xtec completion fish | source", "~/.config/fish/config.fish"),
}
"""What to write, and where, so that a shell completes in every session."""


@click.command("completion")
@click.argument("shell", required=False, type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print what makes a shell complete commands, options, files and plugins; [the shell in use].

    \b
    echo 'eval "$(xtec completion bash)"' >> ~/.bashrc
    echo 'eval "$(xtec completion zsh)"' >> ~/.zshrc
    echo 'xtec completion fish | source' >> ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    shell = shell or Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(shell) if shell in _SHELLS else None
    if kind is None:
        raise click.UsageError(f"Which shell? One of {', '.join(_SHELLS)}.")
    line, file = _SHELLS[shell]
    click.echo(f"# to have it in every session, write into {file}:  {line}")
    click.echo(kind(context.find_root().command, {}, "xtec", "_XTEC_COMPLETE").source())
