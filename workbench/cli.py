"""The `workbench` command: reads the command line and hands it to workbench.commands; no logic lives here."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from workbench import __version__
from workbench.commands.flags import as_flags

# One row per word: name, one line for the overview, what --help teaches, examples (command, what it does).
LAB = """\
Open JupyterLab on the first notebook, notebooks/00_start_here.ipynb.

It listens on this machine only, asks no other machine for anything (no news, no update check, no extension
shop) and keeps its settings in a folder of its own, so that your own JupyterLab stays as it is."""

KERNEL = """\
Install this environment as a Jupyter kernel, so that any JupyterLab of yours can run the notebooks in it.

The kernel's name tells the device it computes on: the GPU where there is one, else the CPU. The notebooks
choose the device by themselves; nothing in them changes."""

SERVE = """\
Serve the explorers as web pages: a front page and one page per explorer.

Only this machine can connect unless you say otherwise. An address that others can reach needs a password: the
first line of --password-file, or the variable WORKBENCH_PASSWORD."""

LIST = """\
List what is here: methods (papers), explorers (one question each) and data sets, with what is on disk.

A new file workbench/models/<paper>.py or workbench/explorers/<name>.py appears here by itself."""

TRAIN = """\
Train one network and keep it as a run folder: configuration, weights, labelled history, checkpoint.

Say what to train either as METHOD/EXPERIMENT (`workbench list` names them) or as a JSON file with the entries
model, data, training and seed: the config.json of any run folder is such a file.

Training that was interrupted goes on exactly where it was with --resume, as if nothing had happened. A run keeps
its last two checkpoints: where the last one is damaged, --resume previous goes on from the one before."""

REPRODUCE = """\
Train a method's networks over several seeds, measure its claims and print: paper says / we measured.

The labelled results are stored as one NetCDF file. The verdict is data: 'not reproduced' is a result.

It may be stopped at any time and called again: finished networks are kept, the others go on where they were. Each
network has a run folder under --runs; one that is damaged is mended by `workbench train --out THAT_FOLDER --resume
previous`, and then this is called again. Networks are trained beside each other in worker processes; --workers 0
trains them one after another in this process, without Dask: slower, but every message comes straight from here."""

AUDIT = """\
Which symmetry does a network have on your data, how much, and where does it break? The answer is printed in
sentences and kept as one HTML report that opens offline, beside all numbers as a labelled NetCDF file.

MODEL is one of
  package.module:name, file.py:name   a torch module, or a function without arguments that makes one. Importing it RUNS
                                      ITS CODE, with your rights: name only code that you would run yourself
  FOLDER                              a run of `workbench train`
  FILE.pt2, FILE.pt                   an exported or TorchScript program. It is audited end to end only: the hooks that
                                      watch layers do not reach inside such a program, and the report says so
DATA is a folder of pictures (sub-folders are classes), .npy, .npz, NetCDF, a torch Dataset as package.module:name
(its code is run, too), or a data set of `workbench list data`. The samples are images (N, C, H, W), series (N, C, L),
points (N, points, d + F) with F features each, or sets (N, members, F): --kind says which, or the names in the file
(images, series, points, sets; inputs for any; labels), the network and the shape, and the answer says what was taken.
A network that puts out a dict or tuple needs --select.

Ctrl-C stops it. With --resume the finished pieces are kept, and the same command goes on from them.

Exit codes: 0 done; 1 the error is above --fail-above; 2 a mistake in what was given; 130 stopped."""

DOCTOR = """\
Say what this installation has: versions, device, browser, disk, data. For each thing missing, print the one
command that mends it. The exit code is 1 when something needed is missing, else 0."""


def _add(words: argparse._SubParsersAction, name: str, summary: str, teach: str, examples: Sequence[tuple[str, str]]):
    width = max(len(command) for command, _ in examples)
    lines = "\n".join(f"  {command:<{width}}   {meaning}" for command, meaning in examples)
    word = words.add_parser(
        name,
        help=summary,
        description=teach,
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    word.set_defaults(run=f"workbench.commands.{name}")
    return word


def _port(text: str) -> int:
    port = int(text) if text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a whole number from 0 to 65535, not {text!r}")
    return port


def _count(text: str) -> int:
    count = int(text) if text.isdigit() else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is needed, not {text!r}")
    return count


def _workers(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number of at least 0 is needed (0: train here), not {text!r}")
    return int(text)


def _checkpoint(text: str) -> str:
    if text != "previous":
        raise argparse.ArgumentTypeError(
            f"only 'previous' may follow --resume, not {text!r}; to say what to train, write it before the options"
        )
    return text


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at least 0, not {text!r}")
    return int(text)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"numbers joined by commas are needed, not {text!r}") from None


def _bound(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of at least 0 is needed, not {text!r}")
    return value


def _add_faces(words: argparse._SubParsersAction) -> None:
    lab = _add(
        words,
        "lab",
        "open JupyterLab on the first notebook",
        LAB,
        [
            ("workbench lab", "open the first notebook in your browser"),
            ("workbench lab --no-browser --port 8899", "print the address instead, on a port of your choice"),
            ("workbench lab notebooks/01_partial_gcnn.ipynb", "open another notebook"),
            ("workbench lab -- --ServerApp.ip=0.0.0.0", "hand the rest to JupyterLab (here: listen on all addresses)"),
        ],
    )
    lab.add_argument("notebook", nargs="?", help="the notebook to open (default: notebooks/00_start_here.ipynb)")
    lab.add_argument("--port", type=_port, help="port to listen on (default: 8888, or the next free one)")
    lab.add_argument("--no-browser", action="store_true", help="do not open a browser; print the address")
    lab.set_defaults(rest=[])
    kernel = _add(
        words,
        "kernel",
        "install the Jupyter kernel of this environment",
        KERNEL,
        [
            ("workbench kernel", "install for your user"),
            ("workbench kernel --device cpu", "a second kernel that never touches the GPU"),
            ("workbench kernel --remove", "take it away again"),
        ],
    )
    kernel.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: auto")
    kernel.add_argument("--prefix", help="install under this folder instead of your user's")
    kernel.add_argument("--remove", action="store_true", help="remove the kernel instead")
    serve = _add(
        words,
        "serve",
        "serve the explorers as web pages",
        SERVE,
        [
            ("workbench serve", "on this machine, and open the front page"),
            ("workbench serve --port 8080 --no-browser", "on a port of your choice"),
            ("workbench serve --address 0.0.0.0 --password-file FILE", "for others on your network"),
            ("workbench serve --allow-origin explore.example.org", "behind a proxy of that name"),
        ],
    )
    serve.add_argument("--port", type=_port, default=5006, help="port (default: 5006; 0: any free one)")
    serve.add_argument("--address", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--password-file", metavar="FILE", help="ask every visitor for this password")
    serve.add_argument(
        "--allow-origin", action="append", default=[], metavar="HOST[:PORT]", help="also accept pages from here"
    )
    serve.add_argument("--no-browser", action="store_true", help="do not open a browser")
    serve.add_argument("--unsafe-any-origin", action="store_true", help="accept pages from anywhere")
    serve.add_argument("--unsafe-no-authentication", action="store_true", help="let strangers in without a password")


def _add_work(words: argparse._SubParsersAction) -> None:
    listing = _add(
        words,
        "list",
        "list methods, explorers and data sets",
        LIST,
        [
            ("workbench list", "everything"),
            ("workbench list methods", "one kind only"),
            ("workbench list --readme README.md", "bring the README's table of methods up to date"),
        ],
    )
    listing.add_argument("kind", nargs="?", choices=("methods", "explorers", "data"), help="only this kind")
    listing.add_argument("--readme", metavar="FILE", help="rewrite the table of methods in this file")
    listing.set_defaults(run="workbench.commands.listing")
    train = _add(
        words,
        "train",
        "train one network and keep it as a run folder",
        TRAIN,
        [
            ("workbench train partial_gcnn/six_180_partial --out runs/first", "an experiment of a method"),
            ("workbench train runs/first/config.json --out runs/again", "the same again, from its configuration"),
            ("workbench train --out runs/first --resume", "go on after an interruption"),
            ("workbench train --out runs/first --resume previous", "where the last checkpoint is damaged"),
        ],
    )
    train.add_argument("what", nargs="?", help="METHOD/EXPERIMENT, or a JSON file; not needed with --resume")
    train.add_argument("--out", required=True, help="the run folder to write")
    train.add_argument("--seed", type=_seed, help="seed (default: 0, or what the file says)")
    train.add_argument("--fast", action="store_true", help="the experiment's short version, to try things out")
    train.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        type=_checkpoint,
        metavar="previous",
        help="continue the run in --out from its last checkpoint, or from the previous one",
    )
    reproduce = _add(
        words,
        "reproduce",
        "train the seeds of a method and check its claims",
        REPRODUCE,
        [
            ("workbench reproduce partial_gcnn", "five seeds, stored as data/claims/partial_gcnn.nc"),
            ("workbench reproduce partial_gcnn --stored", "print the stored results, train nothing"),
            ("workbench reproduce partial_gcnn --ship", "and copy a trained network each to data/runs"),
            ("workbench reproduce partial_gcnn --fast", "a quick pass to try things out, kept under runs/"),
            ("workbench reproduce partial_gcnn --workers 0", "one after another, in this process"),
        ],
    )
    reproduce.add_argument("method", help="a method of `workbench list`")
    reproduce.add_argument("--seeds", type=_count, default=5, help="how many seeds (default: 5)")
    reproduce.add_argument("--out", help="the file to write (default: data/claims/METHOD.nc)")
    reproduce.add_argument("--fast", action="store_true", help="short training; the numbers are not the claims'")
    reproduce.add_argument("--runs", metavar="FOLDER", help="where the run folders lie (default: runs/METHOD)")
    reproduce.add_argument(
        "--workers",
        type=_workers,
        metavar="COUNT",
        help="training processes (default: one a core, one with a GPU; 0: none, train in this process)",
    )
    reproduce.add_argument("--ship", action="store_true", help="copy the runs of seed 0 to data/runs for the explorers")
    reproduce.add_argument("--stored", action="store_true", help="train nothing; read the stored file")
    _add(
        words,
        "doctor",
        "say what is here, what is missing and how to mend it",
        DOCTOR,
        [("workbench doctor", "the whole table")],
    )


def _add_audit(words: argparse._SubParsersAction) -> None:
    audit = _add(
        words,
        "audit",
        "say which symmetry a network has on your data",
        AUDIT,
        [
            ("workbench audit notebooks.resnet18:resnet18 --data photos", "a network by its import path"),
            ("workbench audit mynet.py:build --weights best.safetensors --data photos", "with trained weights"),
            ("workbench audit data/runs/partial_gcnn/rotated_strict --data digits", "a run of ours"),
            ("workbench audit net.pt2 --data images.npy --group 'C(4)' --fail-above 1e-4", "in your own CI"),
            ("workbench audit mynet.py:build --data molecules.npz --kind points", "on points, by their positions"),
            ("workbench audit a.py:build --beside b.py:build --data photos", "two networks in one report"),
        ],
    )
    audit.add_argument("model", metavar="MODEL", help="the network")
    audit.add_argument("--data", required=True, metavar="DATA", help="the images, series, points or sets")
    audit.add_argument(
        "--kind",
        choices=("auto", "image", "series", "points", "set"),
        default="auto",
        help="what a sample is (default: auto, told from names, network and shape, and said in the answer)",
    )
    audit.add_argument(
        "--select", metavar="KEY", help="the part of a dict or tuple: its key, attribute or place (0, 1), or head.boxes"
    )
    audit.add_argument("--weights", metavar="FILE", help="safetensors or a state dict (.pt) for an imported network")
    audit.add_argument(
        "--beside",
        metavar="MODEL",
        action="append",
        default=[],
        help="another network, audited on the same samples: one report with all curves on one axis, verdicts side by "
        "side and paired differences; may be given again; --weights and --fail-above are for the first network",
    )
    audit.add_argument(
        "--moves",
        default="auto",
        metavar="HOW",
        help="how the network's answer moves with its input: auto (inferred, said in the report), invariant, image, "
        "'vector field', 'boxes cxcywh in unit', 'key points in pixels', series, points, vectors, 'irreps 1x1o', set",
    )
    audit.add_argument("--labels", metavar="FILE", help="one whole number a sample: .npy, .npz or text")
    audit.add_argument(
        "--group",
        default="auto",
        help="auto (all that applies), or C(n), D(n), SO2, O2, Translation for images, Translation1, Scale(1), "
        "O1 for series, SO3, O3, E3, Translation3 for points, Symmetric(n) for sets",
    )
    audit.add_argument("--samples", type=_count, help="how many (default: what fits in a minute, 6 to 24)")
    audit.add_argument("--size", type=_count, help="height and width in pixels of pictures from a folder")
    audit.add_argument("--mean", type=_numbers, default=(), help="subtracted from pixels in [0, 1]: 0.5 or 0.4,0.5,0.6")
    audit.add_argument("--std", type=_numbers, default=(), help="pixels are divided by it after that")
    audit.add_argument(
        "--data-samples",
        type=_workers,
        default=128,
        metavar="COUNT",
        help="pictures that are asked which rotations the data themselves hold (default: 128; 0: do not ask)",
    )
    audit.add_argument("--repeats", type=_count, metavar="RUNS", help="averaged where chance is at work (default: 8)")
    audit.add_argument("--seed", type=_seed, default=0, help="of the choice of samples and of a stochastic network")
    audit.add_argument("--output", default="audit", metavar="FOLDER", help="where report.html and audit.nc go (audit/)")
    audit.add_argument(
        "--resume",
        action="store_true",
        help="keep the pieces of the sweeps in FOLDER/pieces, and go on from those that are there",
    )
    audit.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask scheduler (tcp://host:8786) whose workers measure the sweeps, also kept in FOLDER/pieces; name "
        "the network package.module:name, which they import; connect to a scheduler of your own only",
    )
    audit.add_argument(
        "--fail-above",
        type=_bound,
        metavar="ERROR",
        help="exit with 1 where the largest mean relative error, end to end, at elements that move pixels onto pixels "
        "(all elements where the group has none) is above this; errors that resampling a strided answer explains do "
        "not count",
    )


def parser() -> argparse.ArgumentParser:
    """The command line: one word per task, each with a --help that teaches."""
    top = argparse.ArgumentParser(
        prog="workbench",
        description="An interactive workbench for learned equivariance. Start with: workbench lab",
        epilog="Each word explains itself: workbench lab --help",
    )
    top.add_argument("--version", action="version", version=f"workbench {__version__}")
    top.add_argument("--traceback", action="store_true", help="show where an error came from")
    words = top.add_subparsers(title="words", metavar="WORD", required=True)
    _add_faces(words)
    _add_work(words)
    _add_audit(words)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one word of the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    rest: list[str] = []
    if "--" in given:
        given, rest = given[: given.index("--")], given[given.index("--") + 1 :]
    reader = parser()
    options = reader.parse_args(given)
    if rest and not hasattr(options, "rest"):
        reader.error(f"nothing may follow --, which only `workbench lab` hands on; got {' '.join(rest)!r}")
    options.rest, options.given = rest, given
    try:
        return importlib.import_module(options.run).run(options)
    except BrokenPipeError:  # `workbench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ArithmeticError, ModuleNotFoundError) as error:
        if options.traceback:
            raise
        print(f"workbench: {as_flags(str(error), options.run.rpartition('.')[2])}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("workbench: stopped", file=sys.stderr)
        return 130
