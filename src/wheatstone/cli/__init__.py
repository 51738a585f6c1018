"""The command `wheatstone`: one file a verb, each a frozen dataclass of options and a `run` function.

Only the verb that was asked for is imported, so help does not wait for torch.
"""

import sys
from importlib import import_module

__all__ = ["VERBS", "main"]

# verb -> (module, one line of help)
VERBS = {
    "demo": ("demo", "the photos inside scikit-image become a stereo data set and its page: run this first"),
    "generate": ("generate", "photos to a stereo data set with a report page: the main job"),
    "scenes": ("scenes", "rendered worlds with exact truth, in the data format of the library"),
    "verify": ("verify", "check every promise of a data set, sample by sample"),
    "export": ("export", "a data set for other people's trainers: zerostereo, kitti, webdataset"),
    "depth": ("depth", "a photo to relative inverse depth and a picture of it"),
    "match": ("match", "a pair to disparity, its picture, a point cloud and a mask of what can be trusted"),
    "train": ("train", "train a network by a recipe"),
    "evaluate": ("evaluate", "measure a depth estimator, a matcher or a synthesizer on a data set"),
    "info": ("info", "versions, devices, extras, the model table with licences"),
}

EXIT_OK, EXIT_REJECTS, EXIT_BAD_CALL, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> None:
    """Run one verb and exit: 0 done, 1 done but the verb's own check failed, 2 bad call, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        sys.exit(EXIT_OK if arguments else EXIT_BAD_CALL)
    if arguments[0] in ("-V", "--version"):
        from wheatstone import __version__

        print(f"wheatstone {__version__}")
        sys.exit(EXIT_OK)
    verb, *rest = arguments
    if verb not in VERBS:
        print(f"wheatstone: unknown verb {verb!r}: use one of {', '.join(VERBS)}", file=sys.stderr)
        sys.exit(EXIT_BAD_CALL)
    sys.exit(_run(verb, rest))


def _run(verb: str, arguments: list[str]) -> int:
    import tyro

    from wheatstone.errors import WheatstoneError

    module = import_module(f"wheatstone.cli.{VERBS[verb][0]}")
    # a verb with any number of positional arguments lets options stand between them
    arguments = getattr(module, "arrange", list)(arguments)
    options = tyro.cli(module.Options, prog=f"wheatstone {verb}", args=arguments, description=module.__doc__)
    try:
        return int(module.run(options) or EXIT_OK)
    except WheatstoneError as error:
        print(f"wheatstone {verb}: {error}", file=sys.stderr)
        return EXIT_BAD_CALL
    except KeyboardInterrupt:
        print(f"\nwheatstone {verb}: interrupted; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED


def _usage() -> str:
    lines = ["usage: wheatstone VERB ...", "", "Single photographs become stereo.", ""]
    lines += [f"  {verb:<15} {text}" for verb, (_, text) in VERBS.items()]
    lines += ["", "wheatstone VERB --help shows the options of a verb."]
    return "\n".join(lines)
