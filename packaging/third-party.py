#!/usr/bin/env python3
"""Prints the licences of all crates that the launcher is built of, for distribution beside the program.

    packaging/third-party.py > THIRD-PARTY-LICENSES.txt

`cargo metadata` names the crates and where their sources are; their own licence files are quoted, each text once. Needs the crates'
sources on this machine, as any build does, and no network.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What a crate's own notice is called.
NOTICE = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def packages():
    """Every crate of others that ends up in the program or is needed to build it; what only tests use is left out."""
    command = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1",
               "--filter-platform", f"{os.uname().machine}-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    by_id = {package["id"]: package for package in metadata["packages"]}
    needs = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
    todo = [package["id"] for package in metadata["packages"] if package["name"] == "launcher"]
    seen = set(todo)
    while todo:
        for dependency in needs[todo.pop()]:
            ships = any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
            if ships and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                todo.append(dependency["pkg"])
    others = [by_id[identity] for identity in seen if by_id[identity]["source"]]
    return sorted(others, key=lambda package: (package["name"], package["version"]))


def notices(package):
    """The texts of a crate's licence files; of a crate without any, the standard text with the authors that it names."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(file for file in folder.iterdir() if file.is_file() and NOTICE.match(file.name))
    texts = [file.read_text(encoding="utf-8", errors="replace").strip() for file in files]
    if texts:
        return texts
    licence = package["license"] or ""
    if "MIT" in licence:
        authors = ", ".join(package["authors"]) or f"the authors of {package['name']}"
        text = (ROOT / "LICENSE-MIT").read_text(encoding="utf-8").strip()
        return [re.sub(r"Copyright \(c\) .*", f"Copyright (c) {authors}", text)]
    if "Apache-2.0" in licence:
        return [(ROOT / "LICENSE-APACHE").read_text(encoding="utf-8").strip()]
    sys.exit(f"third-party.py: {package['name']} has no licence file, and '{licence}' has no text here")


def main():
    used_by = {}
    print("P2P Chat contains the work of others, under the licences that follow. Its own: LICENSE-MIT, LICENSE-APACHE.\n")
    for package in packages():
        name = f"{package['name']} {package['version']}"
        print(f"{name}: {package['license']}")
        for text in notices(package):
            used_by.setdefault(" ".join(text.split()), (text, []))[1].append(name)
    for text, names in used_by.values():
        print(f"\n{'=' * 100}\n{', '.join(names)}\n{'=' * 100}\n\n{text}")


if __name__ == "__main__":
    main()
