"""Progress bars of long work, on standard error; silent when that is no terminal and ``--json`` was asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reefmesh_standalone.commands.context import people


@contextmanager
def bars(*, quiet: bool = False) -> Iterator[Callable[[str, int | None], Callable[[int], None]]]:
    """Yield a function that adds a bar (its title, its total; None: nobody knows) and returns the function that moves it."""
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=people, disable=quiet) as progress:

        def add(title: str, total: int | None) -> Callable[[int], None]:
            task = progress.add_task(title, total=total)
            return lambda done: progress.update(task, completed=done)

        yield add
