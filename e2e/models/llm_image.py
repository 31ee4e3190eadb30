"""The container image of the stand-in for vLLM: Debian's Python and three modules."""

from pathlib import Path

from e2e.cluster.images import build_image, python_base

NAME = "modelrollout.dev/llm-server"
TAG = "dev"
MODULES = ("__init__", "llm", "http11", "exposition")


def reference() -> str:
    """The image's full name, as a Deployment names it."""
    return f"{NAME}:{TAG}"


def archive() -> Path:
    """The OCI archive of the image; builds what is missing on first use."""
    here = Path(__file__).parent
    code = {f"/app/e2e/models/{module}.py": here / f"{module}.py" for module in MODULES}
    return build_image(
        NAME,
        tag=TAG,
        layers=[{"/": python_base()}, code],
        entrypoint=("/usr/bin/python3", "-S", "-m", "e2e.models.llm"),
        env={"PYTHONPATH": "/app", "PYTHONDONTWRITEBYTECODE": "1"},
    )
