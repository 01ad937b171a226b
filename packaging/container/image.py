#!/usr/bin/env python3
"""Writes an OCI image from a Dockerfile that needs nothing run: FROM scratch, COPY of one directory to /, and settings.

    image.py CONTEXT OUTPUT.tar NAME:TAG CREATED ARCHITECTURE

CREATED is a time in seconds since 1970, which all files get: the same input gives the same image. `docker load` (25 and newer),
`podman load` and `skopeo` read it. Instructions that are not listed here are errors.
"""

import datetime
import gzip
import hashlib
import io
import json
import pathlib
import shlex
import sys
import tarfile

SECOND = 1_000_000_000


def instructions(dockerfile):
    """Pairs of instruction and argument; comments and empty lines are left out."""
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def health(argument):
    """A health check as Docker's image configuration has it."""
    options, _, command = argument.partition("CMD ")
    names = {"--interval": "Interval", "--timeout": "Timeout", "--start-period": "StartPeriod"}
    check = {"Test": ["CMD", *json.loads(command)]}
    for option in options.split():
        name, _, value = option.partition("=")
        check[names[name]] = int(value.removesuffix("s")) * SECOND
    return check


def read(dockerfile):
    """The directory to copy, and the configuration."""
    source, config = None, {"Env": []}
    for word, rest in instructions(dockerfile):
        match word:
            case "FROM" if rest == "scratch":
                pass
            case "COPY" if rest.endswith(" /") and source is None:
                source = rest.removesuffix(" /")
            case "USER":
                config["User"] = rest
            case "ENV":
                config["Env"] += shlex.split(rest)
            case "WORKDIR":
                config["WorkingDir"] = rest
            case "VOLUME":
                config["Volumes"] = {path: {} for path in json.loads(rest)}
            case "EXPOSE":
                config["ExposedPorts"] = {f"{port}/tcp": {} for port in rest.split()}
            case "STOPSIGNAL":
                config["StopSignal"] = rest
            case "HEALTHCHECK":
                config["Healthcheck"] = health(rest)
            case "ENTRYPOINT":
                config["Entrypoint"] = json.loads(rest)
            case "CMD":
                config["Cmd"] = json.loads(rest)
            case _:
                sys.exit(f"image.py: cannot do: {word} {rest}")
    return source, config


def layer(root, created, owned):
    """A tar archive of a directory. All belongs to root, except for what `owned` names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            entry = archive.gettarinfo(path, arcname=name)
            entry.mtime, entry.uname, entry.gname = created, "", ""
            entry.uid, entry.gid = owned.get(name, (0, 0))
            if entry.isfile():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)
    return buffer.getvalue()


def main():
    context, output, name, created, architecture = sys.argv[1:]
    context, created = pathlib.Path(context), int(created)
    source, config = read(context / "Dockerfile")
    user = tuple(int(part) for part in config["User"].split(":"))
    plain = layer(context / source, created, {path.strip("/"): user for path in config["Volumes"]})
    blobs = {}

    def add(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    packed = add(gzip.compress(plain, compresslevel=6, mtime=0), "layer.v1.tar+gzip")
    time = datetime.datetime.fromtimestamp(created, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    description = {
        "created": time, "architecture": architecture, "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]},
        "history": [{"created": time, "created_by": "packaging/container/image.py"}],
    }
    described = add(json.dumps(description, sort_keys=True).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": described, "layers": [packed]}
    entry = add(json.dumps(manifest, sort_keys=True).encode(), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": name.rpartition(":")[2],
                            "io.containerd.image.name": name}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}, sort_keys=True).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    with tarfile.open(output, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(blobs):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mtime = len(blobs[path]), created
            archive.addfile(entry, io.BytesIO(blobs[path]))


if __name__ == "__main__":
    main()
