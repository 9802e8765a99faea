"""Drawing a box with the mouse, in a window of the standard library's toolkit."""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from starktrack.arrays import Box, Image
from starktrack.errors import BoxError, StarktrackError

if TYPE_CHECKING:
    import tkinter

LARGEST_WINDOW = (1280, 800)
"""Width and height, screen pixels; larger frames are shown smaller."""


def select_box(image: Image) -> Box:
    """Show a frame and return the box that the user drags over it, image pixels.

    Raises:
        StarktrackError: There is no display, or Python was built without tkinter.
        BoxError: The window was closed without a box.
    """
    try:
        import tkinter
    except ImportError as error:
        raise StarktrackError(
            "--select needs Python's tkinter, which is missing; use --box X,Y,W,H"
        ) from error
    try:
        window = tkinter.Tk()
    except tkinter.TclError as error:
        raise StarktrackError(f"--select needs a display, got none ({error}); use --box X,Y,W,H") from error
    height, width = image.shape[:2]
    scale = min(1.0, LARGEST_WINDOW[0] / width, LARGEST_WINDOW[1] / height)
    corners = _drag(window, cv2.resize(image, (round(width * scale), round(height * scale))))
    if corners is None:
        raise BoxError("a box must be drawn with the mouse, got none; drag over the target, then press Enter")
    (x1, x2), (y1, y2) = sorted(corners[0::2]), sorted(corners[1::2])
    return np.array([x1, y1, x2 - x1, y2 - y1]) / scale


def _drag(window: "tkinter.Tk", picture: Image) -> tuple[int, int, int, int] | None:
    import tkinter

    window.title("Drag a box over the target, then press Enter (Esc: cancel)")
    height, width = picture.shape[:2]
    ppm = b"P6 %d %d 255 " % (width, height) + picture.tobytes()
    shown = tkinter.PhotoImage(master=window, data=ppm, format="PPM")
    canvas = tkinter.Canvas(window, width=width, height=height, highlightthickness=0, cursor="crosshair")
    canvas.pack()
    canvas.create_image(0, 0, anchor="nw", image=shown)
    outline = canvas.create_rectangle(0, 0, 0, 0, outline="#e69f00", width=2)
    corners: list[int] = []

    def press(event: tkinter.Event) -> None:
        corners[:] = [event.x, event.y, event.x, event.y]

    def drag(event: tkinter.Event) -> None:
        corners[2:] = [min(max(event.x, 0), width), min(max(event.y, 0), height)]
        canvas.coords(outline, *corners)

    def cancel(_: tkinter.Event | None) -> None:
        corners.clear()
        window.destroy()

    canvas.bind("<ButtonPress-1>", press)
    canvas.bind("<B1-Motion>", drag)
    window.bind("<Return>", lambda _: window.destroy())
    window.bind("<Escape>", cancel)
    window.protocol("WM_DELETE_WINDOW", lambda: cancel(None))
    window.mainloop()
    return (corners[0], corners[1], corners[2], corners[3]) if corners else None
