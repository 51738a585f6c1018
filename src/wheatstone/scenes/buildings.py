"""Houses and things that stand along a road."""

from wheatstone.scenes.materials import stuff
from wheatstone.scenes.world import Builder, Number, rotation

__all__ = ["bench", "building", "pole"]


def building(b: Builder, half: tuple[Number, Number, Number]) -> None:
    """A house front towards -x and -z with rows of windows, sills, a door and perhaps balconies."""
    wall, trim = (
        stuff(b, b.pick("brick", "plaster", "plaster", "stone", "tintwall")),
        stuff(b, b.pick("white", "stone", "plaster")),
    )
    glass = stuff(b, "dark", shine=0.9, macro=0.3)
    b.box((0, half[1], 0), half, wall)
    if b.chance(0.4):
        b.box((0, 2 * half[1] + 0.2, 0), (half[0] + 0.25, 0.2, half[2] + 0.25), trim)
    storey, bay = b.uniform(2.8, 3.6), b.uniform(1.8, 3.6)
    w, h = b.uniform(0.4, 0.62) * bay / 2, b.uniform(0.55, 0.85)
    balcony = b.chance(0.25)
    for level in range(max(int(2 * half[1] / storey), 1)):
        y = level * storey + 1.7
        for k in range(min(max(int(2 * half[2] / bay), 1), 9)):
            z = -half[2] + bay * (k + 0.6)
            b.box((-half[0], y, z), (0.03, h, w), glass)
            b.box((-half[0] - 0.05, y - h - 0.06, z), (0.1, 0.05, w * 1.15), trim)
            if balcony and level and k % 2 == 0:
                b.box((-half[0] - 0.5, y - h - 0.4, z), (0.5, 0.06, w * 1.3), trim)
                b.quad(
                    (-half[0] - 1.0, y - h + 0.1, z),
                    w * 1.3,
                    0.5,
                    stuff(b, "dark", cutout="bars", repeat=(2.0, 1.0)),
                    rotation(90),
                )
        for k in range(min(max(int(2 * half[0] / bay), 1), 5)):
            b.box((-half[0] + bay * (k + 0.6), y, -half[2]), (w, h, 0.03), glass)
    b.box((-half[0], 1.1, b.uniform(-0.6, 0.6) * half[2]), (0.05, 1.1, 0.55), stuff(b, b.pick("wood", "paint", "dark")))


def pole(b: Builder, tall: Number) -> None:
    """A street lamp, traffic sign, traffic light or plain pole."""
    m = stuff(b, b.pick("metal", "dark", "wood"))
    r = b.uniform(0.035, 0.09)
    b.limb((0, 0, 0), (0, tall, 0), r, r * 0.7, m)
    kind = b.pick("lamp", "sign", "light", "plain")
    if kind == "lamp":
        b.limb((0, tall, 0), (-1.2, tall + 0.15, 0), r * 0.6, r * 0.6, m)
        b.ball((-1.3, tall + 0.1, 0), (0.3, 0.08, 0.14), stuff(b, "white"))
    elif kind == "sign":
        b.drum((0, min(tall, 2.5), -0.08), 0.33, 0.01, stuff(b, "cover"), 1.0, rotation(pitch=90))
    elif kind == "light":
        b.box((0, min(tall, 3.0), -0.1), (0.15, 0.42, 0.12), stuff(b, "dark"))


def bench(b: Builder) -> None:
    """A wooden bench."""
    wood = stuff(b, "wood")
    b.box((0, 0.45, 0), (0.8, 0.03, 0.22), wood)
    b.box((0, 0.7, 0.2), (0.8, 0.14, 0.02), wood)
    b.box((-0.6, 0.22, 0), (0.04, 0.22, 0.2), wood)
    b.box((0.6, 0.22, 0), (0.04, 0.22, 0.2), wood)
