"""What makes a recipe of JSSUNet a matter of seconds."""

SMALL = (
    "model.features=8",
    "model.stages=1",
    "model.n_clusters=3",
    "model.patch=3",
    "model.window=5",
    "data.crop=16",
    "data.batch_size=2",
    "data.sampling=random",
    "phase1.ema=0.9",
)
