"""How the command line shows progress: one bar, fed by `wheatstone.progress`."""

from collections.abc import Iterator
from contextlib import contextmanager

from wheatstone.progress import Progress, ProgressCallback

__all__ = ["progress_bar"]


@contextmanager
def progress_bar() -> Iterator[ProgressCallback]:
    """Yield a callback that draws a bar with rate and time left on a terminal, and sparse plain lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("[dim]{task.fields[note]}", markup=True),
    )
    with Bar(*columns, console=console, transient=False) as bar:
        tasks = {}

        def show(state: Progress) -> None:
            if state.task not in tasks:
                tasks[state.task] = bar.add_task(state.task, total=state.total, speed="", note="")
            note = state.note[:60].replace("[", r"\[")
            bar.update(tasks[state.task], completed=state.done, total=state.total, speed=_speed(state), note=note)

        yield show


def _plain_lines(console: "object") -> ProgressCallback:
    shown: dict[str, int] = {}

    def show(state: Progress) -> None:
        step = max(1, (state.total or 100) // 10)
        if state.done // step == shown.get(state.task, -1) and state.done != state.total:
            return
        shown[state.task] = state.done // step
        total = f"/{state.total}" if state.total is not None else ""
        line = f"{state.task} {state.done}{total} {_speed(state)} {state.note}".rstrip()
        console.print(line, highlight=False, markup=False)  # type: ignore[attr-defined]

    return show


def _speed(state: Progress) -> str:
    if state.rate is None:
        return ""
    speed = f"{state.rate:.1f}/s" if state.rate >= 1 else f"{1 / state.rate:.1f} s each"
    if state.seconds_left is None:
        return speed
    minutes, seconds = divmod(int(state.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{speed}, {left} left"
