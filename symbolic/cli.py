"""``symbolic-cache``: what has been compiled, how, how long it took, and keeping it in order."""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from symbolic.codegen.cache import Cache, Entry
from symbolic.codegen.report import (
    ago,
    assembly,
    differences,
    human,
    parse_age,
    row,
    whole_source,
)
from symbolic.config import config, parse_size
from symbolic.errors import CacheError, SymbolicError

_SORTS = {
    "name": lambda e: str(e.manifest.get("name", "")),
    "size": lambda e: e.size,
    "seconds": lambda e: e.manifest.get("seconds") or 0.0,
    "hits": lambda e: e.hits,
    "used": lambda e: e.last_used,
    "created": lambda e: e.manifest.get("created") or 0.0,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Returns
    -------
    int
        0; 1 if `verify` found damage or `clear` was declined; 2 for a wrong request.
    """
    arguments = _parser().parse_args(argv)
    try:
        cache = Cache(arguments.cache_dir)
        return int(arguments.run(cache, arguments) or 0)
    except BrokenPipeError:  # `symbolic-cache list | head`
        sys.stderr.close()
        return 0
    except (SymbolicError, ValueError, OSError) as error:  # OSError: a directory that can only be read
        print(f"symbolic-cache: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON")
    common.add_argument("--cache-dir", default=None, metavar="DIR",
                        help="the cache to look at (default: SYMBOLIC_CACHE_DIR)")
    parser = argparse.ArgumentParser(
        prog="symbolic-cache", description="Look at, check and prune what symbolic has compiled.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[common])
        sub.set_defaults(run=run)
        return sub

    sub = command("list", _list, "List compiled functions.")
    sub.add_argument("--sort", choices=_SORTS, default="used")
    sub.add_argument("--reverse", action="store_true", help="in the other order")
    sub.add_argument("--filter", default="", metavar="TEXT", help="in name, file or key")
    sub.add_argument("--limit", type=int, default=None, metavar="N")
    for name, run, text in (
            ("show", _show, "Show a function: graph, stages, kernels, memory plan, flags."),
            ("source", _source, "Print the C source of a function."),
            ("asm", _asm, "Print the machine code of a function's kernels.")):
        command(name, run, text).add_argument("key", help="key, start of a key, or name")
    sub = command("gpu", _gpu, "List programs for GPUs with what their kernels need, or show one.")
    sub.add_argument("key", nargs="?", default=None, help="key or start of a key")
    sub.add_argument("--source", action="store_true", help="print the CUDA text")
    command("stats", _stats, "Show totals.")
    command("verify", _verify, "Hash everything again; move what is damaged to quarantine.")
    sub = command("prune", _prune, "Remove the least recently used functions.")
    sub.add_argument("--max-size", type=_size, default=None, metavar="SIZE", help="such as 500M")
    sub.add_argument("--older-than", type=_age, default=None, metavar="AGE", help="such as 30d")
    sub = command("clear", _clear, "Remove everything.")
    sub.add_argument("--yes", action="store_true", help="don't ask")
    command("path", _path, "Print the directory of the cache.")
    sub = command("why", _why, "Say what differs between two functions.")
    sub.add_argument("key", help="key, start of a key, or name")
    sub.add_argument("other", help="key, start of a key, or name")
    return parser


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _age(text: str) -> float:
    try:
        return parse_age(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def find(cache: Cache, wanted: str) -> Entry:
    """Return the function that `wanted` names: a key, the start of one key, or a unique name.

    Raises
    ------
    CacheError
        If there is none or more than one; the text lists candidates.
    """
    entries = cache.functions()
    for matches in ([e for e in entries if e.key == wanted],
                    [e for e in entries if e.manifest.get("name") == wanted],
                    [e for e in entries if e.key.startswith(wanted)]):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise CacheError(f"{wanted!r} names {len(matches)} functions:\n{_candidates(matches)}\n"
                             "hint: give more digits of the key")
    if not entries:
        raise CacheError(f"there is no function {wanted!r}: the cache {cache.base} is empty")
    raise CacheError(f"there is no function {wanted!r} in {cache.base}; it has\n"
                     f"{_candidates(entries)}")


def _candidates(entries: Sequence[Entry]) -> str:
    lines = [f"    {e.key[:16]}  {e.manifest.get('name')}  {row(e)['place']}" for e in entries[:10]]
    if len(entries) > 10:
        lines.append(f"    and {len(entries) - 10} more")
    return "\n".join(lines)


def _console() -> Console:
    # Columns aren't cut in a pipe, where rich would assume 80.
    return Console(emoji=False, width=None if sys.stdout.isatty() else 200)


def _json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _list(cache: Cache, arguments: argparse.Namespace) -> None:
    entries = [e for e in cache.functions() if arguments.filter.lower() in " ".join(
        (e.key, str(e.manifest.get("name")), str(e.manifest.get("file")))).lower()]
    largest_first = arguments.sort != "name"
    entries.sort(key=_SORTS[arguments.sort], reverse=largest_first != arguments.reverse)
    entries = entries[:arguments.limit]
    if arguments.json:
        _json([row(e) for e in entries])
        return
    if not entries:
        print("no functions" + (f" match {arguments.filter!r}" if arguments.filter else ""))
        return
    table = Table(box=None, header_style="bold")
    for title in ("key", "name", "compiled at", "kernels", "size", "seconds", "hits", "last used",
                  "compiler", "cpu"):
        right = title in ("kernels", "size", "seconds", "hits")
        table.add_column(title, justify="right" if right else "left")
    for e in entries:
        r = row(e)
        table.add_row(e.key[:12], escape(r["name"]), escape(r["place"]), str(r["kernels"]),
                      human(e.size), f"{r['seconds']:.2f}", str(e.hits), ago(e.last_used),
                      escape(r["compiler"]), escape(r["cpu"]))
    _console().print(table)


def _show(cache: Cache, arguments: argparse.Namespace) -> None:
    entry = find(cache, arguments.key)
    m = entry.manifest
    if arguments.json:
        _json({**m, "hits": entry.hits, "last_used": entry.last_used, "size": entry.size})
        return
    console = _console()
    r = row(entry)
    facts = Table.grid(padding=(0, 2))
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(m.get("created") or 0))
    for name, value in (
            ("key", entry.key), ("name", r["name"]), ("compiled at", r["place"]),
            ("created", created), ("compile seconds", f"{r['seconds']:.3f}"),
            ("hits", f"{entry.hits}, last {ago(entry.last_used)}"), ("size", human(entry.size)),
            ("compiler", r["compiler"]), ("cpu", r["cpu"]), ("flags", _words(m.get("flags")))):
        facts.add_row(f"[bold]{name}", escape(str(value)))
    console.print(facts)
    if m.get("stages"):
        stages = Table("stage", title="stages", box=None, title_justify="left")
        stages.add_column("ms", justify="right")
        for name, ms in m["stages"]:
            stages.add_row(escape(str(name)), f"{ms:.2f}")
        console.print(stages)
    kernels = Table("kernel", "symbol", "library", title="kernels", box=None, title_justify="left")
    for sha in m.get("kernels", ()):
        kernels.add_row(sha[:16], f"k_{sha[:16]}", (cache.kernel(sha) or "missing")[:16])
    console.print(kernels)
    for title, text in (("graph", m.get("graph")), ("memory plan", m.get("plan"))):
        if text:
            console.print(f"[italic]{title}")
            console.print(escape(str(text)), soft_wrap=True)


def _words(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value or "")


def _source(cache: Cache, arguments: argparse.Namespace) -> None:
    entry = find(cache, arguments.key)
    text = whole_source(cache, entry)
    if arguments.json:
        _json({"key": entry.key, "source": text})
    elif sys.stdout.isatty():
        Console().print(Syntax(text, "c", line_numbers=True))
    else:
        print(text)


def _asm(cache: Cache, arguments: argparse.Namespace) -> None:
    entry = find(cache, arguments.key)
    tool, text = assembly(cache, entry)
    if arguments.json:
        _json({"key": entry.key, "tool": tool, "assembly": text})
    else:
        print(text)


def _gpu(cache: Cache, arguments: argparse.Namespace) -> None:
    programs = [p for p in cache.device_programs() if arguments.key is None or str(p.get("key")).startswith(arguments.key)]
    if arguments.key is not None and len(programs) != 1:
        raise CacheError(f"{len(programs)} programs for GPUs have a key that starts with {arguments.key!r}")
    if arguments.source:
        for p in programs:
            print(cache.device_source(p["key"]))
        return
    if arguments.json:
        _json(programs)
        return
    if arguments.key is None:
        table = Table("key", "architecture", "kernels", "registers", "spills", "size", "compiler", "seconds", "age", box=None)
        for p in programs:
            needs = p.get("resources", {}).values()
            table.add_row(str(p["key"])[:12], p.get("architecture", ""), str(len(p.get("kernels", ()))),
                          str(max((r["registers"] for r in needs), default=0)), str(sum(r["spills"] for r in needs)),
                          human(p.get("bytes") or 0), p.get("compiler", ""), f"{p.get('seconds') or 0:.2f}",
                          ago(p.get("created") or 0))
    else:
        table = Table("kernel", "registers", "spilled bytes", "shared bytes", box=None)
        for name, r in programs[0].get("resources", {}).items():
            table.add_row(name, str(r["registers"]), str(r["spills"]), str(r["shared"]))
    _console().print(table)


def _stats(cache: Cache, arguments: argparse.Namespace) -> None:
    stats = cache.stats()
    if arguments.json:
        _json(stats)
        return
    table = Table.grid(padding=(0, 2))
    for name, value in stats.items():
        shown = human(value) if name.endswith("bytes") else value
        table.add_row(f"[bold]{name.replace('_', ' ')}",
                      f"{shown:.2f}" if isinstance(shown, float) else escape(str(shown)))
    _console().print(table)


def _verify(cache: Cache, arguments: argparse.Namespace) -> int:
    damage = cache.verify()
    if arguments.json:
        _json({"damaged": [{"path": str(d.path), "problem": d.problem} for d in damage]})
    else:
        for d in damage:
            print(f"{d.path}: {d.problem}")
        aside = cache.path / "quarantine"
        print(f"{len(damage)} damaged, moved to {aside}" if damage else "no damage")
    return 1 if damage else 0


def _prune(cache: Cache, arguments: argparse.Namespace) -> None:
    gone = cache.prune(arguments.max_size, arguments.older_than)
    if arguments.json:
        _json({**gone._asdict(), "left": cache.size()})
    else:
        print(f"removed {gone.functions} functions and {gone.libraries} libraries, "
              f"{human(gone.bytes)}; {human(cache.size())} left")


def _clear(cache: Cache, arguments: argparse.Namespace) -> int:
    size = cache.size()
    if not arguments.yes:
        print(f"remove {human(size)} in {cache.path}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("nothing was removed", file=sys.stderr)
            return 1
    cache.clear()
    if arguments.json:
        _json({"bytes": size})
    else:
        print(f"removed {human(size)}")
    return 0


def _path(cache: Cache, arguments: argparse.Namespace) -> None:
    if arguments.json:
        _json({"path": str(cache.base), "default": str(Path(config.cache_dir))})
    else:
        print(cache.base)


def _why(cache: Cache, arguments: argparse.Namespace) -> None:
    a, b = find(cache, arguments.key), find(cache, arguments.other)
    found = differences(a, b)
    if arguments.json:
        _json({"a": a.key, "b": b.key, "differences": found})
        return
    if not found:
        print("nothing that is recorded differs")
    for name, text in found.items():
        print(f"{name}:\n{text}\n")


if __name__ == "__main__":
    sys.exit(main())
