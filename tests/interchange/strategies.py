"""Tracks drawn at random, with all that the model can hold."""

from hypothesis import strategies as st

from starktrack.interchange.tracks import Mask, Observation, Polygon, Rectangle, Track, VideoTracks

SIZE_HW = (96, 128)
LENGTH = 9

WORDS = st.sampled_from(
    ["duck", "Straßenbahn", "赤い車", "кошка", "a b c", '"quoted" & <odd>', "it's", "1", "x,y;z", "10%"]
)
QUARTERS = st.integers(-40, 400).map(lambda number: number / 4)
SIDES = st.integers(1, 300).map(lambda number: number / 4)
SHARES = st.integers(0, 8).map(lambda number: number / 8)


@st.composite
def masks(draw):
    import numpy as np

    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    pixels = np.array(draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    pixels = pixels.reshape(height, width)
    pixels[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = True
    return Mask.of_pixels(pixels, (draw(st.integers(0, 100)), draw(st.integers(0, 80))))


RECTANGLES = st.builds(
    Rectangle,
    st.tuples(QUARTERS, QUARTERS, SIDES, SIDES),
    st.one_of(st.just(0.0), st.integers(1, 359).map(float)),
)
POLYGONS = st.builds(
    Polygon, st.lists(st.tuples(QUARTERS, QUARTERS), min_size=3, max_size=6, unique=True).map(tuple)
).filter(lambda polygon: min(polygon.bounds_xywh[2:]) > 0)
SHAPES = st.one_of(RECTANGLES, POLYGONS, masks())
ATTRIBUTES = st.dictionaries(st.sampled_from(["pose", "the team"]), WORDS, max_size=2)


@st.composite
def videos(draw):
    """Draw a video of up to three targets in up to nine frames."""
    has_visibility = draw(st.booleans())
    ids = draw(st.lists(st.integers(0, 40), min_size=1, max_size=3, unique=True))
    tracks = []
    colours: dict[str, str | None] = {}
    for number in ids:
        frames = sorted(draw(st.sets(st.integers(0, LENGTH - 1), min_size=1)))
        label = draw(WORDS)
        observations = tuple(
            Observation(
                frame,
                draw(SHAPES),
                seconds=draw(st.one_of(st.none(), st.just(frame / 8))),
                score=draw(st.one_of(st.none(), SHARES)),
                visibility=draw(SHARES) if has_visibility else None,
                occluded=draw(st.one_of(st.none(), st.booleans())),
                key=draw(st.booleans()),
                attributes=draw(ATTRIBUTES),
            )
            for frame in frames
        )
        colour = colours.setdefault(label, draw(st.sampled_from([None, "#ff0088"])))
        tracks.append(Track(number, label, observations, colour))
    length = draw(st.one_of(st.none(), st.integers(LENGTH, LENGTH + 2)))
    name = draw(st.sampled_from(["", "duck pond.mp4", "池.mp4"]))
    return VideoTracks(tuple(tracks), name, SIZE_HW, length, draw(st.sampled_from([None, 12.5, 25.0])))
