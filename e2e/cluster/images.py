"""Container images without a container engine: deterministic OCI archives from file trees."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from e2e.cluster.artifacts import cache_root, cached, go_binary
from e2e.cluster.rootfs import python_base, python_wheels

__all__ = ["PAUSE", "build_image", "pause", "python_base", "python_wheels"]

PAUSE = "modelrollout.dev/pause:1"
FORMAT = "1"
SKIPPED = ("__pycache__", ".git")

Layer = Mapping[str, Path]
"""Where in the image a file, or the content of a directory, comes from: `{"/usr/bin/tool": path}`."""


def build_image(
    name: str,
    *,
    tag: str,
    layers: Sequence[Layer],
    entrypoint: Sequence[str],
    command: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    user: str = "65532:65532",
    workdir: str = "/",
) -> Path:
    """OCI archive of image `name:tag` (full name with its host), for `ctr -n k8s.io images import`.

    Equal content makes an equal archive, byte for byte: entries sorted, owner root, times zero, modes 0755 or
    0644. Images that share a layer share it in the node too. Raises FileNotFoundError for a missing source.
    """
    config = _config(entrypoint=entrypoint, command=command, env=env or {}, user=user, workdir=workdir)
    short = name.rsplit("/", 1)[-1]

    def build(directory: Path) -> None:
        _write_archive(directory / f"{short}.tar", reference=f"{name}:{tag}", config=config, layers=layers)

    key = [FORMAT, name, tag, json.dumps(config, sort_keys=True)]
    for layer in layers:
        key += ["layer", *(part for entry in sorted(layer.items()) for part in (entry[0], fingerprint(entry[1])))]
    path = cached(f"image-{short}", key=key, build=build, label=f"image {name}:{tag}", estimate_s=5)
    return path / f"{short}.tar"


def pause() -> Path:
    """Archive of the image PAUSE, which holds a pod's namespaces (containerd: `sandbox_image`)."""
    binary = go_binary(
        "pause",
        module_dir=Path(__file__).parent / "go" / "pause",
        package=".",
        ldflags="-s -w",
        label="pause",
        estimate_s=10,
    )
    name, tag = PAUSE.rsplit(":", 1)
    return build_image(name, tag=tag, layers=[{"/pause": binary}], entrypoint=["/pause"], user="65535:65535")


def fingerprint(source: Path) -> str:
    """Hash of a file's or tree's content; of the path alone for what lies in the build cache.

    Raises FileNotFoundError.
    """
    artifacts = cache_root() / "artifacts"
    if source.is_relative_to(artifacts) and source.exists():
        return source.relative_to(artifacts).as_posix()  # named after its content, and never changed
    digest = hashlib.sha256()
    for path, entry in _entries("/", source):
        digest.update(f"{path}\0{entry.type!r}\0{entry.mode}\0{entry.size}\0{entry.linkname}\0".encode())
        if entry.isreg():
            digest.update(_source(source, path).read_bytes())
    return digest.hexdigest()


def _config(
    *, entrypoint: Sequence[str], command: Sequence[str], env: Mapping[str, str], user: str, workdir: str
) -> dict[str, Any]:
    path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return {
        "User": user,
        "WorkingDir": workdir,
        "Env": [f"{key}={value}" for key, value in sorted({**path, **env}.items())],
        "Entrypoint": list(entrypoint),
        "Cmd": list(command),
    }


def _write_archive(archive: Path, *, reference: str, config: Mapping[str, Any], layers: Sequence[Layer]) -> None:
    target = _platform()
    with tarfile.open(archive, "w") as out:
        blobs = [_add_layer(out, layer, scratch=archive.with_suffix(".layer")) for layer in layers]
        image = _add_json(
            out,
            {
                **target,
                "created": "1970-01-01T00:00:00Z",
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": [blob["digest"] for blob in blobs]},
            },
            media="application/vnd.oci.image.config.v1+json",
        )
        manifest = _add_json(
            out,
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": image,
                "layers": blobs,
            },
            media="application/vnd.oci.image.manifest.v1+json",
        )
        names = {
            "io.containerd.image.name": reference,
            "org.opencontainers.image.ref.name": reference.rsplit(":", 1)[1],
        }
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{**manifest, "platform": target, "annotations": names}],
        }
        _add_bytes(out, "index.json", _encode(index))
        _add_bytes(out, "oci-layout", _encode({"imageLayoutVersion": "1.0.0"}))


def _add_layer(out: tarfile.TarFile, layer: Layer, *, scratch: Path) -> dict[str, Any]:
    with tarfile.open(scratch, "w") as tar:
        entries: dict[str, tuple[tarfile.TarInfo, Path]] = {}
        for destination, source in layer.items():
            for path, entry in _entries(destination, source):
                entries[path] = (entry, _source(source, path, root=destination))
        for path in list(entries):
            for parent in Path(path).parents:
                if parent.as_posix() not in (".", "/"):
                    entries.setdefault(parent.as_posix(), (_directory(parent.as_posix()), parent))
        for _, (entry, source) in sorted(entries.items()):
            if entry.isreg():
                with source.open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
    with scratch.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        content.seek(0)
        size = scratch.stat().st_size
        _add(out, f"blobs/sha256/{digest}", content, size)
    scratch.unlink()
    return {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": f"sha256:{digest}",
        "size": size,
    }


def _entries(destination: str, source: Path) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Paths (without leading slash) and headers for one source; sorted within each directory."""
    root = destination.strip("/")
    if not source.is_dir():
        yield root, _entry(root, source)
        return
    cache = source.is_relative_to(cache_root())
    for folder, names, files in os.walk(source):
        # A checkout's byte code is of some other moment; the cache's was made with the tree.
        names[:] = sorted(name for name in names if cache or name not in SKIPPED)
        for name in sorted([*names, *files]):
            path = Path(folder) / name
            inside = (Path(root) / path.relative_to(source)).as_posix()
            yield inside, _entry(inside, path)


def _source(source: Path, path: str, *, root: str = "/") -> Path:
    return source / Path(path).relative_to(root.strip("/")) if source.is_dir() else source


def _entry(name: str, source: Path) -> tarfile.TarInfo:
    status = source.lstat()
    entry = tarfile.TarInfo(name)
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(source), 0o777
    elif stat.S_ISDIR(status.st_mode):
        entry = _directory(name)
        entry.mode = 0o1777 if status.st_mode & stat.S_ISVTX else 0o755
    elif stat.S_ISREG(status.st_mode):
        entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    else:
        raise ValueError(f"{source} is neither a file nor a directory nor a link; leave it out of the image")
    return entry


def _directory(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry


def _add_json(out: tarfile.TarFile, document: Mapping[str, Any], *, media: str) -> dict[str, Any]:
    raw = _encode(document)
    digest = hashlib.sha256(raw).hexdigest()
    _add_bytes(out, f"blobs/sha256/{digest}", raw)
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(raw)}


def _add_bytes(out: tarfile.TarFile, name: str, raw: bytes) -> None:
    _add(out, name, io.BytesIO(raw), len(raw))


def _add(out: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    out.addfile(entry, content)


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _platform() -> dict[str, str]:
    machine = platform.machine()
    return {"os": "linux", "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)}
