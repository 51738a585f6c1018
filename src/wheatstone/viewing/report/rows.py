"""One sample as a row of pictures with its figures."""

from wheatstone.errors import DatasetError
from wheatstone.samples import Origin
from wheatstone.viewing.report.charts import percent, pixels, short
from wheatstone.viewing.report.gather import FIGURES, Chosen, Store
from wheatstone.viewing.report.markup import Markup, element, relative_address
from wheatstone.viewing.report.pictures import Cell, cells_of
from wheatstone.viewing.thumbnails import data_uri

__all__ = ["ORIGIN_WORDS", "cell_figure", "sample_row"]

ORIGIN_WORDS = {
    Origin.CRACK: ("crack", "a gap of a pixel or two where a surface was stretched"),
    Origin.DISOCCLUSION: ("disocclusion", "background that only the new eye sees"),
    Origin.BORDER: ("border", "beyond the edge of the photo"),
    Origin.CONTAMINATED_RIM: ("rim", "edge pixels that mix foreground and background"),
    Origin.GENERATED: (
        "generated",
        "painted for another reason: the disparity there is unknown, or the part preferred its own pixel to the one that landed",
    ),
}
"""What each origin is called on the page, and what it means."""


def sample_row(store: Store, chosen: Chosen, width: int = 256) -> Markup:
    """The row of a sample with thumbnails `width` pixels wide; a file that is missing or broken is reported in its place."""
    try:
        pictures = element("div", *(cell_figure(cell) for cell in cells_of(store, chosen.line, width)), class_="cells")
    except DatasetError as error:
        pictures = element("p", f"The files of this sample cannot be shown: {error}", class_="broken")
    reasons = [element("span", reason, class_="badge") for reason in chosen.reasons]
    return element(
        "article",
        element("h3", chosen.key),
        element("p", *reasons, class_="badges") if reasons else None,
        pictures,
        element("dl", *_figures(chosen), class_="facts"),
        class_="sample suspicious" if reasons else "sample",
    )


def cell_figure(cell: Cell, folder: str = "") -> Markup:
    """One picture with its caption, in a button that enlarges it.

    Args:
        cell: the picture.
        folder: the data set's folder as seen from the page, if it is not the page's own.
    """
    file = f"{folder}/{cell.file}" if folder else cell.file
    width, height = cell.size
    picture = element(
        "img",
        src=data_uri(cell.data, cell.media_type),
        alt=cell.alt,
        width=width,
        height=height,
        loading="lazy",
        decoding="async",
    )
    button = element(
        "button",
        picture,
        type="button",
        class_="moving" if cell.moving else None,
        data_file=relative_address(file) if cell.file and file else None,
    )
    caption: list[object] = [element("span", cell.name, class_="cell-name")]
    if cell.scale:
        low, high = cell.scale
        caption.append(
            element(
                "span",
                element("span", low),
                element("span", class_=f"bar {cell.bar}", aria_hidden="true"),
                element("span", high),
                class_="scale",
            )
        )
    if cell.origins:
        caption.append(element("span", *(_origin(*each) for each in cell.origins.items()), class_="origins"))
    return element("figure", button, element("figcaption", *caption), class_="cell")


def _origin(code: Origin, share: float) -> Markup:
    """A swatch with its word and the share of the view, for the caption of the holes."""
    word, meaning = ORIGIN_WORDS[code]
    swatch = element("span", class_=f"swatch origin-{int(code)}", aria_hidden="true")
    return element("span", swatch, f" {word} {percent(share) if share >= 5e-4 else 'under 0.1 %'}", title=meaning)


def _figures(chosen: Chosen) -> list[Markup]:
    line = chosen.line
    pairs = [("size", f"{line['width']} × {line['height']} px")]
    for name, value in chosen.figures.items():
        figure = FIGURES.get(name)
        label = figure.label if figure else name.replace("_", " ")
        unit = figure.unit if figure else ("%" if name.endswith("_share") else "px" if name.endswith("_px") else "")
        pairs.append((label, {"%": percent, "px": pixels}.get(unit, short)(value)))
    if focal := line.get("focal_px"):
        pairs.append(("focal length", pixels(float(focal))))
    return [element("div", element("dt", label), element("dd", value)) for label, value in pairs]
