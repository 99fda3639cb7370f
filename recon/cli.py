"""The command line."""

import argparse
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from deltamu.recon.atomic import disk_is_full
from deltamu.recon.errors import Cancelled, DeltamuError, InputError

Command = Callable[[argparse.Namespace], int]
PRESETS = ("tiny", "small", "full")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 2 (input), 3 (resources) or 130 (interrupted)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "command"):
        parser.print_help()
        return 2
    try:
        return int(options.command(options))
    except DeltamuError as error:
        return _tell(error, error.exit_status, debug=options.debug)
    except KeyboardInterrupt:
        return _tell(Cancelled("interrupted"), Cancelled.exit_status, debug=options.debug)
    except MemoryError as error:
        return _tell(
            error, 3, debug=options.debug, text="not enough memory; try --memory with less, or fewer rows"
        )
    except BrokenPipeError:
        return 0
    except OSError as error:
        return _tell(error, 3 if disk_is_full(error) else 2, debug=options.debug, text=_os_problem(error))


def _os_problem(error: OSError) -> str:
    """What the system refused, and about which file."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; check the path, its permissions and the disk"


def _tell(error: BaseException, status: int, *, debug: bool, text: str = "") -> int:
    if debug:
        traceback.print_exception(error)
    message = " ".join((text or str(error)).split())
    print(f"deltamu: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
        prog="deltamu",
        description="Where did the lithium go, how much, and how sure are we?",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"deltamu {metadata.version('deltamu')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[shared])
        sub.set_defaults(command=command)
        return sub

    _add_demo(
        add(
            "demo",
            _demo,
            "simulate three raw scans of a Li-S cell, run the study on them, compare with the truth",
        )
    )
    new = add("new", _new, "look at scan folders or files and write a commented study.toml")
    new.add_argument("folder", type=Path, help="folder that holds the scans; study.toml is written into it")
    new.add_argument("--series", action="store_true", help="a series of radiographs: write series.toml")
    check = add(
        "check",
        _check,
        "validate a study and print its plan (shapes, angles, memory, disk, time); touch nothing",
    )
    check.add_argument("study", type=Path)
    check.add_argument("--memory", help="limit, for example 4G")
    check.add_argument(
        "--preview",
        action="store_true",
        help="write a page per state to judge the scans by (preview_NAME.png)",
    )
    _add_run(add("run", _run, "run the whole chain; continues where a stopped run left off"))
    _add_operando(
        add(
            "operando",
            _operando,
            "analyse a series of radiographs taken while a cell is cycled; continues where a stopped run left off",
        )
    )
    _add_recon(add("recon", _recon, "reconstruct one scan to one volume (.zarr or a TIFF folder)"))
    center = add("center", _center, "find the centre of rotation and draw the picture to judge it by")
    center.add_argument("scan", type=Path)
    center.add_argument(
        "-o", "--output", type=Path, help="picture to write (default: center.png beside the working folder)"
    )
    _add_scan_options(center)
    report = add("report", _report, "write the HTML report of a finished study or series again")
    report.add_argument("folder", type=Path, help="output folder of a study")
    _add_figures(
        add("figures", _figures, "write the figures of a finished study for publication, and a film")
    )
    export = add("export", _export, "write the volumes of a study for Fiji, Avizo, ParaView")
    export.add_argument("folder", type=Path, help="output folder of a study")
    export.add_argument("--format", choices=("tiff", "nrrd", "hdf5"), default="tiff")
    export.add_argument("-o", "--output", type=Path, help="folder to write into (default: FOLDER/export)")
    export.add_argument(
        "--only", action="append", help="image to export, for example changes/discharged-pristine/delta_mu"
    )
    add("info", _info, "versions, devices, memory, what is missing and how to get it")
    for entry in metadata.entry_points(group="deltamu.commands"):
        entry.load()(add)
    return parser


def _add_figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="output folder of a study")
    parser.add_argument(
        "-o", "--output", type=Path, help="folder to write into (default: FOLDER/publication)"
    )
    parser.add_argument("--format", default="png,svg,pdf", help="png, svg, pdf, separated by commas")
    parser.add_argument(
        "--width-mm",
        type=float,
        default=180.0,
        help="width of the sheet: 85 to 90 for one column (default 180)",
    )
    parser.add_argument(
        "--style",
        action="append",
        default=[],
        help="style sheet of matplotlib, a name or a file; may be repeated",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="one figure, for example profile; may be repeated",
    )


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--beam", choices=("ideal", "real"), default="ideal")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--same-state", action="store_true", help="all three scans show the pristine cell")
    parser.add_argument("--featureless", action="store_true", help="leave out the holes and the notch")
    parser.add_argument(
        "--lithium", default="broad", choices=("broad", "front", "mirror", "center"),
        help="where in the cathode it is (default: a broad maximum near the separator)",
    )  # fmt: skip
    parser.add_argument(
        "--operando", nargs="?", const="soft-short", choices=("soft-short", "interlayer", "front", "healthy"),
        help="simulate and analyse a series of radiographs instead (default: soft-short)",
    )  # fmt: skip
    _add_resources(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path)
    _add_resources(parser)


def _add_operando(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("series", type=Path, help="series.toml")
    parser.add_argument("--check", action="store_true", help="validate and print the plan; touch nothing")
    parser.add_argument("--fresh", action="store_true", help="start over instead of continuing")


def _add_resources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("--memory", help="limit, for example 4G")
    parser.add_argument("--fresh", action="store_true", help="start over instead of continuing")
    parser.add_argument("--keep-work", action="store_true", help="keep the line integrals (work.zarr)")


def _add_recon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scan", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--method", default="fbp", help="fbp (default), sirt, os-sart, cgls, mlem, osem, fista-tv, pdhg-tv"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE",
        help="an option of the method as in [reconstruction] of study.toml, for example iterations=50; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--engine", default="deltamu", help="deltamu (default), or astra or tomopy where they are installed"
    )
    parser.add_argument(
        "--filter", default="hann", choices=("ram-lak", "shepp-logan", "cosine", "hamming", "hann", "parzen")
    )
    parser.add_argument("--cutoff", type=float, default=1.0)
    parser.add_argument("--center", type=float, help="pixels; found when not given")
    parser.add_argument("--padding", choices=("zero", "edge"), default="zero")
    parser.add_argument("--stripes", choices=("auto", "on", "off"), default="auto", help="removal of rings")
    parser.add_argument("--rows", help="start:stop of detector rows")
    parser.add_argument("--memory", help="limit, for example 2G")
    _add_scan_options(parser)


def _add_scan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="an option of the reader as in study.toml, for example pixel_size_mm=0.0135",
    )  # fmt: skip
    parser.add_argument(
        "--like",
        metavar="STUDY:STATE",
        help="correct the scan as this state of study.toml (dose, scatter, line spread, hardening)",
    )


def _demo(options: argparse.Namespace) -> int:
    if options.operando is not None:
        return _operando_demo(options)
    from deltamu.recon.study.demo import run_demo
    from deltamu.recon.study.progress import terminal_progress

    with _cancel_on_interrupt() as cancel, terminal_progress() as progress:
        outcome = run_demo(
            options.folder, preset=options.preset, beam=options.beam, seed=options.seed,
            same_state=options.same_state, featureless=options.featureless, lithium=options.lithium,
            device=options.device, memory=options.memory, fresh=options.fresh, keep_work=options.keep_work, progress=progress, cancel=cancel,
            tell=_tell_plan,
        )  # fmt: skip
    print(outcome)
    return 0


def _operando_demo(options: argparse.Namespace) -> int:
    from deltamu.recon.study.operando.demo import run_series_demo
    from deltamu.recon.study.progress import terminal_progress

    with _cancel_on_interrupt() as cancel, terminal_progress() as progress:
        outcome = run_series_demo(
            options.folder, kind=options.operando, seed=options.seed, fresh=options.fresh, progress=progress,
            cancel=cancel,
        )  # fmt: skip
    print(outcome)
    return 0


def _operando(options: argparse.Namespace) -> int:
    from deltamu.recon.study.operando.pipeline import check_series, run_series
    from deltamu.recon.study.operando.settings import read_series_study
    from deltamu.recon.study.progress import terminal_progress

    if options.check:
        print(check_series(options.series))
        return 0
    with _cancel_on_interrupt() as cancel, terminal_progress() as progress:
        output = run_series(
            read_series_study(options.series), progress=progress, cancel=cancel, fresh=options.fresh
        )
    print(f"report: {output / 'report.html'}")
    return 0


def _run(options: argparse.Namespace) -> int:
    from deltamu.recon.study.pipeline import run
    from deltamu.recon.study.progress import terminal_progress
    from deltamu.recon.study.settings import read_study

    study = read_study(options.study)
    with _cancel_on_interrupt() as cancel, terminal_progress() as progress:
        output = run(
            study, progress=progress, cancel=cancel, device=options.device, memory=options.memory,
            fresh=options.fresh, keep_work=options.keep_work, tell=_tell_plan,
        )  # fmt: skip
    print(f"report: {output / 'report.html'}")
    return 0


def _new(options: argparse.Namespace) -> int:
    if options.series:
        from deltamu.recon.study.operando.new_series import write_new_series

        print(
            f"written: {write_new_series(options.folder)}; edit it, then `deltamu operando series.toml --check`"
        )
        return 0
    from deltamu.recon.study.new_study import write_new_study

    print(f"written: {write_new_study(options.folder)}; edit it, then `deltamu check` and `deltamu run`")
    return 0


def _check(options: argparse.Namespace) -> int:
    from deltamu.recon.study.pipeline import check

    print(check(options.study, memory=options.memory))
    if options.preview:
        from deltamu.recon.study.preview import preview

        for picture in preview(options.study, Path.cwd()):
            print(f"preview: {picture}")
    return 0


def _recon(options: argparse.Namespace) -> int:
    from deltamu.recon.study.progress import terminal_progress
    from deltamu.recon.study.settings_reconstruction import read_method
    from deltamu.recon.study.single_scan import reconstruct_scan

    named = {key: getattr(options, key) for key in ("method", "engine", "filter", "cutoff", "padding")}
    method = read_method({**named, **_key_values(options.option, flag="--option")}, source="recon")
    with _cancel_on_interrupt() as cancel, terminal_progress() as progress:
        text = reconstruct_scan(
            options.scan, options.output, settings=_key_values(options.set), method=method, center=options.center,
            stripes=options.stripes, rows=options.rows, progress=progress, memory=options.memory, tell=_tell_plan,
            cancel=cancel, like=options.like,
        )  # fmt: skip
    print(text)
    return 0


def _tell_plan(text: str) -> None:
    print(f"deltamu: {text}", file=sys.stderr, flush=True)


def _center(options: argparse.Namespace) -> int:
    from deltamu.recon.study.single_scan import report_center

    print(
        report_center(
            options.scan,
            picture=options.output or Path("center.png"),
            settings=_key_values(options.set),
            like=options.like,
        )
    )
    return 0


def _report(options: argparse.Namespace) -> int:
    from deltamu.recon.report.operando.page import write_series_report
    from deltamu.recon.report.page import write_report

    write = write_series_report if (options.folder / "series.zarr").is_dir() else write_report
    print(f"written: {write(options.folder)}")
    return 0


def _figures(options: argparse.Namespace) -> int:
    from deltamu.recon.report.publication import write_figures

    for path in write_figures(
        options.folder, target=options.output, formats=[name.strip() for name in options.format.split(",")],
        width_mm=options.width_mm, style=options.style, only=options.only,
    ):  # fmt: skip
        print(path)
    return 0


def _export(options: argparse.Namespace) -> int:
    from deltamu.recon.study.exporting import export_study

    for path in export_study(options.folder, format=options.format, target=options.output, only=options.only):
        print(path)
    return 0


def _info(options: argparse.Namespace) -> int:
    from deltamu.recon.study.info import describe_installation

    print(describe_installation())
    return 0


def _key_values(pairs: Sequence[str], *, flag: str = "--set") -> dict[str, object]:
    """Read KEY=VALUE pairs as TOML values; bare words are strings."""
    import tomllib

    values: dict[str, object] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key.strip():
            example = "pixel_size_mm=0.0135" if flag == "--set" else "iterations=50"
            raise InputError(f"{flag} {pair}: expected KEY=VALUE, for example {example}")
        try:
            values[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text
    return values


class _cancel_on_interrupt:
    """Turn the first Ctrl-C into a request to stop after the current piece; a second one interrupts at once."""

    def __enter__(self) -> Callable[[], bool]:
        self._asked = threading.Event()
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._ask)
        return self._asked.is_set

    def _ask(self, number: int, frame: object) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
        print(
            "deltamu: stopping after the current piece (Ctrl-C again to stop at once)",
            file=sys.stderr,
            flush=True,
        )

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)


if __name__ == "__main__":
    sys.exit(main())
