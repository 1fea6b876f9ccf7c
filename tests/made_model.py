"""A model folder as a study writes it, without a study."""

import json

from ganhtr.train.checkpoint import save_generator
from ganhtr.train.model_folder import CONFIG, GENERATOR, GUIDE


def save_model(folder, state, guide):
    """Writes what `load_model` reads into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    save_generator(folder / GENERATOR, state)
    guide.save(folder / GUIDE)
    content = {
        "preset": state.config.preset,
        "config": state.config.flat(),
        "charset": state.charset.characters,
    }
    (folder / CONFIG).write_text(json.dumps(content), encoding="utf-8")
