"""The container image of the model server: Debian's Python, nine modules and the trained weights."""

from pathlib import Path

from e2e.cluster.images import build_image, python_base
from e2e.models import train

NAME = "modelrollout.dev/model-server"
TAG = "dev"
MODULES = (
    "__init__",
    "server",
    "http11",
    "telemetry",
    "exposition",
    "feedback",
    "cohorts",
    "behaviour",
    "classifier",
)
ENTRYPOINT = ("/usr/bin/python3", "-S", "-m", "e2e.models.server")


def reference(tag: str = TAG) -> str:
    """Return the image's full name, as a Deployment names it."""
    return f"{NAME}:{tag}"


def archive(tag: str = TAG) -> Path:
    """Return the OCI archive of the image; builds what is missing (base tree, training) on first use."""
    here, models = Path(__file__).parent, train.artifacts()
    code = {f"/app/e2e/models/{module}.py": here / f"{module}.py" for module in MODULES}
    weights = {f"/models/{name}.json": models / f"{name}.json" for name in train.MODELS}
    return build_image(
        NAME,
        tag=tag,
        layers=[{"/": python_base()}, {**code, **weights}],
        entrypoint=ENTRYPOINT,
        env={"PYTHONPATH": "/app", "PYTHONDONTWRITEBYTECODE": "1", "MODEL_DIR": "/models"},
    )


if __name__ == "__main__":
    print(archive())
