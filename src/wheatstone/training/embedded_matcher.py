"""Recipe of the matcher that ships: rendered pairs alone, every pixel supervised, hidden ones too."""

from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule

__all__ = ["EMBEDDED_MATCHER"]

EMBEDDED_MATCHER = Recipe(
    name="embedded-matcher",
    about="the small matcher that ships, from rendered scenes alone",
    parts={"matcher": Build("wheatstone.matching.embedded:EmbeddedMatcher")},
    objective=Build(
        "wheatstone.objectives.sequence:SequenceLoss",
        {"iterations": 4, "gamma": 0.9, "initial": 0.3, "edge_weight": 1.0, "edge_px": 3},
    ),
    data=Build(
        "wheatstone.training.scene_pairs:scene_pairs",
        {
            "pairs": 1600,
            "size": (320, 480),
            # what two cameras do differently is drawn by `camera_like`; from the pair's own augmentation only geometry, blur
            # of one view and covered patches are left
            "augmentation": {
                "crop": (160, 256),
                "noise": 0.0,
                "blur": 0.2,
                "brightness": 0.0,
                "contrast": 0.0,
                "saturation": (1.0, 1.0),
                "hue": 0.0,
                "asymmetric": 0.0,
                "erase": 0.2,
                "erase_px": (15, 50),
                "scale": (-0.4, 0.4),
                "stretch": 0.15,
                "vertical_jitter": 1,
            },
            "start": 0.85,
        },
    ),
    steps=5000,
    batch=4,
    optimiser=Optimiser(lr=8e-4, weight_decay=0.01),
    schedule=Schedule("cosine", warmup=0.02, final=0.005),
    precision="bf16",
    clip_norm=1.0,
    ema_decay=0.998,
    save_every=100,
    save_dtype="float16",
)
