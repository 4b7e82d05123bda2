# SPDX-License-Identifier: GPL-2.0
"""The test machine, for tests/run and tests/bench/run: what its OSes are to do, a run,
several at a time, and what a run has left on the consoles."""

import argparse
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import warnings

TESTS = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("TWINOS_BUILD") or TESTS.parent / "build").absolute()
FACTOR = int(os.environ.get("TWINOS_TIME_FACTOR") or 1)

# Where time is the host's, a CPU waits for the host in the middle of an interrupt; see
# tests/qemu/README.md.
HOST_TIME = re.compile("hrtimer: interrupt took [0-9]+ ns")


def read(path):
    """The text of a file. Bytes that are no UTF-8 are kept, and written again as they were."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def write(path, text):
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def lines(text):
    """The lines of a text, without their ends."""
    return text.removesuffix("\n").split("\n") if text else []


def console(path):
    """The lines of a console, without carriage returns and NULs."""
    return lines(read(path).replace("\r", "").replace("\0", ""))


def expression(text):
    """The compiled expression; re.error where it is none. What grep has and Python has not
    is refused, not taken for something else."""
    if re.search(r"\\[<>`']", text):
        raise re.error(r"\< \> \` \' are not known here, use \b, ^ and $")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        try:
            return re.compile(text)
        except FutureWarning as warning:
            raise re.error(f"[:classes:] and nested sets are not known here ({warning})") from None


def console_faults():
    """The expressions of console-faults, and what is wrong with that file."""
    path, faults, errors = TESTS / "console-faults", [], []
    try:
        texts = lines(read(path))
    except OSError as error:
        return [], [str(error)]
    for number, text in enumerate(texts, 1):
        if text and not text.startswith("#"):
            try:
                faults.append(expression(text))
            except re.error as error:
                errors.append(f"{path}:{number}: {text}: {error}")
    if not faults and not errors:
        errors.append(f"{path}: there is no expression in it")
    return faults, errors


def begin(logs):
    """An empty directory for the logs of a run."""
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)


def lay_out(logs, leading, coexisting):
    """Files for the roots of the OSes of a run, each {NAME: TEXT}."""
    for system, files in (("leading", leading), ("coexisting", coexisting)):
        (logs / system).mkdir()
        for name, text in files.items():
            write(logs / system / name, text)
            (logs / system / name).chmod(0o755)


def run(logs, limit, options, **environment):
    """Runs twinvm, or what TWINOS_VM names instead, over what lay_out() has made, and in the
    leading OS /scenario; its status. The limit is in seconds of a host that is not slow."""
    command = [os.environ.get("TWINOS_VM") or TESTS / "twinvm", "-l", logs,
               "-o", logs / "leading", "-O", logs / "coexisting", "-t", str(limit * FACTOR), *options, "--", "sh /scenario"]
    with open(logs / "twinvm.log", "wb") as errors:
        vm = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=errors, env={**os.environ, **environment})
        try:
            status = vm.wait()
        finally:
            if vm.poll() is None:
                vm.terminate()
                vm.wait()
    return status if status >= 0 else 128 - status


def side_by_side(function, names, jobs):
    """Calls function(name) for each name, each in a process of its own and so many at a time;
    yields (name, what it returned). None stands for a process that ended without returning."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    context = multiprocessing.get_context("fork")
    waiting, running = list(names), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=lambda: sender.send(function(name)))
                process.start()
                sender.close()
                running[receiver] = process, name
            for receiver in multiprocessing.connection.wait(running):
                process, name = running.pop(receiver)
                try:
                    result = receiver.recv()
                except EOFError:
                    result = None
                process.join()
                yield name, result
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.join()


class Arguments(argparse.ArgumentParser):
    """A command line: -h prints the usage, anything wrong prints it, too, with status 100."""

    def __init__(self, usage):
        super().__init__(allow_abbrev=False)
        self.text = usage

    def format_help(self):
        return self.text

    def error(self, message):
        sys.stderr.write(self.text)
        sys.exit(100)


def count(text):
    """The type of an argument that is a number from 1 on."""
    if not re.fullmatch("[1-9][0-9]*", text):
        raise ValueError
    return int(text)
