"""Where every task of the running loop stands, for the log of a stall."""

import asyncio
from typing import Final

FRAMES_LIMIT: Final = 8
TASKS_LIMIT: Final = 200


def task_stacks() -> dict[str, str]:
    """Return task name -> its innermost frames, ``file:line function`` from the outside in; 200 tasks at most.

    Follows awaited coroutines, so a task that waits deep inside a library shows the whole way there.
    """
    stacks = {}
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name())[:TASKS_LIMIT]:
        frames: list[str] = []
        awaited: object = task.get_coro()
        while awaited is not None and len(frames) < 100:
            frame = (
                getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None) or getattr(awaited, "ag_frame", None)
            )
            if frame is None:
                break
            code = frame.f_code
            frames.append(f"{code.co_filename}:{frame.f_lineno} {code.co_name}")
            awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
        stacks[task.get_name()] = " > ".join(frames[-FRAMES_LIMIT:]) or "no frame"
    return stacks
