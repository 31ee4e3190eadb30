"""What goes into the image is enough to run it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import e2e.models
from e2e.models import image, train
from e2e.models.behaviour import VARIANTS


def test_the_listed_modules_are_all_the_server_needs(models_dir: str, tmp_path: Path) -> None:
    package = tmp_path / "e2e" / "models"
    package.mkdir(parents=True)
    source = Path(str(e2e.models.__file__)).parent
    for module in image.MODULES:
        shutil.copy(source / f"{module}.py", package)
    # -S: no site-packages. An unknown variant ends the server after everything was imported.
    done = subprocess.run(
        [sys.executable, "-S", "-m", "e2e.models.server"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "VARIANT": "none", "MODEL_DIR": models_dir},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "VARIANT='none' is unknown" in done.stderr


def test_every_variant_has_its_weights() -> None:
    assert {variant.model for variant in VARIANTS.values()} == set(train.MODELS)
