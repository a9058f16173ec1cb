"""Entry of the zygote process: make this folder a package without importing `tts`, then serve."""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location

FOLDER = os.path.dirname(os.path.abspath(__file__))


def main() -> None:
    """Run as `python -s -S -P -B zygote/__main__.py CONTROL REPORT SETTINGS`; never returns."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != FOLDER]
    spec = spec_from_file_location(
        "tts_zygote",
        os.path.join(FOLDER, "__init__.py"),
        submodule_search_locations=[FOLDER],
    )
    if spec is None or spec.loader is None:
        raise ImportError(FOLDER)
    package = module_from_spec(spec)
    sys.modules["tts_zygote"] = package
    spec.loader.exec_module(package)

    from tts_zygote.birth import main as birth  # type: ignore[import-not-found]

    birth(control=int(sys.argv[1]), report=int(sys.argv[2]), settings=sys.argv[3])


if __name__ == "__main__":
    main()
