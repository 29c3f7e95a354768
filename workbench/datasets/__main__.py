"""``python -m workbench.datasets``: list the data sets, and fetch the published ones."""

import argparse
import sys
from collections.abc import Sequence

from workbench.datasets.archives import DamagedFile
from workbench.datasets.catalogue import describe
from workbench.datasets.published import fetch
from workbench.datasets.published_molecules import MOLECULE_SETS, describe_molecules, fetch_molecules
from workbench.datasets.published_set import PUBLISHED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    >>> main(["list"]) == 0
    digits...
    True
    """
    parser = argparse.ArgumentParser(
        prog="python -m workbench.datasets",
        description="List the data sets, and fetch the published ones. A broken download continues where it stopped.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every set, with the command that fetches it where one is needed")
    fetching = commands.add_parser("fetch", help="download a published set, check it, and keep it for offline use")
    fetching.add_argument("name", choices=(*PUBLISHED, *MOLECULE_SETS), help="which set")
    fetching.add_argument("--mirror", help="base address to use instead of the public one (also WORKBENCH_MIRROR)")
    fetching.add_argument("--folder", help="where to keep it (default: the user's cache, or WORKBENCH_DATA)")
    given = parser.parse_args(arguments)
    if given.command == "list":
        listed = {**describe(), **describe_molecules()}.values()
        sys.stdout.writelines(f"{d.name:16s} {d.summary}; {d.fetch_command or 'embedded'}\n" for d in listed)
        return 0
    try:
        chosen = fetch_molecules if given.name in MOLECULE_SETS else fetch
        folder = chosen(given.name, mirror=given.mirror, folder=given.folder)
    except (DamagedFile, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command continues from here\n")
        return 130
    sys.stdout.write(f"{given.name} is in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
